"""The users that a plan evaluates: those of the usage log, or synthetic ones if it has none."""

from dataclasses import replace
from typing import Final

from windsock.console.reading import QUERIES
from windsock.console.rendering import age
from windsock.console.visits import Visit
from windsock.gitops.population import Population, exposed, made_up
from windsock.runtime.state import health
from windsock.variables import user_id_key

_OLD: Final = 2.0
"""Seconds from which a page says how old a count is."""


def plan_users(visit: Visit) -> Population:
    """The users that a plan evaluates."""
    anybody = visit.connection.execute(QUERIES["anybody"]).fetchone() == (True,)
    # Flags see ids, not the hashes that the log may have instead.
    if not anybody or user_id_key() is not None:
        return made_up(health().environment)
    made = visit.shared.exposed.now()
    when = f", counted {age(made.age)} ago" if made.age >= _OLD else ""
    users = exposed(visit.console.database_url)
    return replace(users, alike=made.value, description=f"{users.description}{when}")


def count_users(visit: Visit) -> None:
    """Begin to count the users that the next plan will ask for."""
    if user_id_key() is None:
        visit.shared.exposed.begin()
