"""`windsock experiment check`: documents, metrics and flags fit together, and so does the data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._experiment_arguments import Flags
from windsock.cli._experiment_options import Data, Environment, place
from windsock.cli._say import note, warn
from windsock.errors import WindsockError
from windsock.experiments.reading import experiment_files, read_declared
from windsock.experiments.running.checking import problems
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.text import count


def command(
    *,
    flags: Flags = DEFAULT_FOLDER,
    sources: Annotated[
        bool, typer.Option("--sources", help="Also run each metric's query, without rows, where --data says.")
    ] = False,
    data: Data = None,
    environment: Environment = "production",
) -> None:
    """Check every experiment: its document, its metrics, and that its flag agrees. Exit 1 if not.

    Example: windsock experiment check --sources
    """
    found = list(map(str, problems(flags)))
    if sources:
        with place(data, "Running each metric's query …") as where:
            found += _in_database(flags, where, environment)
    for each in found:
        warn(each)
    print(f"{count(len(experiment_files(flags)), 'experiment')}, {count(len(found), 'problem')}")
    if found:
        raise typer.Exit(EXIT_ERROR)


def _in_database(flags: Path, where: str, environment: str) -> Iterator[str]:
    """The faults of every experiment's sources; prints what is only worth knowing."""
    from windsock.experiments.data.source_checks import check_sources  # noqa: PLC0415 - takes a second
    from windsock.experiments.data.warehouse import open_warehouse  # noqa: PLC0415 - takes a second

    said = set()
    with open_warehouse(where) as warehouse:
        for path in experiment_files(flags):
            try:
                declared = read_declared(flags, path.stem)
            except WindsockError:
                continue  # its document's problems are reported already
            for finding in check_sources(warehouse, declared, environment):
                if finding.text in said:
                    continue
                said.add(finding.text)
                if finding.is_fault:
                    yield finding.text
                else:
                    note(f"note: {finding.text}")
