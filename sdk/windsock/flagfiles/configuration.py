"""Presents a settings class's flag as one configuration: the default variant and environment overrides.

Pure functions: they take a document's content and return new content.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from windsock.flags import JsonValue
from windsock.flags.model import pointer_of, same_json
from windsock.nested import FieldPath, at, holds, nest, overlay, without
from windsock.text import MASK

ENVIRONMENTS: Final = "environments"
"""The key that holds a configuration's overrides, by environment."""

Values = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Configuration:
    """The values of a flag's variants.

    Attributes:
        default: Name of the default variant, the base of all others.
        variants: Values by variant name.
        environments: The variants named after an environment that the rule tests for; the others are
            for users that it selects by other attributes.
    """

    default: str
    variants: Mapping[str, Values]
    environments: frozenset[str] = frozenset()

    @property
    def base(self) -> Values:
        """The values of the default variant."""
        return self.variants[self.default]

    def overrides(self) -> dict[str, dict[str, JsonValue]]:
        """The values of each environment that differ from the base."""
        return {
            name: _different(values, self.base)
            for name, values in self.variants.items()
            if name in self.environments
        }

    def merged(self, request: Values) -> "Configuration":
        """Lay a request over the base, and its ``environments`` over their variants.

        An environment follows the base in every value that it doesn't set or that equals the base's. One that
        the flag doesn't have yet starts as a copy of the base.

        Args:
            request: Partial values, optionally with `ENVIRONMENTS`.
        """
        patch = {key: value for key, value in request.items() if key != ENVIRONMENTS}
        environments = _mapping(request.get(ENVIRONMENTS))
        variants: dict[str, Values] = {}
        for name, values in self.variants.items():
            followed = _follow(values, self.base, patch) if name != self.default else overlay(values, patch)
            variants[name] = _values(overlay(followed, _mapping(environments.get(name))))
        added = environments.keys() - variants.keys()
        for name in sorted(added):
            variants[name] = _values(overlay(variants[self.default], _mapping(environments[name])))
        return Configuration(self.default, variants, self.environments | added)

    def cleared(self, variant: str, path: FieldPath) -> "Configuration":
        """Remove a value from a variant, so that an environment gets the base's value.

        An environment whose value equals the base's loses it with the base.
        """
        variants = dict(self.variants)
        for name, values in self.variants.items():
            follows = same_json(_json(at(values, path)), _json(at(self.base, path)))
            if name == variant or (variant == self.default and follows):
                variants[name] = _values(without(values, path))
            if name == variant != self.default and holds(self.base, path):
                variants[name] = _values(overlay(values, nest(path, at(self.base, path))))
        return Configuration(self.default, variants, self.environments)

    def changes(self, after: "Configuration", secrets: Collection[str] = ()) -> dict[str, list[JsonValue]]:
        """Return every value that differs, as [before, after] by JSON pointer; null also means no value.

        Args:
            after: The configuration to compare with.
            secrets: Fields whose values are masked.
        """
        return dict(self.changed(after, secrets))

    def changed(
        self, after: "Configuration", secrets: Collection[str] = ()
    ) -> Iterator[tuple[str, list[JsonValue]]]:
        """Yield what `changes` returns, one value at a time."""
        for name, values in after.variants.items():
            above = after.tokens(name)
            old, new = dict(_leaves(self.variants.get(name, {}))), dict(_leaves(values))
            for path in dict.fromkeys((*new, *old)):
                before, value = old.get(path), new.get(path)
                if (path in old) != (path in new) or not same_json(before, value):
                    ends = [before, value]
                    if path[0] in secrets:
                        ends = [None if each is None else MASK for each in ends]
                    yield pointer_of(*above, *path), ends

    def tokens(self, variant: str) -> tuple[str, ...]:
        """The path to a variant's values in the configuration."""
        if variant == self.default:
            return ()
        return (ENVIRONMENTS if variant in self.environments else "variants", variant)


def _follow(values: Values, before: Values, patch: Values) -> dict[str, JsonValue]:
    followed = dict(values)
    for key, new in patch.items():
        old = before.get(key)
        if isinstance(new, Mapping) and (key not in values or isinstance(values[key], Mapping)):
            followed[key] = _follow(_mapping(values.get(key)), _mapping(old), new)
        elif key not in values or (key in before and same_json(values[key], old)):
            followed[key] = new
    return followed


def _different(values: Values, base: Values) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for key, value in values.items():
        under = base.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            if below := _different(value, under):
                found[key] = below
        elif key not in base or not same_json(value, under):
            found[key] = value
    return found


def targeting_with(targeting: JsonValue, environments: Iterable[str]) -> JsonValue:
    """Prepend a condition for each environment to a rule; it selects the variant of that name."""
    named: list[JsonValue] = []
    for name in environments:
        named += [{"==": [{"var": "environment"}, name]}, name]
    if not named:
        return targeting
    if not targeting:
        return {"if": named}
    rest = targeting["if"] if isinstance(targeting, dict) and targeting.keys() == {"if"} else None
    return {"if": [*named, *(rest if isinstance(rest, list) else [targeting])]}


def leaf_paths(values: Values) -> Iterator[tuple[str, ...]]:
    """The path of every value that isn't a mapping."""
    return (path for path, _ in _leaves(values))


def _leaves(values: Values, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], JsonValue]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _mapping(value: JsonValue) -> Values:
    return value if isinstance(value, Mapping) else {}


def _json(value: object) -> JsonValue:
    return value  # type: ignore[return-value]  # found in JSON


def _values(merged: Mapping[str, object]) -> Values:
    return merged  # type: ignore[return-value]  # an overlay of JSON is JSON
