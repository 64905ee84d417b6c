"""Read the pydantic-settings sources of a class, each as a named layer.

The sources are those of `BaseSettings`, in the order of the class's ``settings_customise_sources``.
Unreadable variables and files don't raise: they're logged and skipped, and everything else counts.
"""

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsError,
)
from pydantic_settings.sources import DefaultSettingsSource, PydanticBaseEnvSettingsSource

from windsock.logs import get_logger
from windsock.nested import FieldPath, nest, overlay
from windsock.settings.layers import Layer, Origin
from windsock.settings.shapes import FieldShape, by_name, fields_of
from windsock.settings.validation import ARGUMENTS, COMMAND_LINE

logger = get_logger("windsock.settings")

OPTIONS = frozenset(
    name
    for name in inspect.signature(BaseSettings.__init__).parameters
    if name.startswith("_") and name[1] != "_"
)
"""Keyword arguments of `BaseSettings` that are not fields, such as ``_env_file`` and ``_env_prefix``."""

_NAMES: Mapping[type, str] = {
    InitSettingsSource: ARGUMENTS,
    DotEnvSettingsSource: ".env",
    EnvSettingsSource: "environment",
    SecretsSettingsSource: "secrets",
}
_UNPARSED = "error parsing CLI"
"""The pydantic-settings error text for an unparsable command line."""

_DEEPEST = 8
"""Maximum depth for nested aliases; a model may contain itself."""

Values = Mapping[str, Any]


class Sources(NamedTuple):
    """The values from the sources.

    Attributes:
        layers: One layer per source with values, weakest first.
        defaults: The pydantic-settings source of the code defaults.
    """

    layers: tuple[Layer, ...]
    defaults: DefaultSettingsSource


def read(
    settings_class: type[BaseSettings], options: Values, arguments: Values, *, for_views: bool = False
) -> Sources:
    """Read the sources of a settings class.

    Args:
        settings_class: The class.
        options: The given keyword arguments from `OPTIONS`.
        arguments: The other keyword arguments of the call.
        for_views: Whether the settings are for views, so the class wasn't called: an unparsable command line
            may then belong to another program, such as a server, and is ignored.

    Raises:
        SettingsError: The command line can't be parsed, and the class is configured to raise.
        SystemExit: The command line can't be parsed, or requests help.
    """
    arguments = _by_alias(settings_class, arguments)
    layers: list[Layer] = []
    state: dict[str, object] = {}
    states: dict[str, dict[str, Any]] = {}
    if for_views:
        options = {"_cli_exit_on_error": False, **options}
    try:
        found, defaults = _sources(settings_class, options, arguments)
    except (SettingsError, SystemExit) as error:
        if not for_views or (isinstance(error, SystemExit) and not error.code):  # no code: it was for help
            raise
        logger.error("%s: the command line is left out: %s", settings_class.__name__, error)  # noqa: TRY400 - the message names what failed
        found, defaults = _sources(settings_class, {**options, "_cli_parse_args": False}, arguments)
    for source in found:
        if isinstance(source, PydanticBaseSettingsSource):
            source._set_current_state(state)  # noqa: SLF001 - what `BaseSettings` does before it reads one
            source._set_settings_sources_data(states)  # noqa: SLF001
        values = _values_of(source, settings_class)
        states[getattr(source, "__name__", type(source).__name__)] = values
        state = overlay(values, state)
        if own := _own_values(source, values, settings_class):
            origin = Origin(_name(source), variables=_variables(source, settings_class))
            layers.append(Layer(origin, by_name(settings_class, own), own))
    return Sources(tuple(reversed(layers)), defaults)


def _by_alias(settings_class: type[BaseSettings], arguments: Values) -> dict[str, Any]:
    """Rename arguments passed by field name to the field's alias."""
    fields = fields_of(settings_class)
    names = {
        name: field.names[0] for name, field in fields.items() if field.names and name not in field.names
    }
    taken = {key for field in fields.values() for key in field.names}
    return {name if name in taken else names.get(name, name): value for name, value in arguments.items()}


