"""Flags and fields that can be removed: unused, fully rolled out, expired, or without an owner."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

from windsock.flag_names import class_flag
from windsock.flags import Flag
from windsock.flags.kinds import if_results
from windsock.lint.rules.tree import Tree

if TYPE_CHECKING:
    from windsock.code.mentions import Mentions
    from windsock.code.uses import Code  # parses Python; the console reads only flags here


class Why(StrEnum):
    """Why something can be removed."""

    UNUSED = "unused"
    UNUSED_FIELD = "unused field"
    ROLLED_OUT = "fully rolled out"
    EXPIRED = "expired"
    UNOWNED = "without owner"


@dataclass(frozen=True, slots=True)
class Removable:
    """A flag or field that can be deleted: where it is, why, and what to do next."""

    flag: str
    why: Why
    source: str
    line: int
    message: str


def stale(flags: Mapping[str, Flag], code: "Code", mentions: "Mentions", today: date) -> Iterator[Removable]:
    """Find removable flags and fields from the flag files and the code.

    A flag or field that may be used, though no use of it is found, isn't one.
    """
    used = {use.flag for use in code.uses}
    settings = {declared.flag for declared in code.classes}
    for key, flag in flags.items():
        owner = class_flag(key)
        if owner not in used:
            if owner not in mentions.flags:
                yield _of(flag, Why.UNUSED, "no Python file uses it; remove it, if no other language does")
        elif (
            key not in settings
            and owner == key
            and (name := only_variant(flag)) is not None
            and flag.targeting
        ):
            yield _of(
                flag, Why.ROLLED_OUT, f"everybody gets {name!r}; put it in the code and remove the flag"
            )
        expires = flag.metadata.get("expires")
        if isinstance(expires, str) and is_past(expires, today):
            yield _of(flag, Why.EXPIRED, f"it expired on {expires}; remove it, or move the date")
        if not flag.metadata.get("owner"):
            yield _of(flag, Why.UNOWNED, "it has no owner; set its metadata `owner`")
    read = {(use.flag, use.field) for use in code.uses if use.kind == "read"}
    for declared in code.classes:
        holders = {declared.name, *code.holders.get(declared.name, ())}
        for name in declared.fields:
            if (declared.flag, name) not in read and not mentions.reads(holders, name):
                message = f"no code reads {declared.name}.{name}; remove the field"
                yield Removable(declared.flag, Why.UNUSED_FIELD, declared.path, declared.line, message)


def only_variant(flag: Flag) -> str | None:
    """Return the variant that every user gets, if the flag's rule can give no other."""
    if not flag.enabled:
        return None
    if flag.targeting is None:
        return flag.default_variant
    tree = Tree(_without_zero_weights(flag.targeting))
    if tree.computed:
        return None
    names = {str(result.value) for result in tree.results}
    if not _is_total(tree.rule):
        names.add(flag.default_variant or "")
    return names.pop() or None if len(names) == 1 else None


def _without_zero_weights(rule: object):  # type: ignore[no-untyped-def]  # noqa: ANN202 - JSON in, JSON out
    if isinstance(rule, Mapping):
        return {
            name: [each for each in arguments if not _is_empty(each)]
            if name == "fractional" and isinstance(arguments, list)
            else _without_zero_weights(arguments)
            for name, arguments in rule.items()
        }
    return [_without_zero_weights(item) for item in rule] if isinstance(rule, list) else rule


def _is_empty(bucket: object) -> bool:
    return isinstance(bucket, list) and len(bucket) == 2 and bucket[1] == 0


def _is_total(rule: object) -> bool:
    """Whether the rule decides for every user; users without a targeting key are ignored."""
    if not isinstance(rule, Mapping):
        return rule is not None
    ((name, arguments),) = rule.items()  # an object of two operators is computed, and was checked before
    listed = arguments if isinstance(arguments, list) else [arguments]
    if name == "fractional":
        return all(_is_total(bucket[0]) for bucket in listed if isinstance(bucket, list) and bucket)
    if name not in ("if", "?:"):
        return True
    return len(listed) % 2 == 1 and all(_is_total(result) for _, result in if_results(listed))


def _of(flag: Flag, why: Why, message: str) -> Removable:
    return Removable(flag.key, why, flag.source, flag.line, message)


def is_past(text: str, today: date) -> bool:
    """Whether a date in a flag's metadata (ISO 8601) has passed; text that isn't a date never has."""
    try:
        return date.fromisoformat(text) < today
    except ValueError:
        return False
