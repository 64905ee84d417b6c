"""The last value that worked at each place: the first fallback for a failing value."""

from collections.abc import Iterable

from windsock.settings.layers import plain
from windsock.settings.place import ValueKey, fingerprint
from windsock.settings.resolution import Resolution
from windsock.settings.resolver import LAST_GOOD, Resolver

_MAX = 10_000
"""Maximum places remembered per process; the oldest is forgotten first."""


class LastGood:
    """Values of successful calls, by flag, variant and field; in memory only, because they may be secret."""

    def __init__(self) -> None:
        self._values: dict[ValueKey, object] = {}

    def learn(self, resolver: Resolver, resolution: Resolution, names: Iterable[str]) -> None:
        """Remember the values of the fields that a successful call read."""
        for name in names:
            origin = resolution.merged.origins.get(name)
            key = None if origin is None else resolver.place(origin, name)
            if key is not None:
                self._values.pop(key, None)  # relearned, so now the newest
                self._values[key] = plain(resolution.values[name])
        while len(self._values) > _MAX:
            self._values.pop(next(iter(self._values)), None)

    def below(self, resolver: Resolver, resolution: Resolution, names: Iterable[str]) -> dict[str, object]:
        """The previously working value of each field whose value has changed since."""
        found = {}
        for name in names:
            origin = resolution.merged.origins[name]
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
