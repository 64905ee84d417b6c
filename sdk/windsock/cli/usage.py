"""`windsock usage`: what requests used, from `usage_logs`."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

import typer

from windsock.cli._database import DatabaseUrl, database
from windsock.cli._lines import Grid, console_of, print_grid
from windsock.cli._options import UserIds
from windsock.cli._say import print_json, say
from windsock.errors import ConfigurationError
from windsock.postgres.migrations import connect
from windsock.usage import UsageRecord, hashed_user_id
from windsock.usage.data import stored_user_ids
from windsock.usage.reading import Selection, profile_id, profile_names, read
from windsock.usage.wording import ended, tokens, values_read
from windsock.variables import user_id_key

_WIDE = 180
"""Columns that hold whole ids."""


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def command(
    context: typer.Context,
    *,
    user: Annotated[
        str | None,
        typer.Option(help="Only this user's requests (the plain id; WINDSOCK_USER_ID_KEY hashes it)."),
    ] = None,
    config: Annotated[
        str | None, typer.Option(metavar="PROFILE", help="Only requests under this profile: its name or id.")
    ] = None,
    healed: Annotated[bool, typer.Option("--healed", help="Only requests in which a value failed.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many rows, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, complete rows.")] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show the newest rows of usage_logs: who used which values, decided by what, and what was healed.

    Example: windsock usage --user 6b3f… --limit 5
    """
    if context.invoked_subcommand is not None:
        return
    users = None if user is None else stored_user_ids(user, user_id_key())
    with database(database_url) as url, connect(url) as connection:
        profile = None if config is None else profile_id(connection, config)
        rows = read(connection, Selection(users, profile, healed, limit))
        names = profile_names(connection, {str(row.config_id) for row in rows if row.config_id})
    console = console_of(_WIDE)
    if as_json:
        print_json([row.to_dict() for row in rows])
    elif rows and console.width >= _WIDE:
        print_grid(console, table(rows, names))
    elif rows:
        for row in rows:
            for line in _lines(row, names):
                say(line)
    else:
        say("no rows: nothing was recorded, or nothing matches the options")


@app.command(name="hash")
def hash_ids(
    ids: UserIds = None,
) -> None:
    """Print how a user's id is stored, hashed.

    Your own tables can then be joined with windsock's. The key is WINDSOCK_USER_ID_KEY. In SQL:
    windsock.hashed_user_id(user_id, key).

    Example: windsock usage hash ada bob
    """
    key = user_id_key()
    if key is None:
        raise ConfigurationError("WINDSOCK_USER_ID_KEY is not set: user ids are stored as they are")
    for each in ids or (line.rstrip("\r\n") for line in sys.stdin):
        say(hashed_user_id(each, key))


def _decided_by(row: UsageRecord, names: Mapping[str, str]) -> str:
    """The profile's name or id, else the variant."""
    return names.get(str(row.config_id), str(row.config_id or row.variant or "-"))


def _lines(row: UsageRecord, names: Mapping[str, str]) -> Iterator[str]:
    """A row for a narrow terminal: who and what decided, then the values."""
    latency = "" if row.latency_ms is None else f", {row.latency_ms:.1f} ms"
    spent = "" if tokens(row) == "-" else f", {tokens(row)} tokens"
    by = _decided_by(row, names)
    yield f"{row.requested_at:%m-%d %H:%M:%S}  {row.user_id or '-'}  {row.flag}: {by}{latency}{spent}"
    if values := ", ".join(values_read(row)):
        yield f"    {values}"
    if ended(row):
        yield f"    {ended(row)}"


def table(rows: Iterable[UsageRecord], names: Mapping[str, str]) -> Grid:
    """Lay the rows out for a wide terminal, a file or a pipe.

    Args:
        rows: What to show.
        names: Profiles' names by their ids.
    """
    grid = Grid()
    for heading in ("when (UTC)", "user", "flag", "profile or variant"):
        grid.add_column(heading, no_wrap=heading != "flag")
    grid.add_column("values read", overflow="fold", ratio=2)
    grid.add_column("healed, failed", overflow="fold", ratio=1)
    for heading in ("ms", "tokens"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = (
            f"{row.requested_at:%m-%d %H:%M:%S}",
            row.user_id or "-",
            row.flag,
            _decided_by(row, names),
            ", ".join(values_read(row)),
            ended(row) or "-",
            "-" if row.latency_ms is None else f"{row.latency_ms:.1f}",
            tokens(row),
        )
        grid.row(*cells)
    return grid
