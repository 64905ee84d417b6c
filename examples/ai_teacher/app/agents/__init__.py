"""The agent: a graph of steps over one state."""
