"""The mirror turns assignments in PostgreSQL into flagd targeting, in files that every language can use."""
