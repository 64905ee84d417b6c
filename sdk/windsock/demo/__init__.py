"""The story that `windsock demo` tells, and the parts it runs on."""
