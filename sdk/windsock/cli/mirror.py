"""`windsock mirror`: assignments in the database become flagd files."""

import contextlib
import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final, TypedDict, Unpack

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._database import DatabaseUrl, database
from windsock.cli._project import settings_classes
from windsock.cli._say import say
from windsock.cli._service_log import LogFormat, log_to_stderr
from windsock.cli._signals import stop_event
from windsock.flag_names import MIRROR_FOLDER
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.flagfiles.sets import running_experiments
from windsock.gitops.rollout import parse_duration
from windsock.mirror.health import serve_health
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions, flagd_sources
from windsock.mirror.pruning import pruning
from windsock.text import count

_FOLDER: Final = DEFAULT_FOLDER / MIRROR_FOLDER


class Unfit(StrEnum):
    """What happens to a configuration that does not fit its settings class."""

    PUBLISH = "publish"
    HOLD_BACK = "hold-back"


app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True
)

Flags = Annotated[
    list[str],
    typer.Option(
        "--flag",
        envvar="WINDSOCK_MIRROR_FLAGS",
        help="A settings class's flag name; repeat it for several (space-separated in the variable).",
    ),
]
Folder = Annotated[Path, typer.Option(help="The mirror's own folder of flagd files.")]
GitFolder = Annotated[Path, typer.Option(help="The folder of the flag files in Git.")]
Shards = Annotated[
    int | None,
    typer.Option(help="How many files; fixed when the folder is set up. Default: as set up, else 1."),
]
Group = Annotated[
    str, typer.Option(help="Mirrors of one group share a folder: one leads, the others stand by.")
]
AllowShrink = Annotated[
    bool, typer.Option("--allow-shrink", help="Let one publication remove many assignments.")
]
SettingsClasses = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE:CLASS",
        help="A settings class that configurations are checked against; repeat it. With several flags, each"
        " class gets the keys that are its fields.",
    ),
]
WhenUnfit = Annotated[
    Unfit, typer.Option(help="What to do with a configuration that does not fit its settings class.")
]
Log = Annotated[LogFormat, typer.Option(help="Lines for people, or one JSON object a line.")]
LearningConfig = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FLAG[:TABLE]",
        help="Also write this flag's base values into a table (learning_config) for SQL; needs the flag's"
        " class in --settings. Repeat it.",
    ),
]
Units = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FLAG:TABLE",
        help="Also write what this flag's rules decide for each id in a table, such as campaigns, beside its"
        " base values. Repeat it.",
    ),
]
HealthPort = Annotated[
    int | None,
    typer.Option(envvar="WINDSOCK_HEALTH_PORT", help="Serve /healthz, /readyz and /metrics on this port."),
]
HealthHost = Annotated[
    str,
    typer.Option(
        envvar="WINDSOCK_HEALTH_HOST",
        help="The address to serve them on; in Kubernetes 0.0.0.0, because probes come from outside the pod.",
    ),
]
PruneOlderThan = Annotated[
    str | None,
    typer.Option(
        metavar="AGE",
        help="Also delete rows of this age every hour, as `windsock prune` does: 12w, 90d. The login needs"
        " the role windsock_pruner too.",
    ),
]
Environment = Annotated[str, typer.Option(envvar="ENVIRONMENT", help="The environment of those base values.")]


@app.callback()
def command() -> None:
    """Publish who is assigned to which configuration, as flagd files."""


@app.command()
def run(
    *,
    flag: Flags,
    database_url: DatabaseUrl = None,
    folder: Folder = _FOLDER,
    shards: Shards = None,
    group: Group = "default",
    allow_shrink: AllowShrink = False,
    health_port: HealthPort = None,
    health_host: HealthHost = "127.0.0.1",
    settings: SettingsClasses = None,
    unfit: WhenUnfit = Unfit.PUBLISH,
    log_format: Log = LogFormat.TEXT,
    learning_config: LearningConfig = None,
    units: Units = None,
    git_folder: GitFolder = DEFAULT_FOLDER,
    environment: Environment = "production",
    prune_older_than: PruneOlderThan = None,
    poll: Annotated[float, typer.Option(help="Seconds between polls that back up the wake-ups.")] = 2.0,
) -> None:
    """Publish, and keep following changes.

    Example: windsock mirror run --flag teacher
    """
    log_to_stderr(log_format)
    age = prune_older_than and timedelta(seconds=parse_duration(prune_older_than))
    with database(database_url) as url:
        mirror = _mirror(
            url, flag, settings, unfit, learning_config,
            units=tuple(units or ()),
            folder=folder, shards=shards, git_folder=git_folder, environment=environment,
            group=group, allow_shrink=allow_shrink, poll_seconds=poll,
        )  # fmt: skip
        prunes: AbstractContextManager[None] = contextlib.nullcontext()
        if age:
            prunes = pruning(
                url, age, partial(running_experiments, git_folder), lambda: mirror.status.leading
            )
        with serve_health(mirror.status, health_port, health_host), stop_event() as stop, prunes:
            mirror.watch(stop)


