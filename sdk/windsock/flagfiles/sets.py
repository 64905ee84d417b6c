"""Flag sets from flag files, for every command."""

from collections.abc import Sequence
from pathlib import Path

from windsock.errors import ConfigurationError, UnreachableError
from windsock.flag_names import EXPERIMENT as EXPERIMENT_FLAG
from windsock.flagfiles.files import DEFAULT_FOLDER, FlagFile, read_files
from windsock.flags import Flag, FlagSet, merge
from windsock.logs import get_logger
from windsock.settings.arms import EXPERIMENT
from windsock.text import bounded, did_you_mean
from windsock.usage.data import MAX_TEXT

_log = get_logger("windsock.flags")


def flag_set(files: Sequence[FlagFile]) -> FlagSet:
    """Read and merge files; later ones win.

    Raises:
        FlagFileError: Nothing of a file can be read.
    """
    return merge([file.document for file in files])


def flag_of(flags: FlagSet, key: str) -> Flag:
    """Return one flag of a set.

    Raises:
        ConfigurationError: No flag has this key.
    """
    flag = flags.flags.get(key)
    if flag is None:
        raise ConfigurationError(f"no flag is named {key!r}{did_you_mean(key, list(flags.flags))}")
    return flag


def running_experiments(folder: Path | None = None) -> list[str]:
    """Return the experiments that a folder's flags run, sorted.

    An experiment that its flag's metadata doesn't name has the flag's key as its name, as in exposures. The
    names are as exposures keep them: bounded, without NUL.

    Args:
        folder: The folder; None for the default one, which may be missing: then there are none.

    Raises:
        UnreachableError: The folder is missing or has no flag file.
        FlagFileError: Nothing of a file can be read.
        ConfigurationError: A flag can't be read, and might run an experiment.
    """
    documents = []
    if any((folder or DEFAULT_FOLDER).glob("*.flagd.*")):
        documents = [file.document for file in read_files([folder or DEFAULT_FOLDER])]
    elif folder is not None:
        raise UnreachableError(f"{folder}: there is no flag file")
    else:
        _log.warning(
            "there is no flag file in %s: an experiment is open only if somebody was exposed to it lately",
            DEFAULT_FOLDER,
        )
    for document in documents:
        for problem in document.problems:
            if problem.flag is not None and problem.flag not in document.flags:
                raise ConfigurationError(str(problem))
    flags = [flag for document in documents for flag in document.flags.values()]
    run = [flag for flag in flags if EXPERIMENT in flag.metadata or flag.key.endswith(EXPERIMENT_FLAG)]
    return sorted({bounded(flag.metadata.get(EXPERIMENT, flag.key), MAX_TEXT) for flag in run})


def object_flags(folder: Path) -> list[str]:
    """Return the flags that look like a settings class's: all their values are objects."""
    try:
        flags = flag_set(read_files([folder])).flags
    except UnreachableError:  # the folder doesn't exist yet
        return []
    return [
        key
        for key, flag in flags.items()
        if "." not in key and flag.variants and all(isinstance(each, dict) for each in flag.variants.values())
    ]
