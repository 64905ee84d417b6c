"""Constructs on which flagd's engines disagree."""
