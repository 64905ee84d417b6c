"""Reads a YAML configuration for import: within limits, and refused if it is something else."""

import math
from collections.abc import Mapping
from reprlib import Repr
from typing import Any, Final

from windsock.errors import FlagFileError, MissingExtraError
from windsock.flagfiles.other_tools import FLAGD_FILE, tool_of
from windsock.flagfiles.unknown_tools import flags_in
from windsock.flags import JsonValue
from windsock.text import one_line

MAX_BYTES: Final = 512 * 1024
"""Largest configuration that is read: PyYAML takes several seconds for this much."""

MAX_VALUES: Final = 100_000
"""Maximum number of values, with each alias counted wherever it is used."""

MAX_DEPTH: Final = 50

MAX_NUMBER: Final = 1_000
"""Longest number, in characters; Python takes half a minute for a long one in base 60, such as `1:30:00`."""

_TOO_MANY: Final = f"more than {MAX_VALUES} values once aliases are written out"
_NUMBERS: Final = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})
_SHOWN: Final = Repr()  # never the whole value: aliases can make it endless
_SHOWN.maxother = 60

_KINDS: Final = {list: "a list", type(None): "empty", bool: "a value", int: "a number", float: "a number"}


def read_configuration(data: bytes, source: str) -> Mapping[str, JsonValue]:
    """Read the YAML.

    Raises:
        FlagFileError: It isn't a YAML mapping with string keys, holds what JSON can't, is too large, or is
            another tool's export.
        MissingExtraError: The ``yaml`` extra is not installed.
    """
    if len(data) > MAX_BYTES:
        raise FlagFileError(source, f"{len(data)} bytes are more than {MAX_BYTES}; split the configuration")
    content = _loaded(data, source)
    tool = tool_of(content)
    if tool is not None:
        next_step = (
            "save it as flagd/<name>.flagd.json"
            if tool == FLAGD_FILE
            else "write its flags as flagd JSON, see docs/flags.md"
        )
        raise FlagFileError(source, f"this is {tool}, not a configuration; {next_step}")
    if not isinstance(content, dict):
        kind = _KINDS.get(type(content), "text")
        raise FlagFileError(
            source,
            f"the configuration must be a mapping of sections, and this is {kind};"
            " write another tool's flags as flagd JSON, see docs/flags.md",
        )
    _Checker(source).check(content, "", 0)
    if (place := flags_in(content)) is not None:
        raise FlagFileError(
            source,
            f"{place[:80]} looks like another tool's flags, not settings; write them as flagd JSON, see"
            " docs/flags.md, or rename what only looks like it",
        )
    return content


def _loaded(data: bytes, source: str) -> object:
    try:
        import yaml  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("reading a YAML configuration", "yaml") from error
    try:
        loader = _bounded(yaml.SafeLoader(data), source)
        node = loader.get_single_node()
        _refuse_twins(node, source)
        return None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise FlagFileError(source, f"not YAML: {error.problem or error.context}", *place) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FlagFileError(source, f"not YAML: {one_line(error)}") from error
    except RecursionError:
        raise FlagFileError(source, f"nested more than {MAX_DEPTH} deep; flatten it") from None
    except (ValueError, OverflowError, TypeError) as error:  # a date, number or key that Python can't hold
        raise FlagFileError(source, f"a value cannot be read: {error}; quote it") from error
    except (AttributeError, LookupError):  # PyYAML's for a value that its tag doesn't fit
        raise FlagFileError(source, "a value cannot be read: it is not what its tag says") from None


def _bounded(loader: Any, source: str) -> Any:
    """Bound what PyYAML merges and how long a number is: a few lines of either could take hours."""
    flatten, scalar, left = loader.flatten_mapping, loader.construct_scalar, MAX_VALUES

    def flatten_mapping(node: Any) -> None:
        nonlocal left
        flatten(node)  # calls this function for each mapping that it merges
        left -= len(node.value) + 1
        if left < 0:
            raise FlagFileError(source, _TOO_MANY)

    def construct_scalar(node: Any) -> Any:
        text = scalar(node)
        if node.tag in _NUMBERS and len(text) > MAX_NUMBER:
            mark = node.start_mark
            long = f"a number of more than {MAX_NUMBER} characters, which JSON can't hold"
            raise FlagFileError(
                source, f"a value cannot be read: {long}; quote it", mark.line + 1, mark.column + 1
            )
        return text

    loader.flatten_mapping, loader.construct_scalar = flatten_mapping, construct_scalar
    return loader


def _refuse_twins(root: Any, source: str) -> None:
    """Refuse a key that is written twice: PyYAML would keep the last value and say nothing."""
    left, seen = [root], set()
    while left:
        node = left.pop()
        if not isinstance(getattr(node, "value", None), list) or id(node) in seen:
            continue
        seen.add(id(node))
        if node.id == "sequence":
            left += node.value
            continue
        keys = set()
        for key, value in node.value:
            if key.id == "scalar" and (key.tag, key.value) in keys:
                mark = key.start_mark
                twice = f"{key.value!r} is written twice; keep one"
                raise FlagFileError(source, twice, mark.line + 1, mark.column + 1)
            keys.add((key.tag, str(key.value) if key.id == "scalar" else id(key)))
            left.append(value)


class _Checker:
    """Walks a configuration, which aliases can make endless or arbitrarily large."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._count = 0

    def check(self, value: object, path: str, depth: int) -> None:
        """Refuse what JSON can't hold and what exceeds the limits."""
        self._count += 1
        if self._count > MAX_VALUES:
            raise FlagFileError(self._source, _TOO_MANY)
        if depth > MAX_DEPTH:
            where = path[:80]
            raise FlagFileError(self._source, f"{where}…: nested more than {MAX_DEPTH} deep, or in itself")
        if isinstance(value, Mapping):
            for key, item in value.items():
                if not isinstance(key, str) or not key.isprintable():
                    what = "has a character that cannot be seen" if isinstance(key, str) else "is not a text"
                    raise FlagFileError(
                        self._source, f"{path or 'the top'}: the key {key!r} {what}; quote or rename it"
                    )
                self.check(item, f"{path}.{key}" if path else key, depth + 1)
        elif isinstance(value, list):
            for item in value:
                self.check(item, path, depth + 1)
        elif (message := _unfit(value)) is not None:
            raise FlagFileError(self._source, f"{path}: {message}")


def _unfit(value: object) -> str | None:
    """Why JSON can't hold a value."""
    if isinstance(value, str):
        fit = value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
        return None if fit and "\0" not in value else "half a surrogate pair or U+0000, which JSON can't hold"
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        try:
            fit = math.isfinite(value)
        except OverflowError:
            fit = False
        return None if fit else "a number that JSON can't hold"
    return f"{_SHOWN.repr(value):.60} is a {type(value).__name__}, which JSON can't hold; quote it"
