"""Turns a YAML configuration with environment overrides into flags and settings classes, value for value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from windsock.errors import ConfigurationError
from windsock.flagfiles.settings_module import SettingsModule
from windsock.flags import JsonValue
from windsock.nested import overlay

_ENVIRONMENTS: Final = "environments"
_FEATURES: Final = "feature_flags"
_BASE: Final = "base"


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of an import.

    Attributes:
        flags: Flag documents' flags by key: an object flag for each section, a boolean flag for each feature.
        module: A Python module with a settings class for each section and a handle for each feature.
    """

    flags: Mapping[str, JsonValue]
    module: str


def effective(configuration: Mapping[str, JsonValue], environment: str | None) -> Mapping[str, JsonValue]:
    """Return the configuration that one environment sees: its overrides deeply merged over the sections."""
    sections = {name: value for name, value in configuration.items() if name != _ENVIRONMENTS}
    overrides = _environments(configuration).get(environment or "", {})
    return overlay(sections, overrides)  # type: ignore[return-value]


def convert(configuration: Mapping[str, JsonValue], stem: str) -> Imported:
    """Turn a configuration into flags and classes.

    A variant holds all of a section's values, so that a reader in another language sees what the YAML loader
    saw; the class's code defaults equal the base's values.

    Args:
        configuration: What `read_configuration` gave.
        stem: The section that top-level values go into.

    Raises:
        ConfigurationError: A section or a feature can't become a flag, or two would become the same flag.
    """
    base = effective(configuration, None)
    views = {name: effective(configuration, name) for name in _environments(configuration)}
    sections = {
        name: value for name, value in base.items() if isinstance(value, Mapping) and name != _FEATURES
    }
    loose = [name for name, value in base.items() if not isinstance(value, Mapping)]
    if loose and stem in sections:
        raise ConfigurationError(
            f"section {stem!r} and top-level values would be one flag; rename the section"
        )
    flags: dict[str, JsonValue] = {}
    module = SettingsModule()
    for name, values in sections.items():
        flags[name] = _by_environment(values, {each: view.get(name, {}) for each, view in views.items()})
        module.add_class(name, values)
    if loose:
        top = {name: base[name] for name in loose}
        tops = {each: {name: view[name] for name in loose} for each, view in views.items()}
        flags[stem] = _by_environment(top, tops)
        module.add_class(stem, top)
    for name, value in _features(base).items():
        if name in flags:
            raise ConfigurationError(
                f"{name!r} is a section and a feature, and flags have one name space; rename the section "
                "in the YAML, or import with --section-suffix"
            )
        served = {environment: _features(view).get(name, value) for environment, view in views.items()}
        flags[name] = _boolean(value, served)
        module.add_feature(name, default=value)
    return Imported(flags, str(module))


def convert_joined(configuration: Mapping[str, JsonValue], flag: str) -> Imported:
    """Turn a whole configuration into one flag and one class, with each section nested in it.

    Args:
        configuration: What `read_configuration` gave.
        flag: The flag's key.

    Raises:
        ConfigurationError: A name in it can't name a field, or the flag's name can't name a class.
    """
    base = effective(configuration, None)
    views = {name: effective(configuration, name) for name in _environments(configuration)}
    module = SettingsModule()
    module.add_class(flag, base)
    return Imported({flag: _by_environment(base, views)}, str(module))


def with_suffix(configuration: Mapping[str, JsonValue], suffix: str) -> Mapping[str, JsonValue]:
    """Return the configuration with a suffix on the name of each section that shares it with a feature."""
    features = _features(configuration)

    def renamed(view: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        return {
            f"{name}{suffix}" if name in features and isinstance(value, Mapping) else name: value
            for name, value in view.items()
        }

    changed = renamed(configuration)
    changed[_ENVIRONMENTS] = {name: renamed(view) for name, view in _environments(configuration).items()}
    return changed


def _by_environment(values: JsonValue, others: Mapping[str, JsonValue]) -> JsonValue:
    """A flag with these values, and a variant for each environment that has others."""
    return _flag({_BASE: values} | {name: each for name, each in others.items() if each != values}, _BASE)


def _flag(variants: Mapping[str, JsonValue], default: str) -> JsonValue:
    flag: dict[str, JsonValue] = {"state": "ENABLED", "variants": dict(variants), "defaultVariant": default}
    clauses: list[JsonValue] = []
    for environment in variants:
        if environment != default:
            clauses += [{"==": [{"var": "environment"}, environment]}, environment]
    return {**flag, "targeting": {"if": clauses}} if clauses else flag


def _boolean(value: bool, served: Mapping[str, bool]) -> JsonValue:  # noqa: FBT001 - the flag's value
    names = {True: "on", False: "off"}
    flag: dict[str, JsonValue] = {
        "state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": names[value],
    }  # fmt: skip
    others = [environment for environment, other in served.items() if other != value]
    if others:
        flag["targeting"] = {"if": [{"in": [{"var": "environment"}, others]}, names[not value]]}
    return flag


def _environments(configuration: Mapping[str, JsonValue]) -> Mapping[str, Mapping[str, JsonValue]]:
    found = configuration.get(_ENVIRONMENTS) or {}
    if not isinstance(found, Mapping):
        raise ConfigurationError("`environments` must be a mapping of names to overrides")
    views: dict[str, Mapping[str, JsonValue]] = {}
    for name, view in found.items():
        if name == _BASE or not isinstance(view or {}, Mapping):
            raise ConfigurationError(
                f"environments.{name}: overrides are a mapping, and `{_BASE}` is the variant of the others"
            )
        views[name] = view or {}  # type: ignore[assignment]
    return views


def _features(view: Mapping[str, JsonValue]) -> Mapping[str, bool]:
    for name in view:
        if name != _FEATURES and re.sub("[^a-z]", "", name.lower()) == "featureflags":
            raise ConfigurationError(f"the section of features is called `{_FEATURES}`; rename {name!r}")
    found = view.get(_FEATURES) or {}
    if not isinstance(found, Mapping) or not all(isinstance(value, bool) for value in found.values()):
        raise ConfigurationError(f"`{_FEATURES}` must be a mapping of names to true or false")
    return found  # type: ignore[return-value]
