"""`windsock quarantine`: values that are withdrawn because they failed in use."""

import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._say import print_json, say
from windsock.errors import ConfigurationError
from windsock.flag_names import MIRROR_FOLDER
from windsock.flagfiles.files import read_files
from windsock.flagfiles.sets import flag_set
from windsock.gitops.withdrawing import permanent
from windsock.healing.boards import Board, FileBoard
from windsock.healing.postgres_board import PostgresBoard
from windsock.healing.quarantine import Outbox, Withdrawal
from windsock.postgres.migrations import connect
from windsock.text import escaped
from windsock.usage.reading import profile_names

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True
)

DatabaseUrl = Annotated[
    str | None,
    typer.Option(envvar="DATABASE_URL", show_envvar=True, help="The database; without it the host's file."),
]


@app.callback()
def command() -> None:
    """List and lift the values that are withdrawn because they failed in use."""


@app.command("list")
def list_withdrawn(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False,
    as_change: Annotated[
        bool, typer.Option("--as-change", help="Print the change that makes it permanent: a diff, or SQL.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="The folder of the flag files in Git.")] = Path("flagd"),
    database_url: DatabaseUrl = None,
) -> None:
    """Show what is withdrawn. Example: windsock quarantine list --as-change | git apply."""
    withdrawals = _exchange(database_url, Outbox())
    if as_json:
        print_json([asdict(each) for each in withdrawals])
    elif as_change:
        sys.stdout.writelines(permanent(withdrawals, read_files([folder]) if folder.exists() else ()))
    elif withdrawals:
        names = _names(database_url, folder)
        for each in withdrawals:
            variant = names.get(each.variant, each.variant)
            say(f"{each.flag} {variant} {each.field} = {each.value or '(not kept)'}")
            say(f"  for another {each.left / 60:.0f} min: {each.reason}")
            # not wrapped: a line break in a command that somebody copies would end it
            print(escaped(f"  windsock quarantine lift {shlex.join((each.flag, variant, each.field))}"))
    else:
        print("nothing is withdrawn")


@app.command()
def lift(
    flag: Annotated[str, typer.Argument(help="The flag's key, such as teacher.profile.")],
    variant: Annotated[str, typer.Argument(help="The variant; of a profile, its name or id.")],
    field: Annotated[str, typer.Argument(help="The settings field.")],
    *,
    database_url: DatabaseUrl = None,
) -> None:
    """Serve a value again. Example: windsock quarantine lift teacher base reasoning_model."""
    names = _names(database_url, Path("flagd"))
    found = [
        each
        for each in _exchange(database_url, Outbox())
        if (each.flag, each.field) == (flag, field) and variant in (each.variant, names.get(each.variant))
    ]
    if not found:
        raise ConfigurationError(
            f"{field} of flag {flag!r} variant {variant!r} is not withdrawn; see `windsock quarantine list`"
        )
    _exchange(database_url, Outbox(lifted=tuple(found)))
    say(f"{field} of flag {flag!r} variant {variant!r} is served again, by every process within seconds")


def _exchange(database_url: str | None, outbox: Outbox) -> list[Withdrawal]:
    board: Board = PostgresBoard(database_url) if database_url else FileBoard()
    try:
        return list(board.exchange(outbox))
    except Exception as error:
        raise ConfigurationError(
            f"the withdrawals cannot be read: {str(error).strip()}. Check DATABASE_URL, and run"
            " `windsock migrate`"
        ) from error
    finally:
        board.close()


def _names(database_url: str | None, folder: Path) -> dict[str, str]:
    """Profiles' names by their ids, from the database, else from the documents of a mirror here."""
    if database_url:
        with connect(database_url) as connection:
            return profile_names(connection)
    mirrored = folder / MIRROR_FOLDER
    flags = flag_set(read_files([mirrored])).flags.values() if mirrored.is_dir() else ()
    return {
        key.removeprefix("config."): str(name)
        for flag in flags
        for key, name in flag.metadata.items()
        if key.startswith("config.")
    }
