"""Python code searched for flags and fields: where they are used, and which can go."""
