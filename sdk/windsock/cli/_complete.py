"""What the shell offers after a command's name: the keys of the flags in the project's own files."""

import re
from typing import Annotated, Final

import typer

from windsock.errors import WindsockError
from windsock.flagfiles.files import read_files

_PLAIN: Final = re.compile(r"[\w./@+-]+", re.ASCII)
"""Keys without a sign that means something to a shell: zsh evaluates what it is offered."""


def flag_keys(incomplete: str) -> list[str]:
    """The plain keys with this beginning; none if a file can't be read: a shell can't show the reason."""
    try:
        documents = [file.document for file in read_files(())]
    except WindsockError:
        return []
    keys = {key for document in documents for key in document.flags if _PLAIN.fullmatch(key)}
    return sorted(key for key in keys if key.startswith(incomplete))


FlagKey = Annotated[str, typer.Argument(help="The flag's key.", autocompletion=flag_keys)]
