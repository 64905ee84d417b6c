"""`windsock forget`: erase one person from every table of windsock's."""

from typing import Annotated

import typer

from windsock.cli._database import DatabaseUrl, database
from windsock.cli._say import say
from windsock.postgres import retention
from windsock.postgres.migrations import connect
from windsock.usage.data import stored_user_ids
from windsock.variables import user_id_key


def command(
    user: Annotated[str, typer.Argument(help="The plain id; WINDSOCK_USER_ID_KEY hashes it too.")],
    *,
    also: Annotated[
        list[str] | None,
        typer.Option(help="Another id of the same person in the tables, such as a hash with an earlier key."),
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Erase one person from every windsock table, in one transaction, and count the rows.

    The row in profiles is your application's: it stays, without a configuration. Connect as a login in the
    role windsock_pruner. Rows that still wait on a service's disk arrive later: run it again then.

    Example: windsock forget 6b3f…
    """
    key = user_id_key()
    people = (user, *(also or ()))
    names = frozenset().union(*(stored_user_ids(each, how) for each in people for how in (None, key)))
    with database(database_url) as url, connect(url) as connection:
        found = retention.forget(connection, names)
    width = max(map(len, found))
    for table, rows in found.items():
        say(f"{table:<{width}} {rows:>9,}")
    if not any(found.values()):
        hint = "" if key else "; WINDSOCK_USER_ID_KEY is not set, so no hash was tried"
        say(f"no rows of {user}{hint}")
