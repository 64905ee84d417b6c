"""Flags as code: reading and writing flag files, comparing them, planning and applying changes."""
