"""Recognizes flags of tools that `other_tools` doesn't know: collections whose entries decide something.

All words are without marks and capitals: `feature_gates` and `featureGates` are ``featuregates``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

_DEPTH: Final = 3
"""How deep in an export its flags may be: below a project, below an environment."""

_ONLY_FLAGS: Final = frozenset(
    {"dynamicconfigs", "featureflags", "featuregates", "featurestates", "featuretoggles", "killswitches"}
    | {"layerconfigs"}
)
"""Collections of flags, whatever their entries have."""

_FLAGS: Final = frozenset(
    {"experiments", "features", "flags", "gates", "rollouts", "splits", "switches", "toggles", "treatments"}
)
_MAYBE_FLAGS: Final = frozenset({"audiences", "campaigns", "configs", "layers"})
_PAGES: Final = frozenset({"content", "data", "entries", "items", "nodes", "objects", "records", "results"})
_PAGING: Final = frozenset(
    {"count", "hasmore", "links", "next", "pageinfo", "pagination", "previous", "total", "totalcount"}
    | {"totalelements", "totalpages"}
)
_NAMES: Final = frozenset({"feature", "featurekey", "id", "identifier", "key", "name", "slug", "uid", "uuid"})
_ONLY_DECISIONS: Final = frozenset(
    {"allocations", "defaultrule", "defaulttreatment", "defaultvalue", "defaultvariant", "defaultvariation"}
    | {"fallthrough", "forcedvariations", "offvariation", "rolloutpercentage", "strategies", "targeting"}
    | {"trackevents", "trafficallocation", "treatments", "variant", "variants", "variation", "variations"}
    | {"variationgroups"}
)
"""What a section of a configuration hardly has."""

_DECISIONS: Final = _ONLY_DECISIONS | {
    *("active", "archived", "conditions", "enable", "enabled", "environments", "filters", "isactive"),
    *("isenabled", "killed", "off", "on", "percentage", "rollout", "rules", "state", "status", "traffic"),
}


def flags_in(content: Mapping[str, Any]) -> str | None:
    """Say where a document seems to have another tool's flags: ``data.features``; None if nowhere."""
    flags = [isinstance(each, Mapping) and _is_flag(each) for each in content.values()]
    if _is_flag(content) or (flags and all(flags)):
        return "the top level"
    return next(_places(content, "", _DEPTH), None)


def _places(content: Mapping[str, Any], path: str, depth: int) -> Iterator[str]:
    paged = not _PAGING.isdisjoint(map(_plain, content))
    for name, value in content.items():
        place = f"{path}.{name}" if path else name
        if name != "feature_flags" and _are_flags(_plain(name), value, paged=paged):
            yield place
        elif isinstance(value, Mapping) and depth > 1:
            yield from _places(value, place, depth - 1)


def _are_flags(name: str, value: object, *, paged: bool) -> bool:
    if not isinstance(value, (Mapping, list)):
        return False
    entries = list(value.values()) if isinstance(value, Mapping) else value
    if not all(isinstance(each, Mapping) for each in entries):
        return False
    if name in _ONLY_FLAGS:
        return True
    if isinstance(value, Mapping):
        return name in _FLAGS and _each_has(entries, _ONLY_DECISIONS)
    if name in _FLAGS or (name in _PAGES and paged):
        return _each_has(entries, _NAMES) and _each_has(entries, _DECISIONS)
    return name in _MAYBE_FLAGS and _each_has(entries, _NAMES) and _each_has(entries, _ONLY_DECISIONS)


def _is_flag(entry: Mapping[str, Any]) -> bool:
    """Whether something decides like a flag, wherever it is: one sign may be chance."""
    return _each_has([entry], _ONLY_DECISIONS) and len(set(map(_plain, entry)) & _DECISIONS) > 1


def _each_has(entries: list[Mapping[str, Any]], words: frozenset[str]) -> bool:
    return bool(entries) and all(not words.isdisjoint(map(_plain, each)) for each in entries)


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
