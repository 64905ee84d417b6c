"""Starting, stopping and reloading, and what serves."""
