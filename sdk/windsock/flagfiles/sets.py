"""Flag sets from flag files, as every command needs them."""

from collections.abc import Sequence

from windsock.flagfiles.files import FlagFile
from windsock.flags import FlagSet, merge, read_document


def flag_set(files: Sequence[FlagFile]) -> FlagSet:
    """Read and merge files, the later winning.

    Raises:
        FlagFileError: Nothing of a file can be read.
    """
    return merge([read_document(file.data, file.path) for file in files])
