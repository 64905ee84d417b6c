"""The last value that worked at each place: what a failing value falls to first."""

from collections.abc import Iterable

from windsock.settings.given import Resolution
from windsock.settings.layers import plain
from windsock.settings.place import ValueKey, fingerprint
from windsock.settings.resolution import LAST_GOOD, Resolver

_MAX = 10_000
"""Places remembered in a process; the one learned first is forgotten first."""


class LastGood:
    """Values that calls went well with, by flag, variant and field; in memory only, as they may be secret."""

    def __init__(self) -> None:
        self._values: dict[ValueKey, object] = {}

    def learn(self, resolver: Resolver, resolution: Resolution, names: Iterable[str]) -> None:
        """Remember the values of the fields that a call read and went well with."""
        for name in names:
            origin = resolution.resolved.origins.get(name)
            key = None if origin is None else resolver.place(origin, name)
            if key is not None:
                self._values.pop(key, None)  # learned again, it is the newest
                self._values[key] = plain(resolution.values[name])
        while len(self._values) > _MAX:
            self._values.pop(next(iter(self._values)), None)

    def below(self, resolver: Resolver, resolution: Resolution, names: Iterable[str]) -> dict[str, object]:
        """What worked before in each field whose value has changed since."""
        found = {}
        for name in names:
            origin = resolution.resolved.origins[name]
            key = None if origin.layer == LAST_GOOD else resolver.place(origin, name)
            if key is None or key not in self._values:
                continue
            value = self._values[key]
            if fingerprint(value) == fingerprint(plain(resolution.values[name])):
                continue
            found[name] = value
        return found

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
