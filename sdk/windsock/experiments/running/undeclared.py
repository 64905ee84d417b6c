"""Which experiments flags run by themselves: written by hand, or left behind by a document that is gone."""

from collections.abc import Collection, Iterable

from windsock.flag_names import EXPERIMENT as EXPERIMENT_FLAG
from windsock.flags import Flag
from windsock.settings.arms import EXPERIMENT


def experiment_name(flag: Flag) -> str | None:
    """The experiment that a flag runs: as its metadata says, else by its key; None if it runs none."""
    own = flag.key if flag.key.endswith(EXPERIMENT_FLAG) else None
    name = flag.metadata.get(EXPERIMENT, own)
    return str(name) if name is not None else None


def undeclared(flags: Iterable[Flag], declared: Collection[str]) -> dict[str, Flag]:
    """The flags that split units without a document, by experiment and sorted.

    Args:
        flags: The flags.
        declared: The names of the experiments that have a document.
    """
    found = {name: flag for flag in flags if flag.targeting and (name := experiment_name(flag))}
    return {name: found[name] for name in sorted(found.keys() - set(declared))}
