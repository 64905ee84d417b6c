"""Asking for a flag as OpenFeature's client does, for less."""
