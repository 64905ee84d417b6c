"""Typed settings that are flags.

Declare a service's settings once, as a pydantic class with code defaults. flagd files, profiles from
Postgres and the environment tune them; every value is checked, falls back alone, heals in use, and says
where it came from.
"""

from windsock.errors import (
    ConfigurationError,
    DatabaseUnfitError,
    DeclarationError,
    FlagFileError,
    GuardError,
    MigrationError,
    MirrorError,
    MissingExtraError,
    WindsockError,
)
from windsock.healing import Blame, Classifier, Verdict, aheal, classify, heal
from windsock.provenance.fields import Explanation, Provenance, explain
from windsock.runtime.health import Health, health
from windsock.runtime.lifecycle import reload, start, stop
from windsock.settings.features import Feature, feature
from windsock.settings.settings import Settings
from windsock.usage.request import Request, request

__all__ = [
    "Blame",
    "Classifier",
    "ConfigurationError",
    "DatabaseUnfitError",
    "DeclarationError",
    "Explanation",
    "Feature",
    "FlagFileError",
    "GuardError",
    "Health",
    "MigrationError",
    "MirrorError",
    "MissingExtraError",
    "Provenance",
    "Request",
    "Settings",
    "Verdict",
    "WindsockError",
    "aheal",
    "classify",
    "explain",
    "feature",
    "heal",
    "health",
    "reload",
    "request",
    "start",
    "stop",
]
