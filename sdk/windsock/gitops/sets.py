"""Flag sets from flag files, as every command needs them."""

from collections.abc import Sequence

from windsock.flags import FlagSet, merge, read_document
from windsock.gitops.files import FlagFile


def flag_set(files: Sequence[FlagFile]) -> FlagSet:
    """Read and merge files, the later winning.

    Raises:
        FlagFileError: Nothing of a file can be read.
    """
    return merge([read_document(file.data, file.path) for file in files])
