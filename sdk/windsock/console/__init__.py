"""The web console: what is set, for whom and why, and what needs attention. Mountable in another app."""

from windsock.errors import MissingExtraError

try:
    from windsock.console.app import application
    from windsock.console.options import Console, Issuer
except ImportError as missing:
    raise MissingExtraError("the console", "api") from missing

__all__ = ["Console", "Issuer", "application"]
