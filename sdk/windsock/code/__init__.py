"""Searches Python code for flags and fields: where they are used, and which can be removed."""
