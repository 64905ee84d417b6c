"""Typed settings that are flags.

Declare a service's settings once, as a pydantic class with code defaults. flagd files, profiles from
Postgres and the environment tune them; every value is checked, falls back alone, heals in use, and says
where it came from.

A service calls these names. Types for annotations come from their packages (`windsock.usage.Request`,
`windsock.runtime.Health`, `windsock.provenance.Explanation`, `windsock.settings.Feature`), errors from
`windsock.errors`, and classifiers from `windsock.healing`.
"""

from windsock.errors import WindsockError
from windsock.healing import aheal, heal
from windsock.provenance import explain
from windsock.runtime import health, reload, start, stop, wait_for
from windsock.settings import Fixed, Settings, Tunable, feature
from windsock.usage.request import current_request, request

__all__ = [
    "Fixed",
    "Settings",
    "Tunable",
    "WindsockError",
    "__version__",
    "aheal",
    "current_request",
    "explain",
    "feature",
    "heal",
    "health",
    "reload",
    "request",
    "start",
    "stop",
    "wait_for",
]


def __getattr__(name: str) -> str:
    """The version, read when it is first asked for: it is in a file of the installed package."""
    if name != "__version__":
        raise AttributeError(f"module 'windsock' has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415 - 20 ms that no import should pay

    globals()["__version__"] = found = version("windsock")
    return found
