"""Changes in words: to a flag's values, to profiles, and to assignments."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from itertools import takewhile
from pathlib import Path
from typing import Final

from windsock.api.document import ENVIRONMENTS, Values
from windsock.flags import JsonValue
from windsock.gitops.plan import Plan
from windsock.settings.layers import masked

_SAMPLES: Final = 3
_LONGEST_PATCH: Final = 60_000
_MOST_LINES: Final = 1_000
_VARIANTS: Final = (ENVIRONMENTS, "variants")


def tokens_of(pointer: str) -> tuple[str, ...]:
    """The parts of a JSON pointer (RFC 6901)."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def field_of(pointer: str) -> str:
    """The settings field to which a pointer into a configuration refers."""
    tokens = tokens_of(pointer)
    return tokens[2] if tokens[0] in _VARIANTS and len(tokens) > 2 else tokens[0]


def place_of(tokens: tuple[str, ...], default: str) -> tuple[str, tuple[str, ...]]:
    """The variant to which a pointer's parts refer, and the path within it."""
    return (tokens[1], tokens[2:]) if tokens[0] in _VARIANTS and len(tokens) > 2 else (default, tokens)


def changed_words(pointer: str, before: object, after: object) -> str:
    """Describe one value before and after; null means absent."""
    name = ".".join(tokens_of(pointer))
    if before is None:
        return f"+ {name}  {_json(after)}"
    if after is None:
        return f"- {name}  {_json(before)}"
    return f"~ {name}  {_json(before)} → {_json(after)}"


def undo_of(
    changed: Mapping[str, Sequence[JsonValue]], default: str
) -> tuple[Values, tuple[tuple[str, tuple[str, ...]], ...]]:
    """The request, and the values to clear, that undo a write; fields that followed the base do so again."""
    request: dict[str, JsonValue] = {}
    cleared = []
    for pointer, (before, _) in changed.items():
        tokens = tokens_of(pointer)
        if tokens[0] == "variants":
            continue
        if before is None:
            cleared.append(place_of(tokens, default))
        else:
            _put(request, tokens, before)
    return request, tuple(cleared)


def _put(values: dict[str, JsonValue], path: Sequence[str], value: JsonValue) -> None:
    for key in path[:-1]:
        below = values.setdefault(key, {})
        if not isinstance(below, dict):
            return
        values = below
    values[path[-1]] = value


def who_moves(plan: Plan) -> Iterator[str]:
    """How many users a plan gives another value, in words, flag by flag."""
    for impact in plan.impacts:
        everybody = f"{impact.population:,} {'user' if impact.population == 1 else 'users'}"
        samples = [sample for move in impact.moves for sample in move.samples][:_SAMPLES]
        such = f", such as {', '.join(samples)}" if samples else ""
        if impact.moved:
            yield f"{impact.moved:,} of {everybody} ({impact.share:.2%}) get another value{such}."
        else:
            yield f"None of {everybody}."
        if impact.later or impact.open_ended:
            yield "More may move later, because a rule depends on the time."
        yield from impact.misfits


def patch(path: Path, changed: bytes) -> str:
    """A change to a file as a patch for ``git apply``; empty if it's too long to show."""
    old, new = (data.decode().splitlines(keepends=True) for data in (path.read_bytes(), changed))
    if len(old) + len(new) - 2 * (_alike(old, new) + _alike(old[::-1], new[::-1])) > _MOST_LINES:
        return ""  # a file that was never in the common form: each line differs, and comparing takes long
    lines = unified_diff(old, new, f"a/{path.as_posix()}", f"b/{path.as_posix()}")
    ended = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    text = "".join(ended)
    return text if len(text) <= _LONGEST_PATCH else ""


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines are the same at the beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))


def _json(value: object) -> str:
    text = json.dumps(masked(value), ensure_ascii=False, default=str)
    return text if len(text) <= 300 else f"{text[:297]}…"
