"""`windsock token`: make, list and revoke the bearer tokens of the configuration API and the console."""

from dataclasses import asdict
from typing import Annotated

import typer

from windsock.api import Role, create_token, revoke_token
from windsock.api.tokens import listed
from windsock.cli._database import DatabaseUrl, database
from windsock.cli._options import JsonList
from windsock.cli._say import print_json, say
from windsock.postgres.migrations import connect

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Who uses the token; the audit shows this name.")]


@app.callback()
def command() -> None:
    """Make, list and revoke the bearer tokens of the API and the console."""


@app.command()
def make(
    name: Name,
    *,
    role: Annotated[
        Role, typer.Option(help="A reader reads, an editor also changes values, an admin everything.")
    ] = Role.READER,
    flags: Annotated[
        list[str] | None,
        typer.Option(
            "--flag", metavar="PREFIX", help="Let it change only flags whose keys begin with this; repeat it."
        ),
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a token and print it once; only its hash is kept.

    Example: windsock token make deploy-bot
    """
    with database(database_url) as url, connect(url) as connection:
        say(create_token(connection, name, role, flags or ()))


@app.command("list")
def list_tokens(
    *,
    as_json: JsonList = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show every token, revoked ones too, but no token's text.

    Example: windsock token list
    """
    with database(database_url) as url, connect(url) as connection:
        rows = listed(connection)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    if not rows:
        say("there are no tokens; make one with `windsock token make NAME --role editor`")
        return
    for row in rows:
        flags = ", ".join(f"{each}…" for each in row.flags) or "all"
        revoked = f", revoked {row.revoked_at:%Y-%m-%d}" if row.revoked_at else ""
        say(f"{row.name}  {row.role}, made {row.created_at:%Y-%m-%d}{revoked}; flags: {flags}")


@app.command()
def revoke(name: Name, *, database_url: DatabaseUrl = None) -> None:
    """Refuse a token from now on; its name stays taken.

    Example: windsock token revoke deploy-bot
    """
    with database(database_url) as url, connect(url) as connection:
        revoke_token(connection, name)
    say(f"{name} is refused from now on")
