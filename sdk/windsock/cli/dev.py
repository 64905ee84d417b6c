"""`windsock dev`: the database and the mirror that a service needs, on your machine and until Ctrl-C."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._project import settings_classes
from windsock.cli._service_log import LogFormat, log_to_stderr
from windsock.cli._signals import stop_event
from windsock.flag_names import MIRROR_FOLDER
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.flagfiles.sets import object_flags
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, find_folder, migrate, read_migrations


def command(
    *,
    flag: Annotated[
        list[str] | None,
        typer.Option(
            envvar="WINDSOCK_MIRROR_FLAGS",
            help="A settings class's flag to mirror; repeat it. Default: the folder's flags whose values are "
            "objects.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE:CLASS", help="A settings class to check profiles against; repeat it."),
    ] = None,
    folder: Annotated[Path, typer.Option(help="The folder of the flag files.")] = DEFAULT_FOLDER,
) -> None:
    """Run an embedded PostgreSQL, migrated, and the mirror, until Ctrl-C. DATABASE_URL isn't read.

    The line on stdout sets DATABASE_URL in another shell. The data stays in .windsock/postgres.

    Example: windsock dev --flag teacher
    """
    classes = settings_classes(settings or ())
    flags = tuple(flag or object_flags(folder))
    log_to_stderr(LogFormat.TEXT)
    with stop_event() as stop, embedded.start() as server:
        with connect(server.url) as connection:
            applied = migrate(connection, read_migrations(find_folder()))
        _tell(f"PostgreSQL runs in {server.folder}; {len(applied)} migrations applied")
        print(f"export DATABASE_URL={shlex.quote(server.url)}", flush=True)
        # `windsock serve`'s page: enter its context here
        if flags:
            _tell(f"the mirror follows {', '.join(flags)} into {folder / 'mirror'}; Ctrl-C ends both")
            options = MirrorOptions(
                url=server.url,
                folder=folder / MIRROR_FOLDER,
                flags=flags,
                settings=classes,
                git_folder=folder,
            )
            Mirror(options).watch(stop)
        else:
            _tell(f"no mirror: no flag in {folder} has objects as values; name one with --flag. Ctrl-C ends")
            stop.wait()
    _tell("stopped")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
