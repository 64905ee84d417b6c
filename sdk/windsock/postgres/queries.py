"""Named SQL queries in `.sql` files next to the module that runs them."""

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def load_queries(package: str, filename: str) -> Mapping[str, bytes]:
    """Read a file of queries, each preceded by a line ``-- name: the_name`` and a comment.

    Bytes, because psycopg takes text from a variable only as bytes: text would have to be a literal.

    Args:
        package: The package that contains the file: ``"windsock.mirror"``.
        filename: The file's name: ``"queries.sql"``.

    Returns:
        The text of each query by name.
    """
    text = files(package).joinpath(filename).read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return MappingProxyType(
        {name: query.strip().encode() for name, query in zip(parts[::2], parts[1::2], strict=True)}
    )
