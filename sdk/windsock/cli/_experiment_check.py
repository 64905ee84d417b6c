"""`windsock experiment check`: documents, metrics and flags fit together, and so does the data."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._experiment_arguments import Flags
from windsock.cli._experiment_options import Data, Environment, place
from windsock.cli._say import note, say, warn
from windsock.errors import WindsockError
from windsock.experiments.reading import DeclaredExperiment, experiment_files, read_declared, read_metrics
from windsock.experiments.running.checking import problems
from windsock.experiments.running.starting import flag_files
from windsock.experiments.running.undeclared import undeclared
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.flagfiles.sets import flag_set
from windsock.text import count

if TYPE_CHECKING:
    from windsock.experiments.data.source_checks import SourceFinding
    from windsock.experiments.data.warehouse import Warehouse


def command(
    *,
    flags: Flags = DEFAULT_FOLDER,
    sources: Annotated[
        bool, typer.Option("--sources", help="Also try each metric's query on the data that --data names.")
    ] = False,
    data: Data = None,
    environment: Environment = "production",
) -> None:
    """Check every experiment: its document, its metrics, and that its flag agrees. Exit 1 on a problem.

    Example: windsock experiment check --sources
    """
    found = list(map(str, problems(flags)))
    if sources:
        with place(data, "Running each metric's query …") as where:
            found += _in_database(flags, where, environment)
    for each in found:
        warn(each)
    declared = {path.stem for path in experiment_files(flags)}
    with contextlib.suppress(WindsockError):  # `windsock lint` says what is wrong with a flag file
        for name, flag in undeclared(flag_set(flag_files(flags)).flags.values(), declared).items():
            note(f"note: {flag.source}: {name} has no document, so its figures are exploratory")
    say(f"{count(len(experiment_files(flags)), 'experiment')}, {count(len(found), 'problem')}")
    if found:
        raise typer.Exit(EXIT_ERROR)


def _in_database(flags: Path, where: str, environment: str) -> Iterator[str]:
    """The faults of every declared metric's source; prints what is only worth knowing."""
    from windsock.experiments.data.warehouse import open_warehouse  # noqa: PLC0415 - takes a second

    with open_warehouse(where) as warehouse:
        for finding in dict.fromkeys(_findings(warehouse, flags, environment)):
            if finding.is_fault:
                yield finding.text
            else:
                note(f"note: {finding.text}")


def _findings(warehouse: "Warehouse", flags: Path, environment: str) -> "Iterator[SourceFinding]":
    """What is found in the metrics of each experiment, then in those that none names."""
    from windsock.experiments.data.source_checks import check_sources, check_unused  # noqa: PLC0415 - takes a second

    read: list[DeclaredExperiment] = []
    for path in experiment_files(flags):
        with contextlib.suppress(WindsockError):  # its document's problems are reported already
            read.append(read_declared(flags, path.stem))
    for declared in read:
        yield from check_sources(warehouse, declared, environment)
    if read:
        every, named = read_metrics(flags / "metrics.yaml"), {name for each in read for name in each.metrics}
        unused = {name: metric for name, metric in every.metrics.items() if name not in named}
        unnamed = replace(every, metrics=unused)
        yield from check_unused(warehouse, unnamed, read[0].experiment, environment)
