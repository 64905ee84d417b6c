"""A flagd document's text for the linter: fast lookup of places by pointer, and edits."""

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from windsock.flags.json_positions import JsonText
from windsock.flags.json_source import read_json
from windsock.flags.raw import Place, RawDocument, Tokens
from windsock.lint.rules.site import Mending


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces the characters from ``start`` to ``end`` (exclusive) in a document with ``text``."""

    start: int
    end: int
    text: str


class LintText:
    """A document's text.

    Args:
        text: The text.
        source: Its name.

    Attributes:
        raw: The decoded document.
        source: Its name.
    """

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.raw: RawDocument = read_json(text, source)
        self._json = JsonText(text, source)
        self._objects: dict[int, dict[str, tuple[int, int]]] = {}

    @property
    def root(self) -> Sequence[str]:
        """The names of the document's own properties."""
        return tuple(self._members(self._start))

    def place_of(self, tokens: Tokens, *, at_key: bool = False) -> Place:
        """The line and column of a value, or of its property name."""
        if at_key and tokens and isinstance(tokens[-1], str):
            return self._position(self._key_offset(tokens))
        return self._position(self._offset(tokens))

    def edit(self, tokens: Tokens, change: Mending) -> Edit:
        """Express a change as an edit of the text."""
        kind, value = change
        at = self._offset(tokens)
        written = json.dumps(value, ensure_ascii=False)
        if kind == "replace":
            return Edit(at, self._json.end_of(at), written)
        inner = self._json.skip_space(at + 1)
        space = self._json.text[at + 1 : inner] or " "
        last = self._json.text[inner] == "}"
        return Edit(inner, inner, written[1:-1] + ("" if last else "," + space))

    @cached_property
    def _start(self) -> int:
        return self._json.skip_space(0)

    @cached_property
    def _flags(self) -> dict[str | int, tuple[int, int]]:
        """The offsets of each flag's key and value: a document is searched once, not once per finding."""
        at = self._members(self._start)["flags"][1]
        found: dict[str | int, tuple[int, int]] = {}
        if self._json.text[at] == "{":
            found.update(self._members(at))
            return found

        def element(index: int, value_at: int) -> int:
            found[index] = value_at, value_at
            return self._json.end_of(value_at)

        self._json.elements(at, element)
        return found

    @cached_property
    def _lines(self) -> list[int]:
        starts, at = [0], self._json.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self._json.text.find("\n", at + 1)
        return starts

    def _position(self, at: int) -> Place:
        line = bisect_right(self._lines, at)
        return line, at - self._lines[line - 1] + 1

    def _members(self, at: int) -> dict[str, tuple[int, int]]:
        """The offsets of each key and value of an object, searched once however many findings are in it."""
        if at in self._objects:
            return self._objects[at]
        found: dict[str, tuple[int, int]] = {}
        self._objects[at] = found

        def member(key: str, key_at: int, value_at: int) -> int:
            found[key] = key_at, value_at
            return self._json.end_of(value_at)

        self._json.members(at, member)
        return found

    def _offset(self, tokens: Tokens) -> int:
        if len(tokens) > 1 and tokens[0] == "flags" and tokens[1] in self._flags:
            return self._json.locate(self._flags[tokens[1]][1], tokens[2:])
        return self._json.locate(self._start, tokens)

    def _key_offset(self, tokens: Tokens) -> int:
        if len(tokens) == 2 and tokens[0] == "flags":
            return self._flags[tokens[1]][0]
        parent = self._offset(tokens[:-1])
        members = self._members(parent) if self._json.text[parent] == "{" else {}
        return members.get(str(tokens[-1]), (parent, parent))[0]


class YamlText:
    """A YAML document's text: places but no edits, which would lose comments and style."""

    def __init__(self, text: str, source: str) -> None:
        from windsock.flags.yaml_source import read_yaml  # noqa: PLC0415 - needs the yaml extra

        self.source = source
        self.raw: RawDocument = read_yaml(text, source)

    @property
    def root(self) -> Sequence[str]:
        """Nothing: reading YAML keeps only known properties."""
        return ()

    def place_of(self, tokens: Tokens, *, at_key: bool = False) -> Place:  # noqa: ARG002 - one place for both
        """The line and column of a value."""
        return self.raw.place_of(tokens)

    def edit(self, tokens: Tokens, change: Mending) -> Edit | None:  # noqa: ARG002 - as JSON's
        """Nothing."""
        return None


def open_text(text: str, source: str) -> LintText | YamlText:
    """Open a document's text, by the extension of its name."""
    return YamlText(text, source) if source.lower().endswith((".yaml", ".yml")) else LintText(text, source)
