"""Convert JSON text to a raw document in one pass, flag by flag, so that every flag has its line."""

import json
from typing import NamedTuple

from windsock.flags.json_positions import TOO_DEEP, JsonText, RefusedNumberError
from windsock.flags.model import JsonValue
from windsock.flags.raw import MAX_FAULTS, Malformed, Place, RawDocument, RawFlag, Tokens


def read_json(text: str, source: str) -> RawDocument:
    """Decode a JSON document.

    Raises:
        FlagFileError: The text isn't JSON, or has no flags.
    """
    return _Reader(JsonText(text, source)).read()


class _Value(NamedTuple):
    """A decoded value, where it ends, and whether it's usable."""

    value: JsonValue
    end: int
    usable: bool = True


class _Reader:
    def __init__(self, text: JsonText) -> None:
        self._text = text
        self._flags: dict[str, RawFlag] = {}
        self._faults: list[Malformed] = []
        self._sections: dict[str, JsonValue] = {}
        self._flags_at: int | None = None
        self._line = 1
        self._line_start = 0
        self._counted = 0
        self._starts: dict[str | int, int] = {}

    def read(self) -> RawDocument:
        text = self._text
        at = text.skip_space(0)
        if text.text[at : at + 1] != "{":
            found = "is empty" if at >= len(text.text) else f"starts with {text.text[at]!r}"
            raise text.fail(at, f'a flagd document is a JSON object with "flags"; this {found}')
        end = text.skip_space(text.members(at, self._section))
        if end != len(text.text):
            raise text.fail(end, "there is text after the end of the document; remove it")
        if self._flags_at is None:
            raise text.fail(at, 'the document has no "flags"; write an empty set as {"flags": {}}')
        return RawDocument(
            flags=tuple(self._flags.values()),
            evaluators=self._sections.get("$evaluators", {}),
            metadata=self._sections.get("metadata", {}),
            place_of=lambda tokens: text.position(self._locate(at, tokens)),
            faults=tuple(self._faults),
            # a backslash may escape part of the key, so only text without backslashes rules it out;
            # searching for one character is ten times as fast as for several
            mentions_references="\\" in text.text or ("$" in text.text and '"$ref"' in text.text),
        )

    def _locate(self, root: int, tokens: Tokens) -> int:
        """The offset that the steps lead to, starting from the flag if they're inside a flag."""
        if len(tokens) > 1 and tokens[0] == "flags" and tokens[1] in self._starts:
            return self._text.locate(self._starts[tokens[1]], tokens[2:])
        return self._text.locate(root, tokens)

    def _section(self, key: str, key_at: int, at: int) -> int:
        if key == "flags":
            if self._flags_at is not None:
                self._fault(("flags",), key_at, '"flags" is written twice and the last one counts; keep one')
            self._flags_at = at
            self._flags.clear()
            return self._read_flags(at)
        if key not in ("$evaluators", "metadata"):
            return self._text.end_of(at)
        if key in self._sections:
            self._fault((key,), key_at, f'"{key}" is written twice and the last one counts; keep one')
        read = self._value(at, (key,), None)
        if not read.usable:
            raise self._text.fail(at, f'"{key}" cannot be used: {self._faults[-1].message}')
        self._sections[key] = read.value
        return read.end

    def _read_flags(self, at: int) -> int:
        text = self._text
        seen: dict[str, Place] = {}

        def keyed(key: str, key_at: int, value_at: int) -> int:
            tokens: Tokens = ("flags", key)
            place = self._place(key_at)
            self._starts[key] = value_at
            read = self._value(value_at, tokens, key)
            self._add(RawFlag(key, tokens, place, read.value), seen, usable=read.usable)
            return read.end

        def listed(index: int, value_at: int) -> int:
            tokens: Tokens = ("flags", index)
            place = self._place(value_at)
            self._starts[index] = value_at
            read = self._value(value_at, tokens, None)
            key = read.value.get("key") if isinstance(read.value, dict) else None
            if isinstance(key, str):
                self._add(RawFlag(key, tokens, place, read.value), seen, usable=True)
            elif read.usable:
                self._fault(tokens, value_at, 'a flag in a list needs a "key"; it is left out')
            return read.end

        if text.text[at : at + 1] == "{":
            return text.members(at, keyed)
        if text.text[at : at + 1] == "[":
            return text.elements(at, listed)
        text.end_of(at)
        raise text.fail(at, '"flags" must be an object of flags by key')

    def _add(self, flag: RawFlag, seen: dict[str, Place], *, usable: bool) -> None:
        if flag.key in seen:
            first = seen[flag.key][0]
            message = f"the flag is defined twice (first in line {first}) and the last one counts; keep one"
            self._note(Malformed(flag.tokens, flag.place, message, flag.key))
            self._flags.pop(flag.key, None)
        seen[flag.key] = flag.place
        if usable:
            self._flags[flag.key] = flag

    def _value(self, at: int, tokens: Tokens, flag: str | None) -> _Value:
        """Decode one value and record its faults; if it is nested too deep, that is the only one."""
        text = self._text
        try:
            decoded = text.decode(at)
        except RefusedNumberError:
            decoded = None
        end = text.end_of(at) if decoded is None else decoded.end
        deep_at = text.depth_passed_at(at, end)
        if deep_at is not None:
            self._fault(tokens, deep_at, TOO_DEEP, flag)
        elif decoded is None or decoded.duplicates:
            for inner, fault_at, message in text.faults(at, MAX_FAULTS):
                self._fault((*tokens, *inner), fault_at, message, flag)
        if decoded is None or deep_at is not None:
            return _Value(None, end, usable=False)
        if text.has_lone_surrogate(at, end) and not _encodable(decoded.value):
            self._fault(
                tokens,
                at,
                "a string has half of a surrogate pair (\\ud800 to \\udfff); write the whole",
                flag,
            )
            return _Value(None, end, usable=False)
        return _Value(decoded.value, end)

    def _fault(self, tokens: Tokens, at: int, message: str, flag: str | None = None) -> None:
        if len(self._faults) < MAX_FAULTS:  # each place is computed from the start of the text
            self._note(Malformed(tokens, self._text.position(at), message, flag))

    def _note(self, fault: Malformed) -> None:
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(fault)

    def _place(self, at: int) -> Place:
        """Like ``JsonText.position``, for increasing offsets: newlines are counted only once."""
        newlines = self._text.text.count("\n", self._counted, at)
        if newlines:
            self._line += newlines
            self._line_start = self._text.text.rfind("\n", 0, at) + 1
        self._counted = at
        return self._line, at - self._line_start + 1


def _encodable(value: JsonValue) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
