"""Generates a Python module of settings classes from values: names are checked, all else is a literal."""

import keyword
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import BaseModel

from windsock.errors import ConfigurationError, DeclarationError
from windsock.flag_names import checked_flag
from windsock.flags import JsonValue
from windsock.settings.settings import Settings

_HEAD: Final = '"""Settings and features, with the configuration\'s values as code defaults."""\n\n'
_TYPES: Final = frozenset({"bool", "int", "float", "str", "list", "dict", "object"})


class SettingsModule:
    """A module built class by class."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._names = {"windsock", "builtins", "BaseModel", *_TYPES}

    def add_class(self, section: str, values: JsonValue) -> None:
        """Add a settings class for a flag, with a nested model for each mapping in it.

        Raises:
            ConfigurationError: A name can't name a flag, a class or a field, or is already taken.
        """
        fields = values if isinstance(values, Mapping) else {}
        name = _class_name(section)
        for field in fields:
            _check_field(name, field)
        lines = list(self._fields(name, fields))
        head = f"class {self._new(name)}(windsock.Settings, flag={_text(section)}):"
        self._parts.append("\n".join([head, *(f"    {line}" for line in lines or ["pass"])]) + "\n")

    def add_feature(self, key: str, *, default: bool) -> None:
        """Add a handle for a feature.

        Raises:
            ConfigurationError: Its name is already taken.
        """
        name = self._new(_identifier(key))
        self._parts.append(f"{name} = windsock.feature({_text(key)}, default={default})\n")

    def __str__(self) -> str:
        body = "\n\n".join(self._parts)
        imports = ["import builtins\n" if "builtins." in body else "", "import windsock\n"]
        models = "from pydantic import BaseModel\n" if "(BaseModel)" in body else ""
        return _HEAD + "".join(imports) + models + "\n\n" + body

    def _fields(self, owner: str, values: Mapping[str, JsonValue]) -> Iterator[str]:
        prefix = "builtins." if _TYPES & values.keys() else ""  # `list: list[int]` means the field itself
        for name, value in values.items():
            if isinstance(value, Mapping) and value and all(map(_is_field, value)):
                model = f"{owner}{_camel(name)}"
                lines = list(self._fields(model, value))
                head = f"class {self._new(model)}(BaseModel):"
                self._parts.append("\n".join([head, *(f"    {line}" for line in lines)]) + "\n")
                if model in values:
                    raise ConfigurationError(f"{owner}: {model!r} is a field and a class; rename the field")
                yield f"{name}: {model} = {model}()"
            else:
                yield f"{name}: {_type(value, prefix)} = {value!r}"

    def _new(self, name: str) -> str:
        if name in self._names:
            raise ConfigurationError(f"two parts of the configuration would be named {name}; rename one")
        self._names.add(name)
        return name


def _check_field(owner: str, name: str) -> None:
    if not _is_field(name) or hasattr(Settings, name):
        raise ConfigurationError(f"{owner}: {name!r} cannot be a field's name; rename it in the YAML")


def _is_field(name: str) -> bool:
    return (
        name.isidentifier()
        and unicodedata.normalize("NFKC", name) == name  # else Python reads another name
        and not keyword.iskeyword(name)
        and not name.startswith(("_", "model_validate", "model_dump"))
        and not hasattr(BaseModel, name)
    )


def _type(value: JsonValue, prefix: str) -> str:
    if isinstance(value, list):
        kinds = {_type(item, prefix) for item in value}
        return f"{prefix}list[{kinds.pop() if len(kinds) == 1 else f'{prefix}object'}]"
    if isinstance(value, Mapping):
        return f"{prefix}dict[{prefix}str, {prefix}object]"
    return f"{prefix}object" if value is None else f"{prefix}{type(value).__name__}"


def _class_name(section: str) -> str:
    name = _camel(section)
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ConfigurationError(f"section {section!r} cannot name a class; rename it in the YAML")
    try:
        checked_flag(name, section)
    except DeclarationError as error:
        raise ConfigurationError(str(error)) from None
    return name


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))


def _identifier(name: str) -> str:
    identifier = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return f"{identifier}_" if keyword.iskeyword(identifier) or not identifier.isidentifier() else identifier


def _text(value: str) -> str:
    """A string literal, in the quotes that formatters prefer."""
    return f'"{value}"' if re.fullmatch(r"[\w .-]+", value, re.ASCII) else repr(value)