def _sources(
    settings_class: type[BaseSettings], options: Values, arguments: Values
) -> tuple[Sequence[PydanticBaseSettingsSource], DefaultSettingsSource]:
    """The class's sources, strongest first, without unreadable ``.env`` files."""
    readable = {**options, "_env_file": _readable(settings_class, options)}
    try:
        with _surviving_broken_files(settings_class):
            made, _ = settings_class._settings_init_sources(**readable, _init_kwargs=dict(arguments))  # noqa: SLF001
    except Exception as error:
        if isinstance(error, SettingsError) and str(error).startswith(_UNPARSED):
            raise
        logger.error(  # noqa: TRY400 - the message names what failed
            "%s: its settings sources cannot be made (%s: %s); the usual ones serve",
            settings_class.__name__, type(error).__name__, error,
        )  # fmt: skip
    else:
        return made[:-1], cast("DefaultSettingsSource", made[-1])
    usual = (
        InitSettingsSource(settings_class, dict(arguments)),
        EnvSettingsSource(settings_class),
        DotEnvSettingsSource(settings_class, env_file=readable["_env_file"]),
        SecretsSettingsSource(settings_class),
    )
    return usual, DefaultSettingsSource(settings_class)


def _surviving_broken_files(settings_class: type[BaseSettings]) -> AbstractContextManager[None]:
    own = settings_class.settings_customise_sources.__func__  # type: ignore[attr-defined]  # a class method
    if own is BaseSettings.settings_customise_sources.__func__:  # type: ignore[attr-defined]
        return nullcontext()
    from windsock.settings.files import each_on_its_own  # noqa: PLC0415 - most classes have no such sources

    return each_on_its_own(settings_class)


def _readable(settings_class: type[BaseSettings], options: Values) -> tuple[Path | str, ...] | None:
    """The ``.env`` files that can be read."""
    named = options.get("_env_file", settings_class.model_config.get("env_file"))
    if named is None:
        return None
    files: list[Path | str] = [named] if isinstance(named, str | Path) else list(named)
    encoding = options.get("_env_file_encoding")
    return tuple(file for file in files if _is_readable(settings_class, file, encoding))


def _is_readable(settings_class: type[BaseSettings], file: Path | str, encoding: str | None) -> bool:
    try:
        DotEnvSettingsSource(settings_class, env_file=file, env_file_encoding=encoding)
    except (OSError, ValueError, LookupError) as error:
        name = settings_class.__name__
        logger.error("%s: %s cannot be read and is left out: %s", name, file, error)  # noqa: TRY400 - it names what failed
        return False
    return True


def _values_of(source: PydanticBaseSettingsSource, settings_class: type[BaseSettings]) -> dict[str, Any]:
    """The values of one source, under the keys that pydantic reads."""
    name = _name(source)
    if isinstance(source, PydanticBaseEnvSettingsSource):
        _leave_out_what_fails(source, settings_class, name)
    try:
        values = dict(source())
    except Exception as error:  # noqa: BLE001 - a source of the user's may raise anything
        logger.warning(
            "%s: settings source %s failed and is left out: %s", settings_class.__name__, name, error
        )
        return {}
    for _, keys, _, text in _aliased(source, settings_class):
        values = overlay(values, nest(keys, text))
    return values


def _own_values(source: object, values: dict[str, Any], settings_class: type[BaseSettings]) -> dict[str, Any]:
    """The values that count: if extra keys are an error, those in `.env` are for other programs."""
    if type(source) is not DotEnvSettingsSource or settings_class.model_config.get("extra") != "forbid":
        return values
    known = {str(key[0]) for field in fields_of(settings_class).values() for key in field.keys}
    return {key: value for key, value in values.items() if key in known}


