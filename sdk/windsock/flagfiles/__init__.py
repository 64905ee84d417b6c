"""Flag files on disk: found, read, merged, formatted, edited, fixed, imported and exported."""
