"""Convert YAML text to a raw document, with plain values as the flagd server reads them: ``on`` is text.

The document is built from parser events, not by a loader. That preserves every place, bounds depth and size,
and avoids recursion in C, where deep nesting crashes the process.
"""

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any, Final

from windsock.errors import FlagFileError, MissingExtraError
from windsock.flags.json_positions import MAX_DEPTH, TOO_DEEP, written_twice
from windsock.flags.model import JsonValue
from windsock.flags.raw import MAX_FAULTS, Malformed, Place, RawDocument, RawFlag, Tokens

try:
    import yaml
except ImportError as error:  # pragma: no cover - proven by a test in an environment without it
    raise MissingExtraError("reading a YAML flag file", "yaml") from error

MAX_CHARACTERS: Final = 4 * 1024 * 1024
"""Maximum size of YAML text; JSON may be larger and is read a hundred times faster."""

MAX_VALUES: Final = 1_000_000
"""Maximum number of values, counting every alias at each use."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_BASED: Final = re.compile(r"[-+]?0(x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+|[0-7_]+)")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final[dict[str, JsonValue]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_BOOLEAN_IN_YAML_1_1: Final = frozenset(
    written for word in ("yes", "no", "on", "off") for written in (word, word.capitalize(), word.upper())
)
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def read_yaml(text: str, source: str) -> RawDocument:
    """Decode a YAML document.

    Raises:
        FlagFileError: The text isn't YAML, is too large, or has no flags.
    """
    if len(text) > MAX_CHARACTERS:
        raise FlagFileError(
            source, f"{len(text)} characters of YAML are more than {MAX_CHARACTERS}; write JSON"
        )
    return _Builder(text, source).read()


class _Builder:
    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._anchors: dict[str, tuple[JsonValue, int]] = {}
        self._places: dict[Tokens, Place] = {}
        self._key_places: dict[Tokens, Place] = {}
        self._faults: list[Malformed] = []
        self._words: list[tuple[Tokens, str]] = []
        self._unusable: set[str | int] = set()
        self._count = 0

    def read(self) -> RawDocument:
        try:
            root = self._root()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            reason = error.problem or error.context or ""
            # since 6.0.4, PyYAML has its own limit, which some texts reach before ours
            message = TOO_DEEP if "nesting depth" in reason else f"not YAML: {reason}"
            raise FlagFileError(self._source, message, *place) from None
        except yaml.YAMLError as error:
            raise FlagFileError(self._source, f"not YAML: {error}") from None
        if not isinstance(root, dict) or "flags" not in root:
            raise FlagFileError(self._source, 'a flagd document is a mapping with "flags"', 1, 1)
        return RawDocument(
            flags=tuple(self._flags(root["flags"])),
            evaluators=root.get("$evaluators", {}),
            metadata=root.get("metadata", {}),
            place_of=self._place_of,
            faults=tuple(self._faults),
            words=tuple(self._words),
        )

    def _flags(self, flags: JsonValue) -> Iterator[RawFlag]:
        if isinstance(flags, dict):
            for key, value in flags.items():
                if key not in self._unusable:
                    yield RawFlag(key, ("flags", key), self._key_places.get(("flags", key), (0, 0)), value)
        elif isinstance(flags, list):
            for index, value in enumerate(flags):
                if index in self._unusable:
                    continue
                place = self._place_of(("flags", index))
                key = value.get("key") if isinstance(value, dict) else None
                if isinstance(key, str):
                    yield RawFlag(key, ("flags", index), place, value)
                else:
                    self._fault(("flags", index), place, 'a flag in a list needs a "key"; it is left out')
        else:
            message = '"flags" must be a mapping of flags by key'
            raise FlagFileError(self._source, message, *self._place_of(("flags",)))

    def _root(self) -> JsonValue:
        value: JsonValue = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._fail(event, "there is a second document behind '---'; one file holds one")
                value = self._value(next(self._events), ())
        return value

    def _value(self, event: Any, tokens: Tokens) -> JsonValue:
        self._places[tokens] = _place(event)
        self._count += 1
        if self._count > MAX_VALUES:
            raise self._fail(event, f"more than {MAX_VALUES} values; split the file")
        if len(tokens) > MAX_DEPTH:
            raise self._fail(event, TOO_DEEP)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._count
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, tokens)
        elif event.tag is not None:
            raise self._tagged(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(tokens)
        else:
            value = self._mapping(tokens)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._count - before + 1)
        return value

    def _alias(self, event: Any) -> JsonValue:
        if event.anchor not in self._anchors:
            raise self._fail(event, f"*{event.anchor} names no value that is complete here")
        value, size = self._anchors[event.anchor]
        self._count += size
        return value

    def _sequence(self, tokens: Tokens) -> JsonValue:
        items: list[JsonValue] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*tokens, len(items))))
        return items

    def _mapping(self, tokens: Tokens) -> JsonValue:
        made: dict[str, JsonValue] = {}
        seen: dict[str, int] = {}
        merged: dict[str, JsonValue] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._fail(event, "a key must be a plain value, not a list, mapping or alias")
            key, place = event.value, _place(event)
            if key == "<<" and event.implicit[0]:
                merged |= self._merged(next(self._events), tokens)
                continue
            if key in seen:
                self._fault((*tokens, key), place, written_twice(key, seen[key]))
            if event.implicit[0] and key in _BOOLEAN_IN_YAML_1_1:
                self._words.append(((*tokens, key), key))
            seen[key] = place[0]
            self._key_places[*tokens, key] = place
            made[key] = self._value(next(self._events), (*tokens, key))
        return {**merged, **made}

    def _merged(self, event: Any, tokens: Tokens) -> dict[str, JsonValue]:
        value = self._value(event, (*tokens, "<<"))
        parts = value if isinstance(value, list) else [value]
        merged: dict[str, JsonValue] = {}
        for part in reversed(parts):  # the first mapping in a list wins
            if not isinstance(part, dict):
                raise self._fail(event, "<< merges mappings only")
            merged |= part
        return merged

    def _scalar(self, event: Any, tokens: Tokens) -> JsonValue:
        text: str = event.value
        plain, quoted = event.implicit
        if plain:
            return self._plain(event, text, tokens)
        if not quoted and event.tag not in ("!", "tag:yaml.org,2002:str"):
            raise self._tagged(event)
        return text

    def _tagged(self, event: Any) -> FlagFileError:
        return self._fail(event, f"the tag {event.tag} has no meaning in a flag file; leave it out")

    def _plain(self, event: Any, text: str, tokens: Tokens) -> JsonValue:
        if text in _WORDS:
            return _WORDS[text]
        if text in _BOOLEAN_IN_YAML_1_1:
            self._words.append((tokens, text))
        if _INTEGER.fullmatch(text) and len(text) < 300:
            return int(text.replace("_", ""))
        if _BASED.fullmatch(text) and len(text) < 300:
            return _based(text.replace("_", ""))
        if _NOT_FINITE.fullmatch(text) or (_FLOAT.fullmatch(text) and not isfinite(float(text))):
            message = f"{text[:30]} is not a number that JSON can write"
            if len(tokens) < 2 or tokens[0] != "flags":
                raise self._fail(event, message)
            self._fault(tokens, _place(event), f"{message}; the flag is left out")
            self._unusable.add(tokens[1])
            return None
        return float(text) if _FLOAT.fullmatch(text) else text

    def _fault(self, tokens: Tokens, place: Place, message: str) -> None:
        flag = str(tokens[1]) if len(tokens) > 1 and tokens[0] == "flags" else None
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(Malformed(tokens, place, message, flag))

    def _fail(self, event: Any, message: str) -> FlagFileError:
        return FlagFileError(self._source, message, *_place(event))

    def _place_of(self, tokens: Tokens) -> Place:
        while tokens and tokens not in self._places:
            tokens = tokens[:-1]
        return self._places.get(tokens, (0, 0))


def _place(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _based(text: str) -> int:
    """Parse an integer in base 2, 8 or 16; a leading 0 alone means base 8, as in the server's parser."""
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    return sign * (int(digits, 0) if digits[1:2].isalpha() else int(digits, 8))
