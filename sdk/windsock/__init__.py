"""Typed settings that are flags.

Declare a service's settings once, as a pydantic class with code defaults. flagd files, profiles from
Postgres and the environment tune them; every value is checked, falls back alone, heals in use, and says
where it came from.

A service calls these names. Types for annotations come from their packages (`windsock.usage.Request`,
`windsock.runtime.Health`, `windsock.provenance.Explanation`, `windsock.settings.Feature`), errors from
`windsock.errors`, and classifiers from `windsock.healing`.
"""

from typing import TYPE_CHECKING

from windsock.errors import WindsockError
from windsock.healing import aheal, heal
from windsock.lazy import lazy_face
from windsock.provenance import explain
from windsock.runtime import health, reload, start, stop, wait_for
from windsock.settings import Fixed, Settings, Tunable
from windsock.usage.request import current_request, request

if TYPE_CHECKING:
    from windsock.settings import feature

    __version__: str

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


_feature = lazy_face(__name__, {"feature": "settings.features"})  # optional: a service may run without it


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load the names that few services need: `feature`, and the version of the installed package."""
        if name != "__version__":
            return _feature(name)
        from importlib.metadata import version  # noqa: PLC0415 - 20 ms that no import should pay

        globals()["__version__"] = found = version("windsock")
        return found
