"""Start, stop and reload, and report what's being served."""

from windsock.runtime.lifecycle import reload, start, stop, wait_for
from windsock.runtime.state import Health, health

__all__ = ["Health", "health", "reload", "start", "stop", "wait_for"]
