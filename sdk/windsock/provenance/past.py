"""Replay: what a user had at a past time, rebuilt from Git and the assignment history."""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from windsock.evaluator import CompiledFlag
from windsock.flag_names import NO_CHANGE
from windsock.flags import FlagSet, read_document
from windsock.postgres.queries import load_queries
from windsock.providers.base import Serving
from windsock.providers.compiled import AnyFlag
from windsock.providers.shards import sharded
from windsock.settings.resolution import Resolution, ServedResolution
from windsock.settings.settings import Settings, new_view
from windsock.settings.views import served_of
from windsock.usage import UsageRecord

if TYPE_CHECKING:
    import psycopg

LAG = timedelta(seconds=5)
"""How long after a change a service may still have served the previous state."""

_queries = load_queries("windsock.provenance", "past.sql")


@dataclass(slots=True)
class Timeline:
    """A value's changes over time: when and to what, oldest first."""

    times: list[datetime] = field(default_factory=list)
    values: list[str | None] = field(default_factory=list)

    def at(self, when: datetime) -> str | None:
        """The value at a time; None before the first change."""
        index = bisect_right(self.times, when) - 1
        return None if index < 0 else self.values[index]


@dataclass(frozen=True, slots=True)
class History:
    """Assignments by user, and the configurations' settings (as JSON text) by id."""

    assignments: Mapping[str, Timeline]
    configurations: Mapping[str, Timeline]


def read_history(connection: "psycopg.Connection", users: Iterable[str]) -> History:
    """Read these users' history from the database."""
    assignments: dict[str, Timeline] = defaultdict(Timeline)
    for user, when, config_id in connection.execute(_queries["assignments"], {"users": list(users)}):
        assignments[user].times.append(when)
        assignments[user].values.append(config_id)
    configs = sorted({value for line in assignments.values() for value in line.values if value is not None})
    configurations: dict[str, Timeline] = defaultdict(Timeline)
    for config_id, when, settings in connection.execute(_queries["configurations"], {"configs": configs}):
        configurations[config_id].times.append(when)
        configurations[config_id].values.append(settings)
    return History(dict(assignments), dict(configurations))


class Past:
    """The flag sets in Git and the database's history, as seen by one settings class.

    The process's own layers (``.env`` and the environment) are the current ones: their history isn't kept.

    Args:
        settings_class: The class whose settings to rebuild.
        flag_sets: When each set of files in Git came into force, oldest first, and the set.
        history: Assignments and configurations.
        environment: The environment that base flags target.
    """

    def __init__(
        self,
        settings_class: type[Settings],
        flag_sets: Sequence[tuple[datetime, FlagSet]],
        history: History,
        environment: str,
    ) -> None:
        self._class = settings_class
        self._resolver = settings_class.__windsock__
        self._times = [when for when, _ in flag_sets]
        self._sets = [each for _, each in flag_sets]
        self._compiled = [self._compile(each) for each in self._sets]
        self._history = history
        self._environment = environment
        self._profiles: dict[tuple[str, str], CompiledFlag] = {}

    def at(self, when: datetime, user: str | None, attributes: Mapping[str, object]) -> Settings:
        """The settings that a user had; `windsock.explain` shows where each value came from."""
        index = bisect_right(self._times, when) - 1
        flags = dict(self._compiled[index]) if index >= 0 else {}
        profile = self._profile(when, user)
        if profile is not None:
            flags[self._resolver.declaration.profile_flag] = profile
        context = {"environment": self._environment, **attributes, "targetingKey": user}
        resolution = self._resolver.resolve_with(flags, context)
        revision = self._sets[index].revision if index >= 0 else ""
        return new_view(self._class, ServedResolution(resolution, Serving("Git", revision)), user)

    def differences(
        self, row: UsageRecord, attributes: Mapping[str, object] | None = None, lag: timedelta = LAG
    ) -> list[str]:
        """Compare a logged row with what its user should have had; empty if they're equal.

        Args:
            row: The row, with the user's plain id.
            attributes: Further attributes that rules read; they aren't logged.
            lag: A row within this time of a change may be from either side of it.
        """
        found = [
            self._compare(row, self.at(row.requested_at - late, row.user_id, attributes or {}))
            for late in (timedelta(0), lag)
        ]
        return min(found, key=len)

    def _compare(self, row: UsageRecord, settings: Settings) -> list[str]:
        resolution = resolution_of(settings)
        wanted: dict[str, object] = {
            "variant": resolution.deciding.variant,
            "config_id": resolution.config_id,
        }
        logged: dict[str, object] = {
            "variant": row.variant,
            "config_id": None if row.config_id is None else str(row.config_id),
        }
        if row.experiment is not None:  # rows written before this column existed have no value
            exposed = resolution.exposure(row.values) or (None, None)
            wanted["experiment"], wanted["arm"] = exposed
            logged["experiment"], logged["arm"] = row.experiment, row.arm
        used = dict(row.values) | {str(each["field"]): each["failed_value"] for each in reversed(row.healed)}
        shown = self._resolver.declaration.shown(resolution.values)
        for name, value in used.items():
            wanted[name], logged[name] = shown.get(name), value
        return [
            f"{name}: logged {json.dumps(logged[name])}, must have been {json.dumps(wanted[name])}"
            for name in wanted
            if wanted[name] != logged[name]
        ]

    def _compile(self, flags: FlagSet) -> dict[str, AnyFlag]:
        """This class's flags, including the profile flag if the mirror wrote the set."""
        flag = self._resolver.declaration.flag
        own = {
            key: CompiledFlag(each)
            for key, each in flags.flags.items()
            if key == flag or key.startswith(f"{flag}.")
        }
        return {**own, **sharded(own)}

    def _profile(self, when: datetime, user: str | None) -> CompiledFlag | None:
        """The profile flag as the mirror would have written it for only this user."""
        line = self._history.assignments.get(user or "")
        config_id = None if line is None else line.at(when)
        states = None if config_id is None else self._history.configurations.get(config_id)
        settings = None if states is None else states.at(when)
        if config_id is None or settings is None:
            return None
        flag = self._profiles.get((config_id, settings))
        if flag is None:
            flag = self._profiles[config_id, settings] = self._make_profile(config_id, settings)
        return flag

    def _make_profile(self, config_id: str, settings: str) -> CompiledFlag:
        key = self._resolver.declaration.profile_flag
        flag = {
            "state": "ENABLED",
            "variants": {NO_CHANGE: {}, config_id: json.loads(settings)},
            "defaultVariant": NO_CHANGE,
            "targeting": {"if": [{"!=": [{"var": "targetingKey"}, ""]}, config_id]},
        }
        document = read_document(json.dumps({"flags": {key: flag}}).encode(), "the assignment history")
        return CompiledFlag(document.flags[key])


def resolution_of(settings: Settings) -> Resolution:
    """The resolution behind a view created by `Past.at`.

    Raises:
        TypeError: The instance isn't such a view.
    """
    found = served_of(settings)
    if found is None:
        raise TypeError("an ordinary instance has no resolution; pass what `Past.at` returned")
    return found.resolution
