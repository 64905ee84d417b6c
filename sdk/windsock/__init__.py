"""Typed settings that are flags."""

__all__: list[str] = []
