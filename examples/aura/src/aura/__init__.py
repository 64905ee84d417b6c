"""Aura: three layers of thought over models that are swapped while it runs."""
