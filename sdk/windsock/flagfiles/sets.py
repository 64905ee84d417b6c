"""Flag sets from flag files, as every command needs them."""

from collections.abc import Sequence

from windsock.errors import ConfigurationError
from windsock.flagfiles.files import FlagFile
from windsock.flags import Flag, FlagSet, merge, read_document
from windsock.text import did_you_mean


def flag_set(files: Sequence[FlagFile]) -> FlagSet:
    """Read and merge files, the later winning.

    Raises:
        FlagFileError: Nothing of a file can be read.
    """
    return merge([read_document(file.data, file.path) for file in files])


def flag_of(flags: FlagSet, key: str) -> Flag:
    """One flag of a set.

    Raises:
        ConfigurationError: No flag has this key.
    """
    flag = flags.flags.get(key)
    if flag is None:
        raise ConfigurationError(f"no flag is named {key!r}{did_you_mean(key, list(flags.flags))}")
    return flag
