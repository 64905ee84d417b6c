"""Checks what usually goes wrong: the machine, the database, the flags, and how evaluators bucket users."""
