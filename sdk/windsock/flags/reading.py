"""Read a flagd document: accept what flagd accepts, and leave out only the flags that are bad."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from windsock.errors import FlagFileError
from windsock.flags.json_positions import MAX_DEPTH
from windsock.flags.json_source import read_json
from windsock.flags.model import BUCKETINGS, Document, Flag, JsonValue, Problem, pointer_of
from windsock.flags.raw import Malformed, RawDocument, RawFlag, Tokens
from windsock.flags.size import MAX_OPERATIONS, expanded_size
from windsock.flags.values import described, quoted

if TYPE_CHECKING:
    from windsock.flags.references import References

MAX_BYTES: Final = 256 * 1024 * 1024
"""Maximum size of a document."""

_PROPERTIES: Final = ("state", "variants", "defaultVariant", "targeting", "metadata")
_FOLDED: Final = {name.lower(): name for name in _PROPERTIES}


def read_document(data: bytes, source: str) -> Document:
    """Read one flagd document.

    An unusable flag is left out and reported in ``problems``. A flag whose rule refers to a missing shared
    rule is reported too but kept: as in flagd, it yields PARSE_ERROR if its evaluation reaches the reference.

    Args:
        data: The document's bytes, UTF-8.
        source: Its name for messages. YAML if the name ends in ``.yaml`` or ``.yml``, else JSON.

    Raises:
        FlagFileError: None of it can be read.
        MissingExtraError: It's YAML and the ``yaml`` extra isn't installed.
    """
    if len(data) > MAX_BYTES:
        raise FlagFileError(source, f"more than {MAX_BYTES} bytes; split the file")
    text = _decode(data, source)
    try:
        raw = _raw(text, source)
    except FlagFileError as error:
        meant = _meant(text, error)
        if meant is None:
            raise
        raise FlagFileError(source, meant, error.line, error.column) from None
    return _Checker(raw, source).document(hashlib.sha256(data).hexdigest()[:12])


def _raw(text: str, source: str) -> RawDocument:
    if not source.lower().endswith((".yaml", ".yml")):
        return read_json(text, source)
    from windsock.flags.yaml_source import read_yaml  # noqa: PLC0415 - needs the yaml extra

    return read_yaml(text, source)


def _meant(text: str, error: FlagFileError) -> str | None:
    """Recognize common non-JSON leftovers (a merge conflict, a comment) at the error's position."""
    lines = ["", *text.split("\n")]  # YAML counts more lines: a lone carriage return ends one
    line = lines[error.line].lstrip() if error.line < len(lines) else ""
    if line.startswith(("<<<<<<<", "=======", ">>>>>>>", "|||||||")):
        return "there is a merge conflict here; resolve it in Git"
    if line.startswith(("//", "/*", "#")) and not error.source.lower().endswith((".yaml", ".yml")):
        return "JSON has no comments; move the text into metadata or remove it"
    return None


