"""`windsock experiment assign`: profiles as arms."""

from typing import Annotated

import typer

from windsock.cli._database import DatabaseUrl, database
from windsock.cli._experiment_arguments import Flags, Name
from windsock.cli._say import progress, say
from windsock.experiments.reading import read_declared
from windsock.experiments.running.assigning import Options, assign, undo
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.postgres.migrations import connect
from windsock.text import count
from windsock.variables import user_id_key


def command(
    name: Name,
    *,
    flags: Flags = DEFAULT_FOLDER,
    batch: Annotated[int, typer.Option(min=1, max=100_000, help="Users in one transaction.")] = 5_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the users.")] = False,
    undone: Annotated[
        bool, typer.Option("--undo", help="Take this version's profiles from users who still have them.")
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Assign a profile to users without one, where an experiment's arms are profiles.

    Each user's arm follows from a hash of the id. Run it again to continue after an interruption, and for new
    users.

    Example: windsock experiment assign tuned_profile --dry-run
    """
    experiment = read_declared(flags, name).experiment
    options = Options(batch, user_id_key(), dry_run)
    with database(database_url) as url, connect(url) as connection:
        if undone:
            freed = undo(connection, experiment, options, _show)
            progress("")
            have = "would have" if dry_run else "has" if freed == 1 else "have"
            say(f"{count(freed, 'user')} {have} no profile again")
            return
        assigned = assign(connection, experiment, options, lambda given: _show(sum(given.values())))
    progress("")
    done = "would get it" if dry_run else "got it"
    for arm, users in assigned.items():
        say(f"{arm} ({experiment.arms[arm]}): {count(users, 'user')} {done}")


def _show(users: int) -> None:
    progress(count(users, "user"))
