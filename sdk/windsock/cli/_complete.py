"""What the shell offers after a command's name: the keys of the flags in the project's own files."""

from windsock.errors import WindsockError
from windsock.flagfiles.files import read_files


def flag_keys(incomplete: str) -> list[str]:
    """The keys with this beginning; none if a file can't be read, because a shell can't show the reason."""
    try:
        documents = [file.document for file in read_files(())]
    except WindsockError:
        return []
    return sorted({key for document in documents for key in document.flags if key.startswith(incomplete)})
