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
from windsock.explain import Explanation, Provenance, explain
from windsock.exposures import Request, request
from windsock.features import Feature, feature
from windsock.healing import Blame, Classifier, Verdict, aheal, classify, heal
from windsock.runtime import Health, health, reload, start, stop
from windsock.settings import Settings

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