@app.command()
def once(
    *,
    flag: Flags,
    database_url: DatabaseUrl = None,
    folder: Folder = _FOLDER,
    shards: Shards = None,
    group: Group = "default",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which files would be written.")] = False,
    allow_shrink: AllowShrink = False,
    settings: SettingsClasses = None,
    unfit: WhenUnfit = Unfit.PUBLISH,
    log_format: Log = LogFormat.TEXT,
    learning_config: LearningConfig = None,
    units: Units = None,
    git_folder: GitFolder = DEFAULT_FOLDER,
    environment: Environment = "production",
) -> None:
    """Publish once and exit.

    Example: windsock mirror once --flag teacher --dry-run
    """
    log_to_stderr(log_format)
    with database(database_url) as url:
        mirror = _mirror(
            url, flag, settings, unfit, learning_config,
            units=tuple(units or ()),
            folder=folder, shards=shards, git_folder=git_folder, environment=environment,
            group=group, allow_shrink=allow_shrink,
        )  # fmt: skip
        if dry_run:
            _tell(mirror.differences())
            return
        written = mirror.once()
    print(f"{count(written.assigned, 'user')} with a profile; {count(len(written.files), 'file')} written")


@app.command()
def verify(
    *,
    flag: Flags,
    database_url: DatabaseUrl = None,
    folder: Folder = _FOLDER,
    shards: Shards = None,
    settings: SettingsClasses = None,
    unfit: WhenUnfit = Unfit.PUBLISH,
    log_format: Log = LogFormat.TEXT,
    learning_config: LearningConfig = None,
    units: Units = None,
    git_folder: GitFolder = DEFAULT_FOLDER,
    environment: Environment = "production",
) -> None:
    """Compare the files with the database; exit 1 if they differ.

    Example: windsock mirror verify --flag teacher
    """
    log_to_stderr(log_format)
    with database(database_url) as url:
        mirror = _mirror(
            url, flag, settings, unfit, learning_config,
            units=tuple(units or ()),
            folder=folder, shards=shards, git_folder=git_folder, environment=environment,
        )  # fmt: skip
        differences = mirror.differences()
    _tell(differences)
    if differences:
        raise typer.Exit(EXIT_ERROR)


class _Same(TypedDict, total=False):
    """The options that are called alike here and in `MirrorOptions`."""

    units: tuple[str, ...]
    folder: Path
    shards: int | None
    group: str
    allow_shrink: bool
    poll_seconds: float
    git_folder: Path
    environment: str


def _mirror(
    url: str,
    flags: Sequence[str],
    settings: Sequence[str] | None,
    unfit: Unfit,
    learning_config: Sequence[str] | None,
    **same: Unpack[_Same],
) -> Mirror:
    options = MirrorOptions(
        url=url,
        flags=tuple(flags),
        settings=settings_classes(settings or ()),
        hold_back_misfits=unfit is Unfit.HOLD_BACK,
        learning_config=tuple(learning_config or ()),
        **same,
    )
    mirror = Mirror(options)
    if sys.stderr.isatty():
        mirror.show_progress(_progress)
    return mirror


def _tell(differences: Sequence[str]) -> None:
    for line in differences or ["the files are what the database says"]:
        say(line)


@app.command("flagd-config")
def flagd_config(
    folder: Folder = _FOLDER,
    shards: Shards = None,
    git_folder: GitFolder = DEFAULT_FOLDER,
    root: Annotated[
        Path | None, typer.Option(help="Where flagd sees the Git folder, such as /etc/flagd in a container.")
    ] = None,
) -> None:
    """Print flagd's sources.

    Example: flagd start --sources "$(windsock mirror flagd-config)"
    """
    print(json.dumps(flagd_sources(folder, shards, git_folder, root)))


def _progress(done: int, total: int) -> None:
    """Draw how far a publication is; one of less than ten documents is over before it can be read."""
    if total >= 10:
        bar = "#" * (done * 40 // total)
        sys.stderr.write(f"\r{bar:40} {done}/{total} documents" if done + 1 < total else f"\r{'':70}\r")
        sys.stderr.flush()
