"""Pure functions from what was read to what a template shows."""
