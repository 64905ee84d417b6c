"""What Aura remembers: texts and their vectors in SQLite, all of one model and one dimension."""

import math
import sqlite3
from array import array
from collections.abc import Sequence
from operator import mul
from pathlib import Path

_TABLE = """\
create table if not exists memories (
    user_id text not null,
    text text not null,
    model text not null,
    dimension integer not null,
    vector blob not null -- 32-bit floats of this machine
)"""


class MismatchError(Exception):
    """The embedding model or dimension does not fit the vectors that are stored.

    Attributes:
        param: The setting that does not fit, as API errors name their parameter; windsock heals that one.
    """

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


class Memory:
    """A file of vectors. Those of two models, compared, give numbers without a meaning: that is refused.

    Raises:
        ValueError: The file cannot be made, or is none of Aura's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = _opened(path)
        except (OSError, sqlite3.Error) as error:
            message = f"AURA_MEMORY_PATH={path} cannot be used: {error}; name a file that Aura may write"
            raise ValueError(message) from error

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def stored(self) -> tuple[str, int] | None:
        """The model and the dimension of what is stored, or None while nothing is."""
        row: tuple[str, int] | None = self._database.execute(
            "select model, dimension from memories limit 1"
        ).fetchone()
        return row

    def check(self, model: str, dimension: int) -> None:
        """Refuse a model or a dimension that is not that of the stored vectors.

        Raises:
            MismatchError: Says what is stored, what was asked for, and what to do.
        """
        stored = self.stored()
        if stored is None or stored == (model, dimension):
            return
        field, wanted = (
            ("embeddings_dimension", dimension) if stored[1] != dimension else ("embeddings_model", model)
        )
        raise MismatchError(
            field,
            f"{field} {wanted} does not fit the vectors in {self.path}, which are of {stored[0]} with "
            f"{stored[1]} dimensions: restore it, or move that file away to start with an empty memory",
        )

    def add(self, user_id: str, text: str, model: str, vector: list[float]) -> None:
        """Remember a text of a user."""
        self.check(model, len(vector))
        with self._database:
            self._database.execute(
                "insert into memories values (?, ?, ?, ?, ?)",
                (user_id, text, model, len(vector), array("f", vector).tobytes()),
            )

    def nearest(self, user_id: str, vector: list[float], count: int = 3) -> list[str]:
        """Give the user's texts that are most similar, by the angle between the vectors."""
        rows = self._database.execute("select text, vector from memories where user_id = ?", (user_id,))
        scored = [(_cosine(vector, array("f", stored)), text) for text, stored in rows]
        return [text for _, text in sorted(scored, reverse=True)[:count]]


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    try:
        database.execute(_TABLE)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _cosine(left: Sequence[float], right: Sequence[float]) -> float:
    lengths = math.hypot(*left) * math.hypot(*right)
    return sum(map(mul, left, right)) / lengths if lengths else 0.0
