"""The pages, one file per area; each handler reads data and passes plain values to a template."""
