"""The pages, one file per area; each handler reads, and hands plain data to a template."""
