"""Watch a settings class: count calls and faults in windows, and accuse variants based on evidence."""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from windsock.healing.attribution import Evidence, Window, threshold
from windsock.logs import get_logger
from windsock.settings.place import ValueKey
from windsock.settings.resolution import Resolution
from windsock.settings.resolver import Resolver
from windsock.settings.tally import Period, Tally

logger = get_logger("windsock.healing")

WINDOW = 10.0
"""Seconds within which calls count as concurrent."""

_VARIANTS_MAX = 200
_TALLIES_MAX = 10_000

Place = tuple[str, str]
"""A flag and its variant."""

Accused = tuple[Evidence, Mapping[ValueKey, object]]
"""The evidence against a variant, and its values that the failing calls read."""


@dataclass(slots=True)
class _Suspect:
    """A variant under test.

    Attributes:
        order: Its number among all variants that this process ever tested, from 1.
        evidence: The evidence from the windows so far.
        values: The values of the variant that its failing calls read.
    """

    order: int
    evidence: Evidence = field(default_factory=Evidence)
    values: dict[ValueKey, object] = field(default_factory=dict)


class Watch:
    """Watches the calls of one settings class.

    Attributes:
        period: The current window.
    """

    def __init__(self, resolver: Resolver) -> None:
        self.period = Period(time.monotonic() + WINDOW)
        self._resolver = resolver
        self._lock = threading.Lock()
        self._tallies: list[tuple[Tally, frozenset[Place]]] = []
        self._suspects: dict[Place, _Suspect] = {}
        self._read: dict[Place, dict[ValueKey, object]] = defaultdict(dict)
        self._tested = 0

    def meet(self, resolution: Resolution) -> None:
        """Start counting a resolution's calls."""
        tally = resolution.tally
        with self._lock:
            if tally.period is None and len(self._tallies) < _TALLIES_MAX:
                tally.taken = (tally.calls, tally.faults)
                tally.period = self.period
                self._tallies.append((tally, self._places(resolution)))

    def failed(self, resolution: Resolution, user: str | None, names: list[str]) -> None:
        """Count a call whose first run failed.

        Args:
            resolution: The settings that it used.
            user: The user.
            names: The fields that it read.
        """
        tally = resolution.tally
        if tally.period is None:
            self.meet(resolution)
        if not tally.counts(user):
            return
        with self._lock:
            tally.calls += 1
            tally.faults += 1
            for name in names:
                key = self._resolver.place(resolution.merged.origins[name], name)
                if key is not None:
                    self._read[key[:2]][key] = resolution.raw_value(name)

    def close(self) -> dict[Place, Accused]:
        """End the window if it's due; return the variants now accused."""
        with self._lock:
            if time.monotonic() < self.period.ends:
                return {}
            self.period.ends = time.monotonic() + WINDOW
            accused = self._weigh(self._counts())
            self.period.users.clear()
            self._read.clear()
            return accused

    def _counts(self) -> dict[frozenset[Place], tuple[int, int]]:
        """The window's counts by the variants used; idle tallies are dropped."""
        counts: dict[frozenset[Place], tuple[int, int]] = {}
        kept = []
        for tally, places in self._tallies:
            calls, faults = tally.calls - tally.taken[0], tally.faults - tally.taken[1]
            if not calls:
                tally.period = None
                continue
            tally.taken = (tally.taken[0] + calls, tally.taken[1] + faults)
            kept.append((tally, places))
            before = counts.get(places, (0, 0))
            counts[places] = (before[0] + calls, before[1] + faults)
        self._tallies = kept
        return counts

    def _weigh(self, counts: dict[frozenset[Place], tuple[int, int]]) -> dict[Place, Accused]:
        calls = sum(each for each, _ in counts.values())
        faults = sum(each for _, each in counts.values())
        accused: dict[Place, Accused] = {}
        if not faults:
            return accused
        own: dict[Place, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for places, (some_calls, some_faults) in counts.items():
            for place in places:
                own[place] = (own[place][0] + some_calls, own[place][1] + some_faults)
        # Selected by calls, not by faults: selecting by faults would anticipate the test.
        for place, (n, k) in sorted(own.items(), key=lambda item: -item[1][0])[:_VARIANTS_MAX]:
            if n == calls:
                continue  # every user has it, so there's no group to compare with
            suspect = self._suspect(place)
            suspect.values |= self._read.get(place, {})
            suspect.evidence = suspect.evidence.after(Window(n, k, calls - n, faults - k))
            if suspect.values and suspect.evidence.log_e >= threshold(suspect.order):
                accused[place] = (suspect.evidence, suspect.values)
                del self._suspects[place]
        return accused

    def _suspect(self, place: Place) -> _Suspect:
        found = self._suspects.get(place)
        if found is None:
            while len(self._suspects) >= _VARIANTS_MAX:
                del self._suspects[next(iter(self._suspects))]
            self._tested += 1
            found = self._suspects[place] = _Suspect(self._tested)
        return found

    def _places(self, resolution: Resolution) -> frozenset[Place]:
        """The variants that contributed a value, excluding the code and process layers."""
        layers = (layer for layer in resolution.merged.applied if layer.values)
        keys = (self._resolver.place(layer.origin, "") for layer in layers)
        return frozenset(key[:2] for key in keys if key is not None)


_watches: dict[Resolver, Watch] = {}


def watch_over(resolver: Resolver) -> Watch:
    """The watch for a settings class."""
    found = _watches.get(resolver)
    if found is None:
        found = _watches.setdefault(resolver, Watch(resolver))
    return found


def reset() -> None:
    """Forget all counts."""
    _watches.clear()
