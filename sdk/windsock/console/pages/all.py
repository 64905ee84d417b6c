"""Every page that requires sign-in."""

from typing import Final

from windsock.console.pages import (
    base,
    changes,
    experiment_decision,
    experiments,
    flag_versions,
    flags,
    home,
    people,
    profile,
    quarantine,
    settings,
    undoing,
    usage,
)
from windsock.console.visits import Route

ROUTES: Final[tuple[Route, ...]] = (
    *home.ROUTES,
    *settings.ROUTES,
    *people.ROUTES,
    *profile.ROUTES,
    *base.ROUTES,
    *flags.ROUTES,
    *flag_versions.ROUTES,
    *experiments.ROUTES,
    *experiment_decision.ROUTES,
    *usage.ROUTES,
    *quarantine.ROUTES,
    *changes.ROUTES,
    *undoing.ROUTES,
)
