"""Starting, stopping and reloading, and what serves."""

from windsock.runtime.lifecycle import reload, start, stop
from windsock.runtime.state import Health, health

__all__ = ["Health", "health", "reload", "start", "stop"]
