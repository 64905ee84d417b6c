"""Shared rules: ``{"$ref": "name"}`` in a rule refers to the rule with that name in ``$evaluators``."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from windsock.flags.model import JsonValue

REF: Final = "$ref"


class Expanded(NamedTuple):
    """A rule without references.

    Attributes:
        value: The rule. A shared rule is the same object wherever it's used; unresolvable references are
            kept.
        faults: The place of each unresolvable reference, and the reason.
    """

    value: JsonValue
    faults: tuple[tuple[tuple[str | int, ...], str], ...]


class _Shared(NamedTuple):
    value: JsonValue
    fault: str | None


class References:
    """Replaces references in rules, in any order and at any depth; text is never substituted.

    Args:
        evaluators: The shared rules of one document, by name.
    """

    def __init__(self, evaluators: Mapping[str, JsonValue]) -> None:
        self._evaluators = evaluators
        self._shared: dict[str, _Shared] = {}
        self._open: list[str] = []

    def resolve(self, rule: JsonValue) -> Expanded:
        """Replace the references in one rule."""
        faults: list[tuple[tuple[str | int, ...], str]] = []
        return Expanded(self._replace(rule, (), faults), tuple(faults))

    def _replace(
        self,
        value: JsonValue,
        tokens: tuple[str | int, ...],
        faults: list[tuple[tuple[str | int, ...], str]],
    ) -> JsonValue:
        if isinstance(value, dict):
            name = value.get(REF)
            if len(value) == 1 and isinstance(name, str):
                shared = self._named(name)
                if shared.fault is not None:
                    faults.append((tokens, shared.fault))
                return shared.value
            replaced = {key: self._replace(inner, (*tokens, key), faults) for key, inner in value.items()}
            return value if all(replaced[key] is inner for key, inner in value.items()) else replaced
        if isinstance(value, list):
            if not any(isinstance(inner, (dict, list)) for inner in value):
                return value
            items = [self._replace(inner, (*tokens, index), faults) for index, inner in enumerate(value)]
            return value if all(map(_is, items, value)) else items
        return value

    def _named(self, name: str) -> _Shared:
        if name in self._shared:
            return self._shared[name]
        if name not in self._evaluators:
            return _Shared({REF: name}, f"no shared rule is named {name!r}; {self._names()}")
        if name in self._open:
            cycle = " → ".join([*self._open[self._open.index(name) :], name])
            return _Shared(
                {REF: name},
                f"the shared rules refer to each other in a circle: {cycle}; remove one of these references",
            )
        self._open.append(name)
        try:
            faults: list[tuple[tuple[str | int, ...], str]] = []
            value = self._replace(self._evaluators[name], (), faults)
        finally:
            self._open.pop()
        # cached even inside a cycle: otherwise a dense graph of cycles would be walked along every path
        self._shared[name] = made = _Shared(value, faults[0][1] if faults else None)
        return made

    def _names(self) -> str:
        if not self._evaluators:
            return "the document has no $evaluators"
        names = sorted(self._evaluators)
        listed = ", ".join(map(repr, names[:10])) + (", …" if len(names) > 10 else "")
        return f"$evaluators has {listed}"


def _is(left: object, right: object) -> bool:
    return left is right
