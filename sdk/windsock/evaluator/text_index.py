"""An index of a document's long lists: which of them a text is in, looked up in bytes that processes share.

The index is a table of buckets and their contents. A text's CRC-32 names its bucket, which holds, text after
text, the record ``code 0xFE text 0xFF``. UTF-8 has neither byte, so searching for a record compares the whole
text. A code stands for a set of lists: the lists that its texts are in.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple, Protocol, TypeVar
from zlib import crc32

from windsock.evaluator.membership import StoredTexts
from windsock.evaluator.values import parse_float

T = TypeVar("T")

_BUCKET: Final = 4
"""The average number of texts in a bucket."""

_CROWDED: Final = 64 * _BUCKET
"""More texts don't share a bucket by chance; searching them would be slow."""

_MOST_CODES: Final = 128 * 128
_MOST_NUMBERS: Final = 1 << 20
"""Numbers of lists in all codes together: megabytes in each process."""

_NUMBER: Final = array("I").itemsize


class Content(Protocol):
    """What an index is in: bytes, or a mapped file."""

    def __getitem__(self, key: slice, /) -> bytes:
        """Copy a part."""

    def find(self, wanted: bytes, start: int, end: int, /) -> int:
        """The first place of these bytes in a part, or -1."""


class Tables(NamedTuple):
    """An index as it is written.

    Attributes:
        bounds: Where each bucket begins and the last one ends, in bytes from the beginning of the content.
        records: The buckets.
        codes: The lists, by number in ascending order, that each code stands for; code 0 stands for none.
    """

    bounds: bytes
    records: bytes
    codes: Sequence[Sequence[int]]


def build(lists: Sequence[Sequence[str]], start: int) -> Tables | None:
    """Index the texts of some lists.

    Args:
        lists: The lists; a list's number is its place among them.
        start: Where the bounds begin in the content; the records follow them.

    Returns:
        The index; None if the lists overlap in too many ways, or if many texts share a bucket.
    """
    coded = _coded(lists)
    if coded is None:
        return None
    codes, code_of = coded
    marks = [_mark(code) + b"\xfe" for code in range(len(codes))]
    count = len(code_of) // _BUCKET + 1
    buckets: list[list[bytes]] = [[] for _ in range(count)]
    for text, code in code_of.items():
        key = text.encode("utf-8", "surrogatepass")
        buckets[crc32(key) % count].append(marks[code] + key + b"\xff")
    if max(map(len, buckets)) > _CROWDED:
        return None
    joined = list(map(b"".join, buckets))
    bounds = array("I", accumulate(map(len, joined), initial=start + _NUMBER * (count + 1)))
    return Tables(bounds.tobytes(), b"".join(joined), codes)


def _coded(lists: Sequence[Sequence[str]]) -> tuple[list[tuple[int, ...]], dict[str, int]] | None:
    """The lists that each code stands for, and each text's code; None as soon as the codes are too many."""
    codes: list[tuple[int, ...]] = [()]
    code_of: dict[str, int] = {}
    numbers = 0
    for number, texts in enumerate(lists):
        before = len(codes)
        if code_of.keys().isdisjoint(texts):  # the usual case
            code_of.update(dict.fromkeys(texts, before))
            codes.append((number,))
        else:
            _add(number, texts, codes, code_of)
        numbers += sum(map(len, codes[before:]))
        if len(codes) > _MOST_CODES or numbers > _MOST_NUMBERS:
            return None
    return codes, code_of


def _add(number: int, texts: Sequence[str], codes: list[tuple[int, ...]], code_of: dict[str, int]) -> None:
    """Code one more list, which shares texts with those before."""
    with_this: dict[int, int] = {}
    for text in texts:
        code = code_of.get(text, 0)
        if code not in with_this:
            if codes[code][-1:] != (number,):  # not a text that the list repeats
                codes.append((*codes[code], number))
                with_this[code] = len(codes) - 1
            else:
                with_this[code] = code
        code_of[text] = with_this[code]


