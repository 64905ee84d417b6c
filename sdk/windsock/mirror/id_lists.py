"""The users of one configuration in one shard, kept as text: objects of a million ids would not fit."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)

# Searching for one id costs about as much as writing this many.
_SEARCH_COST = 20


def json_text(value: object) -> str:
    """Write a JSON value the one way that the documents use."""
    return _encoder.encode(value)


class IdTally(NamedTuple):
    """A list of user ids in numbers; see `IdList`."""

    users: int
    checksum: int


@dataclass(frozen=True, slots=True)
class IdList:
    """A list of user ids.

    Attributes:
        text: The ids as the inside of a JSON list, sorted by code point and without a space: ``"a","b"``.
            Text, because PostgreSQL makes it, and a million ids as text are a third of the size of the
            objects.
        count: How many ids there are, at least one.
        checksum: The sum of their hashes, as far as the database told it: what no trigger logged shows in it.
    """

    text: str
    count: int
    checksum: int = field(default=0, compare=False)

    @property
    def tally(self) -> IdTally:
        """Its numbers."""
        return IdTally(self.count, self.checksum)

    @classmethod
    def of(cls, user_ids: Collection[str]) -> Self:
        """Write ids in the one way that the documents use."""
        return cls(json_text(sorted(user_ids))[1:-1], len(user_ids))

    @classmethod
    def read(cls, text: str) -> Self:
        """Take the inside of a JSON list as it is, and count.

        Raises:
            ValueError: It isn't a list of strings.
        """
        ids = json.loads(f"[{text}]")
        if not all(isinstance(user_id, str) for user_id in ids):
            raise ValueError("a user id is not a string")
        return cls(text, len(ids))

    def ids(self) -> list[str]:
        """Read the ids back."""
        ids: list[str] = json.loads(f"[{self.text}]")
        return ids

    def moved(self, hashes: Mapping[str, int], arrived: Collection[str]) -> Self:
        """The list without some ids, if they are in it, and with others.

        Args:
            hashes: Every id that moves, with its hash.
            arrived: Those of them that come or stay; the others leave.
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
        """Cut and insert where binary search finds the place; None where the text cannot be searched."""
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
    """Whether an id is written in a list as it is, and the list can still be searched."""
    return "," not in user_id and json_text(user_id) == f'"{user_id}"'


def _find(text: str, user_id: str) -> tuple[int, int] | None:
    """Find an entry, ``"id",``, from its start to its end, or the empty place where it would be.

    The text holds no backslash, so a quote always begins or ends an id. What lies between two commas is
    therefore an id, or is not in a pair of quotes: then an id holds a comma, and the answer is None.
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
