"""The process's own layers: `.env` and environment variables, read by pydantic-settings, field by field."""

import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
)
from pydantic_settings.sources import DefaultSettingsSource

from windsock.nested import FieldPath, overlay
from windsock.settings.declaration import aliases, nested_model
from windsock.settings.layers import Layer, Origin

logger = logging.getLogger("windsock.settings")


_DEEPEST = 8
"""Levels of nested models whose aliases are read; a model may hold itself."""


def read_layers(settings_class: type[BaseSettings]) -> tuple[Layer, ...]:
    """Read what the process says of a settings class, weakest source first.

    The sources are those of pydantic-settings, in the order that the class's ``settings_customise_sources``
    gives them. One value that cannot be parsed is logged and left out; the others of its source count.
    """
    names = {DotEnvSettingsSource: ".env", EnvSettingsSource: "environment", SecretsSettingsSource: "secrets"}
    layers = []
    for source in reversed(_sources(settings_class)):
        name = names.get(type(source), type(source).__name__)
        values, variables = _read(source, settings_class, name)
        if values:
            layers.append(Layer(Origin(name, variables=variables), values))
    return tuple(layers)


def _sources(settings_class: type[BaseSettings]) -> list[PydanticBaseSettingsSource]:
    """The class's own sources, strongest first, without those that windsock's layers stand for."""
    sources = settings_class.settings_customise_sources(
        settings_class,
        init_settings=InitSettingsSource(settings_class, init_kwargs={}),
        env_settings=EnvSettingsSource(settings_class),
        dotenv_settings=DotEnvSettingsSource(settings_class),
        file_secret_settings=SecretsSettingsSource(settings_class),
    )
    return [
        source for source in sources if not isinstance(source, InitSettingsSource | DefaultSettingsSource)
    ]


def _read(
    source: PydanticBaseSettingsSource, settings_class: type[BaseSettings], name: str
) -> tuple[dict[str, object], dict[str, str]]:
    """Give the values of one source by field name, and the variable each came from."""
    values: dict[str, object] = {}
    variables: dict[str, str] = {}
    if not isinstance(source, EnvSettingsSource):
        return _by_field_name(_call(source, settings_class, name), settings_class), variables
    for field_name, field in settings_class.model_fields.items():
        variable = _variable(settings_class, field_name, field)
        try:
            raw, _, is_complex = source.get_field_value(field, field_name)
            value = source.prepare_field_value(field_name, field, raw, is_complex)
        except ValueError as error:
            logger.warning(
                "%s: %s cannot be read for %s.%s (%s); give it as JSON. The layer below serves.",
                name, variable, settings_class.__name__, field_name, type(error).__name__,
            )  # fmt: skip  # the value is not shown: it may be a secret
            continue
        if value is not None:
            values[field_name] = value
            variables[field_name] = variable
        for path, alias, text in _aliased_below(field, source.env_vars, (field_name,)):
            values = overlay(values, _nest(path, text))
            variables[".".join(path)] = alias
    return values, variables


def _aliased_below(
    field: FieldInfo, variables: Mapping[str, str | None], path: FieldPath
) -> Iterator[tuple[FieldPath, str, str]]:
    """Find the fields of nested models whose ``validation_alias`` names a variable that is set."""
    model = nested_model(field.annotation)
    if model is None or len(path) > _DEEPEST:
        return
    for name, below in model.model_fields.items():
        for alias in aliases(below):
            text = variables.get(alias, variables.get(alias.lower()))
            if text:
                yield (*path, name), alias, text
                break
        yield from _aliased_below(below, variables, (*path, name))


def _nest(path: FieldPath, value: object) -> dict[str, object]:
    head, *rest = path
    return {head: _nest(tuple(rest), value) if rest else value}


def _call(
    source: PydanticBaseSettingsSource, settings_class: type[BaseSettings], name: str
) -> Mapping[str, Any]:
    try:
        return source()
    except Exception as error:  # noqa: BLE001 - a source of the user's may raise anything
        logger.warning(
            "%s: settings source %s failed and is left out: %s", settings_class.__name__, name, error
        )
        return {}


def _by_field_name(values: Mapping[str, Any], settings_class: type[BaseSettings]) -> dict[str, object]:
    """Turn keys that are aliases into field names; a source may give either."""
    names = {alias: name for name, field in settings_class.model_fields.items() for alias in aliases(field)}
    return {names.get(key, key): value for key, value in values.items()}


def _variable(settings_class: type[BaseSettings], field_name: str, field: FieldInfo) -> str:
    """The environment variable that a person would set for this field."""
    names = aliases(field)
    if names:
        return next((alias for alias in names if os.environ.get(alias)), names[0])
    return f"{settings_class.model_config.get('env_prefix', '')}{field_name}".upper()
