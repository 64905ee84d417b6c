"""`windsock quarantine`: values that are withdrawn because they failed in use."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._options import JsonList
from windsock.cli._say import print_json, print_patch, say, say_whole
from windsock.flagfiles.files import DEFAULT_FOLDER, read_files
from windsock.gitops.withdrawing import lift_withdrawal, names_of_profiles, permanent, withdrawals

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
    as_json: JsonList = False,
    as_change: Annotated[
        bool,
        typer.Option(
            "--as-change",
            help="Print what makes it permanent: a diff of the files, and commands for profiles.",
        ),
    ] = False,
    folder: Annotated[Path, typer.Option(help="The folder of the flag files in Git.")] = DEFAULT_FOLDER,
    database_url: DatabaseUrl = None,
) -> None:
    """Show what is withdrawn.

    Example: windsock quarantine list --as-change | git apply
    """
    found = withdrawals(database_url)
    if as_json:
        print_json([asdict(each) for each in found])
    elif as_change:
        files = read_files([folder]) if folder.exists() else ()
        print_patch(permanent(found, files, names_of_profiles(database_url, folder)))
    elif found:
        names = names_of_profiles(database_url, folder)
        for each in found:
            variant = names.get(each.variant, each.variant)
            say(f"{each.flag} {variant} {each.field} = {each.value or '(not kept)'}")
            say(f"  for another {each.left / 60:.0f} min: {each.reason}")
            # not wrapped: a line break in a command that somebody copies would end it
            say_whole(f"  windsock quarantine lift {shlex.join((each.flag, variant, each.field))}")
    else:
        say("nothing is withdrawn")


@app.command()
def lift(
    flag: Annotated[str, typer.Argument(help="The flag's key, such as teacher.profile.")],
    variant: Annotated[str, typer.Argument(help="The variant; of a profile, its name or id.")],
    field: Annotated[str, typer.Argument(help="The settings field.")],
    *,
    database_url: DatabaseUrl = None,
) -> None:
    """Serve a value again.

    Example: windsock quarantine lift teacher base reasoning_model
    """
    lift_withdrawal(database_url, flag, variant, field)
    say(f"{field} of flag {flag!r} variant {variant!r} is served again, by every process within seconds")
