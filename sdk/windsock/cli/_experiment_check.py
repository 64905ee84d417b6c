"""`windsock experiment check`: documents, metrics and flags fit together."""

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._experiment_arguments import Flags
from windsock.cli._say import warn
from windsock.experiments.reading import experiment_files
from windsock.experiments.running.checking import problems
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.text import count


def command(*, flags: Flags = DEFAULT_FOLDER) -> None:
    """Check every experiment: its document, its metrics, and that its flag agrees. Exit 1 if not.

    Example: windsock experiment check
    """
    found = list(problems(flags))
    for each in found:
        warn(str(each))
    print(f"{count(len(experiment_files(flags)), 'experiment')}, {count(len(found), 'problem')}")
    if found:
        raise typer.Exit(EXIT_ERROR)
