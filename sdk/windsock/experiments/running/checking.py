"""Checks that experiments, their metrics and the flags that run them agree; `windsock lint` uses it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from windsock.errors import WindsockError
from windsock.experiments.reading import experiment_files, read_declared, read_holdouts
from windsock.experiments.running.starting import difference, flag_files
from windsock.flagfiles.sets import flag_set

_PLACE: Final = re.compile(r"(?P<source>.+?):(?P<line>\d+):(?:\d+:)? (?P<message>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ExperimentProblem:
    """A problem with a declared experiment.

    Attributes:
        source: The document, or the file that it names.
        line: One-based line, or 0.
        message: What is wrong and what to do next.
    """

    source: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        return f"{place}: {self.message}"


def problems(folder: Path) -> Iterator[ExperimentProblem]:
    """Find problems: documents that can't be read, and flags that disagree with their documents.

    Args:
        folder: The folder of the flags.
    """
    paths = experiment_files(folder)
    if not paths:
        return
    try:
        flags, holdouts = flag_set(flag_files(folder)).flags, read_holdouts(folder / "holdouts.yaml")
    except WindsockError as error:
        yield from _of(folder, error)
        return
    for path in paths:
        try:
            experiment = read_declared(folder, path.stem).experiment
            if experiment.are_profiles:
                continue  # profiles are assigned in the database
            differs = difference(experiment, flags, holdouts)
        except WindsockError as error:
            yield from _of(path, error)
            continue
        if differs:
            yield ExperimentProblem(
                str(path),
                0,
                f"the flag that runs says something else ({differs}); run `windsock experiment start "
                f"{experiment.name}`, or undo the change",
            )


def _of(path: Path, error: WindsockError) -> Iterator[ExperimentProblem]:
    """The lines of an error, each split into its place and its message."""
    for line in error.lines:
        found = _PLACE.fullmatch(line)
        if found is None:
            yield ExperimentProblem(str(path), 0, line.removeprefix(f"{path}: "))
        else:
            yield ExperimentProblem(found["source"], int(found["line"]), found["message"])
