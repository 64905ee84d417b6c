"""A YAML configuration with environment overrides becomes flags and settings classes, value for value."""

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from windsock.errors import ConfigurationError, FlagFileError, MissingExtraError
from windsock.flags import JsonValue
from windsock.nested import overlay

_ENVIRONMENTS: Final = "environments"
_FEATURES: Final = "feature_flags"
_BASE: Final = "base"


@dataclass(frozen=True, slots=True)
class Imported:
    """What a configuration became.

    Attributes:
        flags: Flag documents' flags by key: an object flag for each section, a boolean flag for each feature.
        module: A Python module with a settings class for each section and a handle for each feature.
    """

    flags: Mapping[str, JsonValue]
    module: str


def read_configuration(data: bytes, source: str) -> Mapping[str, JsonValue]:
    """Read the YAML.

    Raises:
        FlagFileError: It is no YAML mapping of texts to values, or holds what JSON has not.
        MissingExtraError: The ``yaml`` extra is not installed.
    """
    try:
        import yaml  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("reading a YAML configuration", "yaml") from error
    try:
        content = yaml.safe_load(data)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise FlagFileError(source, f"not YAML: {error.problem or error.context}", *place) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FlagFileError(source, f"not YAML: {error}") from error
    if not isinstance(content, dict):
        raise FlagFileError(source, "the configuration must be a mapping of sections")
    _check(content, source, "")
    return content


def effective(configuration: Mapping[str, JsonValue], environment: str | None) -> Mapping[str, JsonValue]:
    """The configuration that one environment sees: its overrides merged deeply over the sections."""
    sections = {name: value for name, value in configuration.items() if name != _ENVIRONMENTS}
    overrides = _environments(configuration).get(environment or "", {})
    return overlay(sections, overrides)  # type: ignore[return-value]


def convert(configuration: Mapping[str, JsonValue], stem: str) -> Imported:
    """Turn a configuration into flags and classes.

    A variant holds a section's whole values, so that a reader in another language sees what the YAML's loader
    saw; the class's code defaults are the base's.

    Args:
        configuration: What `read_configuration` gave.
        stem: The name of the section that top-level values go into.

    Raises:
        ConfigurationError: A section or a feature cannot be a flag, or two would be the same flag.
    """
    environments = list(_environments(configuration))
    base = effective(configuration, None)
    views = {name: effective(configuration, name) for name in environments}
    sections = {
        name: value for name, value in base.items() if isinstance(value, Mapping) and name != _FEATURES
    }
    loose = [name for name, value in base.items() if not isinstance(value, Mapping)]
    flags: dict[str, JsonValue] = {}
    parts: list[str] = []
    for name, values in {
        **sections,
        **({stem: {each: base[each] for each in loose}} if loose else {}),
    }.items():
        if name in flags or (name == stem and name in sections):
            raise ConfigurationError(
                f"section {name!r} and top-level values would be one flag; rename the section"
            )
        variants = {_BASE: values}
        for environment, view in views.items():
            seen = {each: view[each] for each in loose} if name == stem and loose else view.get(name, {})
            if seen != values:
                variants[environment] = seen  # type: ignore[assignment]
        flags[name] = _flag(variants, _BASE)
        parts.append(_class(name, values))
    for name, value in _features(base).items():
        if name in flags:
            raise ConfigurationError(
                f"{name!r} is a section and a feature, and flags have one name space; rename the "
                "section in the YAML, "
                "or import with --section-suffix"
            )
        served = {environment: _features(view).get(name, value) for environment, view in views.items()}
        flags[name] = _boolean(value, served)
        parts.append(f'{_identifier(name)} = windsock.feature("{name}", default={value})\n')
    return Imported(flags, _MODULE + "\n\n".join(parts))


def convert_joined(configuration: Mapping[str, JsonValue], flag: str) -> Imported:
    """Turn a whole configuration into one flag and one class, with each section as a part of it.

    Args:
        configuration: What `read_configuration` gave.
        flag: The flag's key.

    Raises:
        ConfigurationError: A name in it cannot be a field's, or the flag's cannot be a class's.
    """
    base = effective(configuration, None)
    variants: dict[str, JsonValue] = {_BASE: base}
    for environment in _environments(configuration):
        view = effective(configuration, environment)
        if view != base:
            variants[environment] = view
    return Imported({flag: _flag(variants, _BASE)}, _MODULE + _class(flag, base))


def with_suffix(configuration: Mapping[str, JsonValue], suffix: str) -> Mapping[str, JsonValue]:
    """The configuration with a suffix on the name of each section, where a feature has the same name."""
    features = _features(configuration)

    def renamed(view: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        return {
            f"{name}{suffix}" if name in features and isinstance(value, Mapping) else name: value
            for name, value in view.items()
        }

    changed = renamed(configuration)
    changed[_ENVIRONMENTS] = {name: renamed(view) for name, view in _environments(configuration).items()}
    return changed


_MODULE: Final = '''\
"""Settings and features, with the configuration's values as code defaults."""

import windsock
from pydantic import BaseModel


'''


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
    found = view.get(_FEATURES) or {}
    if not isinstance(found, Mapping) or not all(isinstance(value, bool) for value in found.values()):
        raise ConfigurationError(f"`{_FEATURES}` must be a mapping of names to true or false")
    return found  # type: ignore[return-value]


def _check(value: JsonValue, source: str, path: str) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise FlagFileError(source, f"{path or 'the top'}: the key {key!r} is no text; quote it")
            _check(item, source, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for item in value:
            _check(item, source, path)
    elif value is not None and not isinstance(value, (bool, int, float, str)):
        raise FlagFileError(
            source, f"{path}: {value!r} is a {type(value).__name__}, which JSON has not; quote it"
        )


def _class(section: str, values: JsonValue) -> str:
    fields = values if isinstance(values, Mapping) else {}
    nested: list[str] = []
    body = list(_fields(_camel(section), fields, nested))
    head = f'class {_camel(section)}(windsock.Settings, flag="{section}"):'
    return (
        "".join(f"{each}\n\n" for each in nested)
        + "\n".join([head, *(f"    {line}" for line in body or ["pass"])])
        + "\n"
    )


def _fields(owner: str, values: Mapping[str, JsonValue], nested: list[str]) -> Iterator[str]:
    for name, value in values.items():
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise ConfigurationError(f"{owner}: {name!r} cannot be a field's name; rename it in the YAML")
        if isinstance(value, Mapping) and value and all(key.isidentifier() for key in value):
            model = f"{owner}{_camel(name)}"
            lines = list(_fields(model, value, nested))
            nested.append(
                "\n".join([f"class {model}(BaseModel):", *(f"    {line}" for line in lines)]) + "\n"
            )
            yield f"{name}: {model} = {model}()"
        else:
            yield f"{name}: {_type(value)} = {value!r}"


def _type(value: JsonValue) -> str:
    if isinstance(value, list):
        kinds = {_type(item) for item in value}
        return f"list[{kinds.pop()}]" if len(kinds) == 1 else "list[object]"
    if isinstance(value, Mapping):
        return "dict[str, object]"
    return "object" if value is None else type(value).__name__


def _camel(name: str) -> str:
    made = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))
    if not made.isidentifier():
        raise ConfigurationError(f"section {name!r} cannot name a class; rename it in the YAML")
    return made


def _identifier(name: str) -> str:
    made = re.sub(r"\W", "_", name)
    return f"{made}_" if keyword.iskeyword(made) or not made.isidentifier() else made
