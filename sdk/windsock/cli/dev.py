"""`windsock dev`: the database, the mirror and the console, on your machine and until Ctrl-C."""

import shlex
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._options import FlagFolder
from windsock.cli._project import settings_classes
from windsock.cli._say import note, say_whole
from windsock.cli._service_log import LogFormat, log_to_stderr
from windsock.cli._signals import stop_event
from windsock.flag_names import MIRROR_FOLDER
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.flagfiles.sets import object_flags
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations
from windsock.settings.settings import Settings
from windsock.text import count

Flags = Annotated[
    list[str] | None,
    typer.Option(
        envvar="WINDSOCK_MIRROR_FLAGS",
        help="A settings class's flag to mirror; repeat it. Default: the folder's flags whose values are "
        "objects.",
    ),
]
SettingsClasses = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE:CLASS",
        help="A settings class for the console and for checking profiles; repeat it.",
    ),
]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="The console's port; 0 picks a free one.")]
Browse = Annotated[
    bool | None,
    typer.Option("--open/--no-open", help="Open the console in a browser; by default from a terminal."),
]


def command(
    *,
    flag: Flags = None,
    settings: SettingsClasses = None,
    folder: FlagFolder = DEFAULT_FOLDER,
    port: Port = 8090,
    browse: Browse = None,
) -> None:
    """Run a migrated PostgreSQL, the mirror and the console, until Ctrl-C. DATABASE_URL isn't read.

    The line on stdout sets DATABASE_URL in another shell. The data stays in .windsock/postgres. The console
    needs --settings; it comes with a token to sign in with, which is revoked when the command ends.

    Example: windsock dev --settings app.settings:Teacher
    """
    classes = settings_classes(settings or ())
    if classes:
        from windsock.console import Console  # noqa: F401, PLC0415 - without its extra, nothing starts
    flags = tuple(flag or object_flags(folder))
    log_to_stderr(LogFormat.TEXT)
    with stop_event() as stop, embedded.start() as server:
        with connect(server.url) as connection:
            applied = migrate(connection, read_migrations())
        note(f"PostgreSQL runs in {server.folder}; {count(len(applied), 'migration')} applied")
        say_whole(f"export DATABASE_URL={shlex.quote(server.url)}")
        with _console(classes, folder, server.url, port) as page:
            if page and (sys.stdout.isatty() if browse is None else browse):
                webbrowser.open(page)
            if flags:
                note(f"the mirror follows {', '.join(flags)} into {folder / MIRROR_FOLDER}; Ctrl-C ends all")
                options = MirrorOptions(
                    url=server.url,
                    folder=folder / MIRROR_FOLDER,
                    flags=flags,
                    settings=classes,
                    git_folder=folder,
                )
                Mirror(options).watch(stop)
            else:
                note(f"no mirror: no flag in {folder} has objects as values; name one with --flag")
                stop.wait()
    note("stopped")


@contextmanager
def _console(classes: tuple[type[Settings], ...], folder: Path, url: str, port: int) -> Iterator[str | None]:
    """Serve the console beside the mirror, with a token that is refused once this ends."""
    if not classes:
        note("no console: name a settings class with --settings to see it in a browser")
        yield None
        return
    from windsock.api import Role, create_token, revoke_token  # noqa: PLC0415 - loads FastAPI
    from windsock.console import Console  # noqa: PLC0415 - loads FastAPI
    from windsock.console.serving import beside  # noqa: PLC0415 - loads FastAPI

    name = f"dev {datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
    with beside(Console(classes, folder, url), port) as page:
        note(f"the console is at {page}; sign in with")
        with connect(url) as connection:
            note(create_token(connection, name, Role.ADMIN))
        try:
            yield page
        finally:
            with connect(url) as connection:  # the first may not have lasted as long
                revoke_token(connection, name)
