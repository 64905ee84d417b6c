"""Pure functions that turn data into what a template shows."""
