"""Home."""

from typing import Final

from windsock.console.visits import Answer, Go, Route, Visit


def home(_: Visit) -> Answer:
    """The settings come first."""
    return Go("/settings")


ROUTES: Final = (Route("/", home),)
