"""The mirror: assignments in PostgreSQL become the targeting of flagd flags, in files for every language."""
