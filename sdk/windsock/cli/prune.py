"""`windsock prune`: delete what is old enough, and nothing of an open experiment."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._database import DatabaseUrl, database
from windsock.cli._say import say
from windsock.errors import WindsockError
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.flagfiles.sets import running_experiments
from windsock.gitops.rollout import parse_duration
from windsock.postgres import retention
from windsock.postgres.migrations import connect


def command(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="The least age of the rows: 12w, 90d, 36h.")
    ],
    *,
    flags: Annotated[
        Path | None,
        typer.Option(
            help=f"The folder of the flags: an experiment that runs there is open. Default: {DEFAULT_FOLDER}."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the rows in a transaction that is rolled back.")
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Delete old rows of usage, events, exposures, history, audit and faults; keep open experiments.

    An experiment is open if a flag runs it, or if somebody was exposed to it within this age. Connect as a
    login in the role windsock_pruner: services cannot delete usage.

    Example: windsock prune --older-than 90d
    """
    age = timedelta(seconds=parse_duration(older_than))
    try:
        running = running_experiments(flags)
    except WindsockError as error:
        error.add_note("nothing was deleted: which experiments run is unknown")
        raise
    with database(database_url) as url, connect(url) as connection:
        deleted = retention.prune(connection, age, running, dry_run=dry_run)
    done = "would be deleted" if dry_run else "deleted"
    for table, count in deleted.items():
        say(f"{table:<32} {count:>9,} {done}")
