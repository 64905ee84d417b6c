"""Every page that needs somebody to be signed in."""

from typing import Final

from windsock.console.pages import base, changes, home, people, profile, settings
from windsock.console.visits import Route

ROUTES: Final[tuple[Route, ...]] = (
    *home.ROUTES,
    *settings.ROUTES,
    *people.ROUTES,
    *profile.ROUTES,
    *base.ROUTES,
    *changes.ROUTES,
)
