"""The story that `windsock demo` tells, and what it runs on."""
