"""Changes in words: to a flag's values, to profiles, and to assignments."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Final

from windsock.flagfiles.configuration import ENVIRONMENTS, Values
from windsock.flags import JsonValue
from windsock.gitops.patches import lines_of, patch_lines
from windsock.gitops.plan import Plan
from windsock.settings.layers import masked
from windsock.text import NO_BREAK_SPACE, count, escaped

_SAMPLES: Final = 3
_LONGEST_PATCH: Final = 60_000
_MOST_LINES: Final = 1_000
_TOO_LONG: Final = "it is too long; `windsock fmt` may make it shorter"
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


def who_moves(plan: Plan, keep: Collection[str] = ()) -> Iterator[str]:
    """How many users a plan gives another value, in words, flag by flag.

    Args:
        plan: The plan.
        keep: Users who aren't named, because something stronger keeps their value.
    """
    for impact in plan.impacts:
        flag = f"{impact.flag}: " if len(plan.impacts) > 1 else ""
        everybody = count(impact.population, "user")
        named = (sample for move in impact.moves for sample in move.samples if sample not in keep)
        samples = list(islice(named, _SAMPLES))
        such = f", such as {', '.join(samples)}" if samples else ""
        if impact.moved:
            get = "gets" if impact.moved == 1 else "get"
            share = _percent(impact.share)
            yield f"{flag}{impact.moved:,} of {everybody} ({share}) {get} another value{such}."
        else:
            yield f"{flag}none of {everybody}." if flag else f"None of {everybody}."
        if impact.later or impact.open_ended:
            yield f"{flag}{'more' if flag else 'More'} may move later, because a rule depends on the time."
        yield from impact.misfits


def _percent(share: float) -> str:
    """A share with two decimal places, without trailing zeros; 0 and 100 only if they are exact."""
    text = f"{100 * share:.2f}".rstrip("0").rstrip(".")
    if text in ("0", "100") and 0 < share < 1:
        text = "under 0.01" if share < 0.5 else "over 99.99"
    return f"{text}{NO_BREAK_SPACE}%"


@dataclass(frozen=True, slots=True)
class Patch:
    """A change to a file.

    Attributes:
        text: What ``git apply`` takes; empty if a page can't show it.
        fault: Why a page can't show it.
    """

    text: str = ""
    fault: str = ""


def patch(path: Path, before: bytes | None, after: bytes) -> Patch:
    """A change to a file as a patch, relative to the working directory, or else to the file's repository.

    Args:
        path: The file.
        before: Its content; None if it doesn't exist yet.
        after: Its new content.
    """
    here, file = Path.cwd(), path.resolve()
    repository = next((each for each in file.parents if (each / ".git").exists()), here)
    root = here if here.is_relative_to(repository) and file.is_relative_to(here) else repository
    if not file.is_relative_to(root):
        return Patch(fault="the file is neither in a Git repository nor in the working directory")
    was = None if before is None else before.decode()
    old, new = lines_of(was or ""), lines_of(after.decode())
    if len(old) + len(new) - 2 * (_alike(old, new) + _alike(old[::-1], new[::-1])) > _MOST_LINES:
        return Patch(fault=_TOO_LONG)  # never in the common form: each line differs, and comparing takes long
    text = "".join(patch_lines(file.relative_to(root).as_posix(), was, after.decode()))
    shown = text.replace("\n", "").replace("\t", "")
    if escaped(shown) != shown:
        return Patch(fault="it has characters that a page can't show as they are")
    return Patch(text) if len(text) <= _LONGEST_PATCH else Patch(fault=_TOO_LONG)


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines are the same at the beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))


def _json(value: object) -> str:
    text = json.dumps(masked(value), ensure_ascii=False, default=str)
    return text if len(text) <= 300 else f"{text[:297]}…"