class TextIndex:
    """The index of one document's lists.

    Args:
        content: What the index is in.
        bounds: The bounds of its buckets, counted from the beginning of the content.
        codes: The lists that each code stands for.
    """

    __slots__ = ("_bounds", "_content", "_marks")

    def __init__(self, content: Content, bounds: Sequence[int], codes: Sequence[Sequence[int]]) -> None:
        self._content = content
        self._bounds = bounds
        self._marks: dict[int, list[bytes]] = defaultdict(list)
        for code, numbers in enumerate(codes):
            for number in numbers:
                self._marks[number].append(_mark(code))

    def marks(self, number: int) -> frozenset[bytes]:
        """How the texts of a list are marked."""
        return frozenset(self._marks.get(number, ()))

    def texts(self, wanted: Mapping[bytes, T]) -> Iterator[tuple[str, T]]:
        """The texts with some marks, each once, in the order of the index, with what their marks map to."""
        for start, end in zip(self._bounds[:-1], self._bounds[1:], strict=True):
            for record in self._content[start:end].split(b"\xff"):
                if (found := wanted.get(record[:2])) is not None:
                    yield record[3:].decode("utf-8", "surrogatepass"), found

    def lookup(self, choices: Mapping[bytes, T]) -> Callable[[str, T], T]:
        """Maps a text, and the choice for other texts, to the choice for the text's mark."""
        content, bounds, choice_of = self._content, self._bounds, choices.get
        count = len(bounds) - 1

        def choose(text: str, otherwise: T) -> T:
            try:
                key = text.encode()
            except UnicodeEncodeError:  # half a surrogate pair; to allow it in each text takes twice as long
                key = text.encode("utf-8", "surrogatepass")
            bucket = crc32(key) % count
            at = content.find(b"\xfe%b\xff" % key, bounds[bucket], bounds[bucket + 1])
            return otherwise if at < 0 else choice_of(content[at - 2 : at], otherwise)

        return choose


def _mark(code: int) -> bytes:
    """A code as two bytes below 0x80."""
    return bytes(divmod(code, 128))


class IndexedTexts(StoredTexts):
    """One list of an index, in its place in a rule.

    Args:
        index: The index.
        number: The list's number in it.
        count: How many texts the list has, repetitions included.
        digest: Tells lists apart: equal lists have the same in every index.

    Attributes:
        index: As given.
        marks: How its texts are marked in the index.
    """

    __slots__ = ("_count", "_digest", "_has", "index", "marks")

    def __init__(self, index: TextIndex, number: int, count: int, digest: str) -> None:
        self.index = index
        self._count = count
        self._digest = digest
        self.marks = index.marks(number)
        self._has = index.lookup(dict.fromkeys(self.marks, True))

    def __contains__(self, text: object) -> bool:
        """Whether the list has this text."""
        return isinstance(text, str) and self._has(text, False)  # noqa: FBT003 - if it's in no list

    def __iter__(self) -> Iterator[str]:
        """The texts without repetitions, in any order."""
        return (text for text, _ in self.index.texts(dict.fromkeys(self.marks, True)))

    def __len__(self) -> int:
        """How many texts the list has, repetitions included."""
        return self._count

    def __eq__(self, other: object) -> bool:
        """Whether the other is an indexed list of the same texts in the same order."""
        return self._digest == other._digest if isinstance(other, IndexedTexts) else NotImplemented

    def __hash__(self) -> int:
        """Equal lists have equal hashes."""
        return hash(self._digest)


def first_of(choices: Sequence[tuple[Collection[str], T]]) -> Callable[[str, T], T]:
    """Look a text up in several lists of one index at once.

    Args:
        choices: The lists, with what each chooses; the first that has the text wins.

    Returns:
        Maps a text, and the choice if no list has it, to the choice.
    """
    index, choice_of = _by_mark(choices)
    return index.lookup(choice_of)


def by_number(choices: Sequence[tuple[Collection[str], T]]) -> dict[float, T]:
    """What `first_of` chooses for numbers, which match texts that parse to them; one pass over the index."""
    index, rank_of = _by_mark([(texts, rank) for rank, (texts, _) in enumerate(choices)])
    found: dict[float, int] = {}
    for text, rank in index.texts(rank_of):
        number = parse_float(text) or 0.0
        found[number] = min(rank, found.get(number, rank))
    return {number: choices[rank][1] for number, rank in found.items()}


def _by_mark(choices: Sequence[tuple[Collection[str], T]]) -> tuple[TextIndex, dict[bytes, T]]:
    """The index of some lists, and what is chosen for the texts with each mark."""
    indexed = [(texts, choice) for texts, choice in choices if isinstance(texts, IndexedTexts)]
    made: dict[bytes, T] = {}
    for texts, choice in reversed(indexed):
        made.update(dict.fromkeys(texts.marks, choice))
    return indexed[0][0].index, made
