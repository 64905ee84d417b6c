"""Whether experiments, their metrics and the flags that run them fit together; `windsock lint` asks too."""

from collections.abc import Iterator
from pathlib import Path

from windsock.errors import WindsockError
from windsock.experiments.reading import experiment_files, read_declared, read_holdouts
from windsock.experiments.running.starting import difference, flag_files
from windsock.flagfiles.sets import flag_set


def problems(folder: Path) -> Iterator[str]:
    """What is wrong, a line each: documents that can't be read, and flags that say something else.

    Args:
        folder: The folder of the flags.
    """
    paths = experiment_files(folder)
    if not paths:
        return
    try:
        flags, holdouts = flag_set(flag_files(folder)).flags, read_holdouts(folder / "holdouts.yaml")
    except WindsockError as error:
        yield str(error)
        return
    for path in paths:
        try:
            experiment = read_declared(folder, path.stem).experiment
            if experiment.are_profiles:
                continue  # profiles are assigned in the database
            differs = difference(experiment, flags, holdouts)
        except WindsockError as error:
            yield str(error)
            continue
        if differs:
            yield (
                f"{path}: the flag that runs says something else ({differs}); run "
                f"`windsock experiment start {experiment.name}`, or undo the change"
            )
