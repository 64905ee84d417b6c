"""`windsock quarantine`: values that are withdrawn because they failed in use."""

import shlex
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._say import print_json, say
from windsock.errors import ConfigurationError
from windsock.flagfiles.files import read_files
from windsock.gitops.withdrawing import permanent
from windsock.healing.boards import Board, FileBoard
from windsock.healing.postgres_board import PostgresBoard
from windsock.healing.quarantine import Outbox, Withdrawal

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
        for each in withdrawals:
            for line in _lines(each):
                say(line)
    else:
        print("nothing is withdrawn")


@app.command()
def lift(
    flag: Annotated[str, typer.Argument(help="The flag's key, such as teacher.profile.")],
    variant: Annotated[str, typer.Argument(help="The variant; of a profile, the configuration's id.")],
    field: Annotated[str, typer.Argument(help="The settings field.")],
    *,
    database_url: DatabaseUrl = None,
) -> None:
    """Serve a value again. Example: windsock quarantine lift teacher base reasoning_model."""
    found = [each for each in _exchange(database_url, Outbox()) if each.key == (flag, variant, field)]
    if not found:
        raise ConfigurationError(
            f"{field} of flag {flag!r} variant {variant!r} is not withdrawn; see `windsock quarantine list`"
        )
    _exchange(database_url, Outbox(lifted=tuple(found)))
    print(f"{field} of flag {flag!r} variant {variant!r} is served again, by every process within seconds")


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


def _lines(each: Withdrawal) -> Iterator[str]:
    """A withdrawal in whole lines, so that what `lift` needs can be copied at any width."""
    yield f"{each.flag} {each.variant} {each.field} = {each.value or '(not kept)'}"
    yield f"  for another {each.left / 60:.0f} min: {each.reason}"
    yield f"  windsock quarantine lift {shlex.join(each.key)}"
