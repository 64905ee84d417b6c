"""`windsock mirror`: assignments in the database become flagd files."""

import contextlib
import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._database import database
from windsock.cli._mirror_options import (
    FOLDER,
    Folder,
    GitFolder,
    PublishOptions,
    ReadOptions,
    Shards,
    taking,
)
from windsock.cli._say import progress, say, say_whole, warn
from windsock.cli._service_log import log_to_stderr
from windsock.cli._signals import stop_event
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.flagfiles.sets import object_flags, running_experiments
from windsock.gitops.rollout import parse_duration
from windsock.mirror.health import serve_health
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions, flagd_sources
from windsock.mirror.pruning import pruning
from windsock.text import count, did_you_mean

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True
)

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


@app.callback()
def command() -> None:
    """Publish who is assigned to which configuration, as flagd files."""


@app.command()
@taking(PublishOptions)
def run(
    options: PublishOptions,
    *,
    health_port: HealthPort = None,
    health_host: HealthHost = "127.0.0.1",
    prune_older_than: PruneOlderThan = None,
    poll: Annotated[float, typer.Option(help="Seconds between polls, for lost notifications.")] = 2.0,
) -> None:
    """Publish, and keep following changes.

    Example: windsock mirror run --flag teacher
    """
    log_to_stderr(options.log_format)
    age = prune_older_than and timedelta(seconds=parse_duration(prune_older_than))
    with database(options.database_url) as url:
        mirror = _mirror(replace(options.mirror(url), poll_seconds=poll))
        prunes: AbstractContextManager[None] = contextlib.nullcontext()
        if age:
            named = None if options.git_folder == DEFAULT_FOLDER else options.git_folder
            experiments = partial(running_experiments, named)
            prunes = pruning(url, age, experiments, lambda: mirror.status.leading)
        with serve_health(mirror.status, health_port, health_host), stop_event() as stop, prunes:
            mirror.watch(stop)


@app.command()
@taking(PublishOptions)
def once(
    options: PublishOptions,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which files would be written.")] = False,
) -> None:
    """Publish once and exit.

    Example: windsock mirror once --flag teacher --dry-run
    """
    log_to_stderr(options.log_format)
    with database(options.database_url) as url:
        mirror = _mirror(options.mirror(url))
        if dry_run:
            _tell(mirror.differences())
            return
        written = mirror.once()
    say(f"{count(written.assigned, 'user')} with a profile; {count(len(written.files), 'file')} written")


@app.command()
@taking(ReadOptions)
def verify(options: ReadOptions) -> None:
    """Compare the files with the database; exit 1 if they differ.

    Example: windsock mirror verify --flag teacher
    """
    log_to_stderr(options.log_format)
    with database(options.database_url) as url:
        differences = _mirror(options.mirror(url)).differences()
    _tell(differences)
    if differences:
        raise typer.Exit(EXIT_ERROR)


def _mirror(options: MirrorOptions) -> Mirror:
    _tell_unknown(options)
    mirror = Mirror(options)
    if sys.stderr.isatty():
        mirror.show_progress(_progress)
    return mirror


def _tell_unknown(options: MirrorOptions) -> None:
    """Warn of a flag that neither a named class nor a file has: services would not read what is published."""
    known = {each.__windsock__.declaration.flag for each in options.settings}
    known.update(object_flags(options.git_folder))
    for flag in options.flags if known else ():
        if flag not in known:
            near = did_you_mean(flag, sorted(known))
            warn(f"no class in --settings and no file in {options.git_folder} has the flag {flag!r}{near}")


def _tell(differences: Sequence[str]) -> None:
    for line in differences or ["the files are what the database says"]:
        say(line)


@app.command("flagd-config")
def flagd_config(
    folder: Folder = FOLDER,
    shards: Shards = None,
    git_folder: GitFolder = DEFAULT_FOLDER,
    root: Annotated[
        Path | None, typer.Option(help="Where flagd sees the Git folder, such as /etc/flagd in a container.")
    ] = None,
) -> None:
    """Print every flag file as flagd's --sources.

    First the files in Git, then the mirror's, as JSON.

    Example: flagd start --sources "$(windsock mirror flagd-config)"
    """
    say_whole(json.dumps(flagd_sources(folder, shards, git_folder, root)))


def _progress(done: int, total: int) -> None:
    """Draw how far a publication is; one of less than ten documents is over before it can be read."""
    if total >= 10:
        bar = "#" * (done * 40 // total)
        progress(f"{bar:40} {done}/{total} documents" if done + 1 < total else "")
