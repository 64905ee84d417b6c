"""What needs attention, with the next step for each item."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from windsock.console.reading import ProfileOf
from windsock.console.rendering import age
from windsock.console.views.flags import last_step, state
from windsock.flags import Flag
from windsock.healing.quarantine import Withdrawal
from windsock.runtime.state import Health
from windsock.settings.declaration import Declaration
from windsock.settings.layers import Layer, Origin
from windsock.settings.laying import merge_layers

Tone: TypeAlias = Literal["bad", "warn", "info"]

LATE: Final = 60.0
"""Seconds after which a mirror counts as behind."""


_EACH: Final = 10
"""Maximum items of one kind that are listed individually."""

_LONGEST: Final = 300


@dataclass(frozen=True, slots=True)
class Todo:
    """Something that needs attention.

    Attributes:
        tone: How serious it is.
        label: Its kind, in a word.
        text: The situation.
        next: What to do.
        path: The page to do it on; empty if that's outside the console.
        query: The page's query.
    """

    tone: Tone
    label: str
    text: str
    next: str
    path: str = ""
    query: Mapping[str, object] = field(default_factory=dict)


def of_health(health: Health) -> Iterator[Todo]:
    """Problems with the flags served here."""
    if health.stale:
        todo = "Mend the file or the server; the last good set serves."
        yield Todo("bad", "stale", f"The flags are stale: {health.stale}", todo)
    for problem in health.problems[:_EACH]:
        yield Todo("warn", "flag file", problem, "Correct the file; `windsock lint` finds more.", "/flags")
    for name in health.shadowed[:_EACH]:
        text = f"{name}: the environment covers the base value here"
        todo = "Unset the variable, or take the base value out."
        yield Todo("info", "shadowed", text, todo, "/settings", {"flag": name.rpartition(".")[0]})


def of_withdrawals(found: Sequence[Withdrawal]) -> Iterator[Todo]:
    """Withdrawn values."""
    for each in found[:_EACH]:
        text = _cut(f"{each.field} of {each.flag} is withdrawn: {each.reason}")
        yield Todo("bad", "withdrawn", text, "Lift it, or take it out for good.", "/quarantine")
    if more := len(found[_EACH:]):
        yield Todo("bad", "withdrawn", f"{more} more values are withdrawn", "Look at them.", "/quarantine")


def of_flags(flags: Sequence[Flag], now: datetime) -> Iterator[Todo]:
    """Flags that have expired, give everyone the same value, or are at the last step of their rollout."""
    found = [(flag, state(flag, now)) for flag in flags]
    due = [(flag, why) for flag, why in found if why in ("expired", "same for everybody", "rolled out")]
    for flag, why in due[:_EACH]:
        text, todo = (
            f"{flag.key} gives everybody the same",
            "Write its value into the code and remove the flag.",
        )
        if why == "expired":
            text = f"{flag.key} expired on {flag.metadata.get('expires')}"
            todo = "Remove it, or move the date."
        elif why == "rolled out" and (last := last_step(flag)):
            text = f"The rollout of {flag.key} has been at its last step since {last:%Y-%m-%d %H:%M} UTC"
            todo = "Decide: keep its last step as the rule, roll out further, or remove the flag."
        yield Todo("warn", "flag", _cut(text), todo, "/flag", {"key": flag.key})
    if more := len(due[_EACH:]):
        yield Todo("warn", "flag", f"{more} more flags can go or need a word", "Look at the list.", "/flags")


def of_profiles(declaration: Declaration, profiles: Sequence[ProfileOf]) -> Iterator[Todo]:
    """Profiles that are invalid for their class."""
    for each in profiles:
        if wrong := _wrong(declaration, json.dumps(each.values)):
            text = _cut(f"{each.name} does not fit: {wrong}")
            todo = "Edit it; until then the layer below serves."
            yield Todo("warn", "profile", text, todo, "/profile", {"name": each.name})


@lru_cache(maxsize=2_000)
def _wrong(declaration: Declaration, values: str) -> str:
    """What a class refuses of values, given as JSON; profiles change rarely, and checking one is slow."""
    data = json.loads(values)
    unknown = [(path, message) for path, message in declaration.unknown(data)]
    layer = Layer(Origin("profile", declaration.profile_flag), data)
    refused = [(each.path, each.message) for each in merge_layers(declaration, [layer]).refusals]
    return next((f"{'.'.join(path)}: {message}" for path, message in (*unknown, *refused)), "")


def of_mirrors(rows: Sequence[tuple[str, float | None, float, str]]) -> Iterator[Todo]:
    """Mirrors that are behind, silent or in trouble."""
    for group, right, reported, trouble in rows:
        if trouble:
            text = _cut(f"The mirror {group} is in trouble: {trouble}")
            yield Todo("bad", "mirror", text, "Look at its log; the last good files serve.")
        elif reported > LATE:
            text = f"The mirror {group} has not reported for {age(reported)}"
            yield Todo("bad", "mirror", text, "Start it again: `windsock mirror run`.")
        elif right is None or right > LATE:
            state = "it has written nothing yet" if right is None else f"its files are {age(right)} old"
            text = f"The mirror {group} is behind: {state}"
            yield Todo("warn", "mirror", text, "Wait, or look at its log.")


_DECISIONS: Final[Mapping[str, tuple[Tone, str]]] = {
    "win": ("info", "Ship the winner, or stop it."),
    "harmful": ("bad", "Stop it."),
    "invalid": ("bad", "Find out why before anything else is read from it."),
    "no effect": ("info", "Stop it."),
    "inconclusive": ("info", "Stop it, or plan a longer one."),
}


def of_experiments(decisions: Mapping[str, str], running: Collection[str]) -> Iterator[Todo]:
    """Running experiments whose latest decision, by name, isn't just to continue."""
    for name, decision in decisions.items():
        outcome = decision.replace("_", " ")
        if outcome in _DECISIONS and name in running:
            tone, todo = _DECISIONS[outcome]
            yield Todo(
                tone, "experiment", f"{name} is decided: {outcome}", todo, "/experiment", {"name": name}
            )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