def _decode(data: bytes, source: str) -> str:
    if data.startswith(b"\xef\xbb\xbf"):
        raise FlagFileError(
            source,
            "the file starts with a byte order mark, which flagd refuses; save it as UTF-8 without one",
            1,
            1,
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        message = f"byte {data[error.start]:#04x} is not UTF-8; save the file as UTF-8"
        raise FlagFileError(source, message, line, column) from None


class _BadFlagError(Exception):
    """A flag or a set's metadata that can't be used: the pointer's steps inside it, and the reason."""

    def __init__(self, tokens: Tokens, message: str) -> None:
        super().__init__(message)
        self.tokens = tokens


def _metadata(value: JsonValue) -> Mapping[str, JsonValue]:
    """The metadata of a set or of a flag, either of which may say how users are bucketed."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _BadFlagError(("metadata",), f"metadata must be an object, not {described(value)}")
    bucketing = value.get("bucketing")
    if bucketing is not None and bucketing not in BUCKETINGS:
        message = f"bucketing {quoted(bucketing)} is unknown, and guessing would move users; write v2 or v3"
        raise _BadFlagError(("metadata", "bucketing"), message)
    return value


def _references(evaluators: Mapping[str, JsonValue]) -> "References":
    from windsock.flags.references import References  # noqa: PLC0415 - few documents have shared rules

    return References(evaluators)


class _Checker:
    """Turns one raw document into flags and problems."""

    def __init__(self, raw: RawDocument, source: str) -> None:
        self._raw = raw
        self._source = source
        self._faults: list[Malformed] = list(raw.faults)
        self._metadata = self._set_metadata()
        evaluators = self._evaluators()
        self._references = _references(evaluators) if raw.mentions_references else None

    def document(self, revision: str) -> Document:
        flags = {}
        for raw in self._raw.flags:
            try:
                flags[raw.key] = self._flag(raw)
            except _BadFlagError as error:
                self._fault(raw, error.tokens, f"{error}; the flag is left out")
        return Document(
            self._source, revision, flags, self._metadata, tuple(map(self._problem, self._faults))
        )

    def _set_metadata(self) -> Mapping[str, JsonValue]:
        try:
            return _metadata(self._raw.metadata)
        except _BadFlagError as error:
            raise self._refused(error.tokens, str(error)) from None

    def _evaluators(self) -> Mapping[str, JsonValue]:
        evaluators = self._raw.evaluators
        if isinstance(evaluators, dict):
            return evaluators
        if evaluators is not None:
            message = f"$evaluators must be an object of shared rules by name, not {described(evaluators)}"
            self._faults.append(Malformed(("$evaluators",), self._raw.place_of(("$evaluators",)), message))
        return {}

    def _refused(self, tokens: Tokens, message: str) -> FlagFileError:
        return FlagFileError(self._source, message, *self._raw.place_of(tokens))

    def _flag(self, raw: RawFlag) -> Flag:
        body = raw.value
        if not isinstance(body, dict):
            raise _BadFlagError((), f"a flag must be an object, not {described(body)}")
        self._note_misspelt(raw, body)
        variants = _variants(body)
        return Flag(
            key=raw.key,
            enabled=self._enabled(raw, body),
            variants=variants,
            default_variant=_default_variant(body, variants),
            targeting=self._targeting(raw, body.get("targeting")),
            metadata=self._flag_metadata(body),
            source=self._source,
            line=raw.place[0],
        )

    def _enabled(self, raw: RawFlag, body: Mapping[str, JsonValue]) -> bool:
        state = body.get("state", "ENABLED")
        if state is not None and not isinstance(state, str):
            raise _BadFlagError(("state",), f'state must be "ENABLED" or "DISABLED", not {described(state)}')
        if state not in (None, "ENABLED", "DISABLED"):
            message = (
                f'state {quoted(state)} counts as ENABLED, as flagd reads it; write "ENABLED" or "DISABLED"'
            )
            self._fault(raw, ("state",), message)
        return state != "DISABLED"

    def _targeting(self, raw: RawFlag, rule: JsonValue) -> JsonValue:
        if rule is None or rule == {}:
            return None
        if self._references is None:
            return rule
        try:
            resolved = self._references.resolve(rule)
            operations, depth = expanded_size(resolved.value)
        except RecursionError:
            operations, depth, resolved = 0, MAX_DEPTH + 1, None
        if resolved is None or depth > MAX_DEPTH:
            message = f"with its shared rules the rule is nested more than {MAX_DEPTH} deep; flatten it"
            raise _BadFlagError(("targeting",), message)
        if operations > MAX_OPERATIONS:
            size = f"{operations} operators, more than {MAX_OPERATIONS}"
            raise _BadFlagError(("targeting",), f"with its shared rules the rule has {size}; shorten it")
        for tokens, message in resolved.faults[:3]:
            self._fault(raw, ("targeting", *tokens), f"{message}; evaluation fails where it reaches this")
        return resolved.value

    def _flag_metadata(self, body: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        own = _metadata(body.get("metadata"))
        # null removes nothing: flagd skips it too
        return {**self._metadata, **{key: value for key, value in own.items() if value is not None}}

    def _note_misspelt(self, raw: RawFlag, body: Mapping[str, JsonValue]) -> None:
        for name in body:
            meant = _FOLDED.get(name.lower())
            if meant is not None and meant != name:
                message = f"{quoted(name)} is ignored here and read by some flagd providers; write {meant!r}"
                self._fault(raw, (name,), message)

    def _fault(self, raw: RawFlag, tokens: Tokens, message: str) -> None:
        place = self._raw.place_of((*raw.tokens, *tokens)) if tokens else raw.place
        self._faults.append(Malformed((*raw.tokens, *tokens), place, message, raw.key))

    def _problem(self, fault: Malformed) -> Problem:
        return Problem(self._source, *fault.place, fault.flag, pointer_of(*fault.tokens), fault.message)


def _variants(body: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    variants = body.get("variants")
    if variants is None:
        return {}
    if not isinstance(variants, dict):
        raise _BadFlagError(
            ("variants",), f"variants must be an object of values by name, not {described(variants)}"
        )
    return variants


def _default_variant(body: Mapping[str, JsonValue], variants: Mapping[str, JsonValue]) -> str | None:
    name = body.get("defaultVariant")
    if name is None or name == "":  # flagd's stream sends null as ""
        return None
    if not isinstance(name, str):
        raise _BadFlagError(
            ("defaultVariant",), f"defaultVariant must be a variant's name, not {described(name)}"
        )
    if name not in variants:
        names = ", ".join(map(quoted, list(variants)[:10])) or "none"
        raise _BadFlagError(
            ("defaultVariant",), f"defaultVariant {quoted(name)} is not a variant; the variants are: {names}"
        )
    return name
