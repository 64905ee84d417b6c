"""`windsock token`: make and revoke the bearer tokens of the configuration API."""

from typing import Annotated

import typer

from windsock.api import Role, create_token, revoke_token
from windsock.cli._database import DatabaseUrl, database
from windsock.postgres.migrations import connect


def command(
    name: Annotated[str, typer.Argument(help="Who uses the token; the audit shows this name.")],
    *,
    role: Annotated[
        Role, typer.Option(help="A reader reads, an editor also changes values, an admin everything.")
    ] = Role.READER,
    flags: Annotated[
        list[str] | None,
        typer.Option(
            "--flag", metavar="PREFIX", help="It may change only flags whose keys begin so; repeat."
        ),
    ] = None,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Refuse the token from now on, instead of making one.")
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a bearer token for the API and the console, print it once, and keep only its hash.

    Example: windsock token deploy-bot
    """
    with database(database_url) as url, connect(url) as connection:
        if revoke:
            revoke_token(connection, name)
            print(f"{name} is refused from now on")
        else:
            print(create_token(connection, name, role, flags or ()))