def _leave_out_what_fails(
    source: PydanticBaseEnvSettingsSource, settings_class: type[BaseSettings], name: str
) -> None:
    """Make a source skip variables and files that it can't read, instead of failing altogether."""
    get, prepare = source.get_field_value, source.prepare_field_value

    def tell(field_name: str, field: FieldInfo, error: Exception) -> None:
        logger.warning(
            "%s: %s cannot be read for %s.%s (%s); give it as JSON. The layer below serves.",
            name, _variable(source, field_name, field), settings_class.__name__, field_name,
            type(error).__name__,
        )  # fmt: skip  # the value is not shown: it may be a secret

    def get_field_value(field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        try:
            return get(field, field_name)
        except (OSError, ValueError) as error:
            tell(field_name, field, error)
            return None, field_name, False

    def prepare_field_value(field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:  # noqa: FBT001
        try:
            return prepare(field_name, field, value, value_is_complex)
        except (TypeError, ValueError) as error:
            tell(field_name, field, error)
            return None

    source.get_field_value = get_field_value  # type: ignore[method-assign]  # of this source alone
    source.prepare_field_value = prepare_field_value  # type: ignore[method-assign]


def _name(source: object) -> str:
    if isinstance(source, CliSettingsSource):  # it may be parametrized with a parser's type
        return COMMAND_LINE
    return _NAMES.get(type(source)) or str(getattr(source, "__name__", type(source).__name__))


def _variables(source: object, settings_class: type[BaseSettings]) -> dict[str, str]:
    """The variable that each field was read from; nested fields after dots."""
    if not isinstance(source, EnvSettingsSource) or isinstance(source, CliSettingsSource):
        return {}
    found: dict[str, str] = {}
    for name, field in settings_class.model_fields.items():
        for _, variable, _ in source._extract_field_info(field, name):  # noqa: SLF001 - it has no other way
            for each, steps in _below(source, variable):
                spelled = _spelled(source, each, field)
                found[".".join([name, *steps]).lower()] = spelled
                found.setdefault(name, spelled)
    for path, _, alias, _ in _aliased(source, settings_class):
        found[".".join(path)] = alias
    return found


def _below(source: EnvSettingsSource, variable: str) -> Iterator[tuple[str, list[str]]]:
    """The variables set for a field: its own, and those of nested fields."""
    if source.env_vars.get(variable) is not None:
        yield variable, []
    if delimiter := source.env_nested_delimiter:
        for name in source.env_vars:
            if name.startswith(variable + delimiter):
                yield name, name.removeprefix(variable + delimiter).split(delimiter)


def _variable(source: PydanticBaseEnvSettingsSource, name: str, field: FieldInfo) -> str:
    """The variable that a user would set for this field."""
    (_, variable, _), *_ = source._extract_field_info(field, name)  # noqa: SLF001 - it has no other way
    return _spelled(source, variable, field)


def _spelled(source: PydanticBaseEnvSettingsSource, variable: str, field: FieldInfo) -> str:
    """A variable's name as it was set; sources know it only in lower case."""
    if source.case_sensitive:
        return variable
    names = [*aliases(field), *([field.alias] if field.alias else [])]
    if type(source) is EnvSettingsSource:
        names = [*os.environ, *names]
    return next((name for name in names if name.lower() == variable), variable.upper())


class _Aliased(NamedTuple):
    """A field of a nested model whose ``validation_alias`` names a variable that is set."""

    path: FieldPath
    keys: FieldPath
    variable: str
    text: str


def _aliased(source: object, settings_class: type[BaseSettings]) -> Iterator[_Aliased]:
    """Find such fields, only in classes with ``flag=``; pydantic-settings doesn't read such variables."""
    if type(source) not in (EnvSettingsSource, DotEnvSettingsSource):
        return
    if isinstance(source, EnvSettingsSource) and getattr(settings_class, "__windsock_named__", False):
        for name, field in fields_of(settings_class).items():
            yield from _aliased_below(field, source.env_vars, (name,), (str(field.written[0]),))


def _aliased_below(
    field: FieldShape, variables: Mapping[str, str | None], path: FieldPath, keys: FieldPath
) -> Iterator[_Aliased]:
    models = field.shape.models
    if len(models) != 1 or field.shape.is_union or len(path) > _DEEPEST:
        return
    for name, below in fields_of(models[0].kind).items():
        for alias in aliases(below.info):
            text = variables.get(alias) or variables.get(alias.lower())
            if text:
                yield _Aliased((*path, name), (*keys, aliases(below.info)[0]), alias, text)
                break
        yield from _aliased_below(below, variables, (*path, name), (*keys, str(below.written[0])))


def aliases(info: FieldInfo) -> list[str]:
    """The names that a ``validation_alias`` gives a field, first choice first, without paths."""
    alias = None if info.alias is not None else info.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [choice for choice in choices if isinstance(choice, str)]
