"""The users of one configuration in one shard, kept as text: a million id objects wouldn't fit in memory."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)

# Searching for one id costs about as much as writing this many ids.
_SEARCH_COST = 20


def json_text(value: object) -> str:
    """Serialize a JSON value in the documents' canonical form."""
    return _encoder.encode(value)


class IdTally(NamedTuple):
    """The numbers that describe a list of user ids; see `IdList`."""

    users: int
    checksum: int


@dataclass(frozen=True, slots=True)
class IdList:
    """A list of user ids.

    Attributes:
        text: The ids as the inside of a JSON list, sorted by code point, without spaces: ``"a","b"``. Text,
            because PostgreSQL produces it, and a million ids take a third of the memory of objects.
        count: How many ids there are, at least one.
        checksum: The sum of their hashes as the database reports them; reveals changes that no trigger
            logged.
    """

    text: str
    count: int
    checksum: int = field(default=0, compare=False)

    @property
    def tally(self) -> IdTally:
        """The list's numbers."""
        return IdTally(self.count, self.checksum)

    @classmethod
    def of(cls, user_ids: Collection[str]) -> Self:
        """Write ids in the documents' canonical form."""
        return cls(json_text(sorted(user_ids))[1:-1], len(user_ids))

    @classmethod
    def read(cls, text: str) -> Self:
        """Use the inside of a JSON list as it is, and count the ids.

        Raises:
            ValueError: It isn't a list of strings.
        """
        ids = json.loads(f"[{text}]")
        if not all(isinstance(user_id, str) for user_id in ids):
            raise ValueError("a user id is not a string")
        return cls(text, len(ids))

    def ids(self) -> list[str]:
        """Parse the ids."""
        ids: list[str] = json.loads(f"[{self.text}]")
        return ids

    def moved(self, hashes: Mapping[str, int], arrived: Collection[str]) -> Self:
        """The list with some ids added and others removed, if present.

        Args:
            hashes: Every id that moves, with its hash.
            arrived: The ids that arrive or stay; the others leave.
        """
        arrived = frozenset(arrived)
        few = (len(hashes) + len(arrived)) * _SEARCH_COST < self.count
        edited = self._edited(hashes, arrived) if few else None
        if edited is not None:
            return edited
        before = set(self.ids())
        after = before.difference(hashes).union(arrived)
        checksum = sum(hashes[each] for each in after - before) - sum(hashes[each] for each in before - after)
        return type(self)(type(self).of(after).text, len(after), self.checksum + checksum)

    def _edited(self, hashes: Mapping[str, int], arrived: frozenset[str]) -> Self | None:
        """Cut and insert at the places found by binary search; None if the text can't be searched."""
        if "\\" in self.text or not all(map(_is_plain, arrived)):
            return None
        text = self.text + ","
        edits = []
        checksum = self.checksum
        for user_id, hashed in hashes.items():
            place = _find(text, user_id)
            if place is None:
                return None
            start, end = place
            if (end > start) is not (user_id in arrived):
                edits.append((start, user_id, end))
                checksum += hashed if end == start else -hashed
        edits.sort()
        pieces, at = [], 0
        for start, user_id, end in edits:
            pieces.append(text[at:start])
            if end == start:
                pieces.append(f'"{user_id}",')
            at = end
        pieces.append(text[at:])
        came = sum(end == start for start, _, end in edits)
        return type(self)("".join(pieces)[:-1], self.count + 2 * came - len(edits), checksum)


def _is_plain(user_id: str) -> bool:
    """Whether an id appears in a list unescaped, and leaves the list searchable."""
    return "," not in user_id and json_text(user_id) == f'"{user_id}"'


def _find(text: str, user_id: str) -> tuple[int, int] | None:
    """Find an entry, ``"id",``, from its start to its end, or the empty place where it would be.

    The text contains no backslash, so a quote always begins or ends an id. The text between two commas is
    therefore either an id or not enclosed in quotes; then some id contains a comma, and the result is None.
    """
    low, high = 0, len(text)
    while low < high:
        start = max(low, text.rfind(",", low, (low + high) // 2) + 1)
        end = text.index(",", start) + 1
        if not (end - start > 3 and text[start] == '"' == text[end - 2]):
            return None
        found = text[start + 1 : end - 2]
        if found == user_id:
            return start, end
        if found < user_id:
            low = end
        else:
            high = start
    return low, low
