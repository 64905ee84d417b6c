"""Every page that requires sign-in."""

from typing import Final

from windsock.console.pages import (
    base,
    changes,
    experiments,
    flags,
    home,
    people,
    profile,
    quarantine,
    settings,
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
    *experiments.ROUTES,
    *usage.ROUTES,
    *quarantine.ROUTES,
    *changes.ROUTES,
)
