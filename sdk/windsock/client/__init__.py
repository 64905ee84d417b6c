"""Evaluate a flag as OpenFeature's client does, at a lower cost."""
