"""The common form of flag files that people edit: same content, order and numbers, different white space."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from windsock.errors import FlagFileError
from windsock.flagfiles.files import read_files, replace_plain_file
from windsock.flags import read_document
from windsock.flags.json_positions import TOO_DEEP

WIDTH: Final = 100
"""Values that fit into this many columns go on one line."""

_FLAG_ORDER: Final = ("state", "variants", "defaultVariant", "targeting", "metadata")
_ROOT_ORDER: Final = ("$schema", "flags", "$evaluators", "metadata")


@dataclass(frozen=True, slots=True)
class Formatted:
    """A flag file that isn't in the common form.

    Attributes:
        path: The file.
        refused: Why it can't be formatted; None if it can.
    """

    path: Path
    refused: FlagFileError | None = None


def reformat(paths: Sequence[Path], *, write: bool) -> Iterator[Formatted]:
    """Format JSON flag files; yields each that differs from its common form or can't be formatted.

    Args:
        paths: Flag files, or folders of them; by default ``flagd/``.
        write: Whether to replace the files that differ.

    Raises:
        UnreachableError: A path isn't there.
    """
    for file in read_files(paths):
        if file.path.endswith((".yaml", ".yml")):
            continue
        path = Path(file.path)
        try:
            data = formatted(file.data, file.path)
        except FlagFileError as error:
            yield Formatted(path, error)
            continue
        if data != file.data:
            if write:
                replace_plain_file(path, data)
            yield Formatted(path)


class _Number(str):
    """A number as written: 50.0 must not become 50, nor 1e3 become 1000.0."""

    __slots__ = ()


def formatted(data: bytes, source: str) -> bytes:
    """Format a flag document.

    Flags and variants keep the order that people chose; a flag's properties get a fixed order.

    Raises:
        FlagFileError: It can't be read, is YAML, has a key twice, so one would be lost, has half a
            surrogate pair, or is nested too deep.
    """
    if source.lower().endswith((".yaml", ".yml")):
        raise FlagFileError(source, "fmt writes JSON; YAML keeps its own form and comments")
    problems = read_document(data, source).problems
    twice = next((problem for problem in problems if "twice" in problem.message), None)
    if twice is not None:
        raise FlagFileError(source, twice.message, twice.line, twice.column)
    return written(parsed(data), source)


def parsed(data: bytes) -> dict[str, object]:
    """Parse a flag document's JSON and keep each number as written; `written` takes the result."""
    content: dict[str, object] = json.loads(data, parse_float=_Number, parse_int=_Number)
    return content


def written(content: Mapping[str, object], source: str) -> bytes:
    """Write a flag document's parsed JSON in the common form.

    Raises:
        FlagFileError: It has half a surrogate pair, or is nested too deep.
    """
    try:
        return (_write(_ordered(content), 0, 0) + "\n").encode()
    except UnicodeEncodeError:
        raise FlagFileError(
            source, "half a surrogate pair is not text that a file can hold; remove it"
        ) from None
    except RecursionError:
        raise FlagFileError(source, TOO_DEEP) from None


def _ordered(content: Mapping[str, object]) -> Mapping[str, object]:
    ordered = _sorted(content, _ROOT_ORDER)
    flags = ordered["flags"]
    if isinstance(flags, dict):
        ordered["flags"] = {
            key: _sorted(flag, _FLAG_ORDER) if isinstance(flag, dict) else flag for key, flag in flags.items()
        }
    return ordered


def _sorted(value: Mapping[str, object], order: Sequence[str]) -> dict[str, object]:
    known = {name: value[name] for name in order if name in value}
    return {**known, **{name: item for name, item in value.items() if name not in known}}


def _write(value: object, indent: int, used: int) -> str:
    """Write a value; ``used`` columns of its first line are already taken."""
    if not isinstance(value, (dict, list)):
        return _scalar(value)
    # the flags and each flag's members always take one line each, so that a diff shows one
    may_be_short = indent > 2 or (
        indent == 1 and not any(isinstance(item, (dict, list)) for item in _items(value))
    )
    if not value or (may_be_short and not _has_many(value)):
        compact = _compact(value)
        if not value or used + len(compact) <= WIDTH:
            return compact
    space = "  " * (indent + 1)
    if isinstance(value, dict):
        members = [f"{space}{_scalar(name)}: " for name in value]
        items = [
            member + _write(item, indent + 1, len(member))
            for member, item in zip(members, value.values(), strict=True)
        ]
    else:
        items = [space + _write(item, indent + 1, len(space)) for item in value]
    ends = "{}" if isinstance(value, dict) else "[]"
    return ends[0] + "\n" + ",\n".join(items) + "\n" + "  " * indent + ends[1]


def _items(value: dict[str, object] | list[object]) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value


def _has_many(value: dict[str, object] | list[object]) -> bool:
    """Whether an object or a list in it has more members than a line can hold, so that none is tried."""
    inner = (item for item in _items(value) if isinstance(item, (dict, list)))
    return len(value) >= WIDTH or any(map(_has_many, inner))


def _compact(value: object) -> str:
    if isinstance(value, dict):
        members = ", ".join(f"{_scalar(name)}: {_compact(item)}" for name, item in value.items())
        return f"{{ {members} }}" if members else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_compact, value))}]"
    return _scalar(value)


def _scalar(value: object) -> str:
    return str(value) if isinstance(value, _Number) else _encoded(value)


_encoded: Final = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps makes an encoder on each call
