"""What a settings class declares, checked once when the class is created."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, get_args, get_origin
from weakref import WeakValueDictionary

from pydantic import BaseModel, Secret, SecretBytes, SecretStr, ValidationError
from pydantic_core import to_jsonable_python

from windsock.errors import DeclarationError
from windsock.flag_names import EXPERIMENT, PROFILE, checked_flag
from windsock.logs import get_logger
from windsock.nested import FieldPath
from windsock.settings.flag_input import LONG_KEYS, NO_BOOLEAN, NO_NUMBER, complaints
from windsock.settings.layers import masked, plain
from windsock.settings.shapes import fields_of
from windsock.text import MASK, mask_passwords, printable

logger = get_logger("windsock.settings")

# The methods of `windsock.Settings`; a field with one of these names would hide the method.
RESERVED = frozenset({"for_user", "afor_user", "live"})

_TELLING = ("_url", "_uri", "_dsn", "_key", "_token", "_secret", "_password")
"""Name suffixes that suggest a field with an address or a credential."""

_LONGEST = 16_384
"""Maximum length of a value that can only be shown as text."""


_claimed: WeakValueDictionary[str, type[BaseModel]] = WeakValueDictionary()
"""The module-level settings classes, by flag."""


class Declaration:
    """A settings class: its flag names, its code defaults, and how values are validated.

    Args:
        settings_class: A complete pydantic class.
        flag: The key of its base flag.

    Attributes:
        code: An instance with only the code defaults.
        complete: Whether the code defaults alone are valid. A class with ``flag=`` must be complete; others
            may have fields that their sources must provide, as with pydantic-settings.

    Raises:
        DeclarationError: A field hides a method, the flag's name is invalid, or a class with ``flag=`` has a
            field without a valid default.
    """

    def __init__(self, settings_class: type[BaseModel], flag: str) -> None:
        self.settings_class = settings_class
        self.flag = checked_flag(settings_class.__name__, flag)
        _claim(settings_class, flag)
        self.experiment_flag = flag + EXPERIMENT
        self.profile_flag = flag + PROFILE
        self.fields = tuple(settings_class.model_fields)
        self._must_be_complete = getattr(settings_class, "__windsock_named__", True)
        self._check_fields()
        self.code, self.complete = self._code()

    @property
    def defaults(self) -> Mapping[str, object]:
        """The code defaults as plain nested data."""
        return {name: plain(self.code.__dict__[name]) for name in self.fields if name in self.code.__dict__}

    def default(self, name: str) -> object:
        """A field's code default as written; for a default factory, the value it returned once."""
        info = self.settings_class.model_fields[name]
        return info.default if info.default_factory is None else getattr(self.code, name, None)

    def unknown(self, values: Mapping[str, object]) -> Iterable[tuple[FieldPath, str]]:
        """The flag's keys that match no field, including those inside nested models."""
        return (
            (path, message)
            for path, message in complaints(self.settings_class, values, self.code)
            if message not in {NO_BOOLEAN, NO_NUMBER, LONG_KEYS}
        )

    def is_secret(self, path: FieldPath) -> bool:
        """Whether the field at the head of `path` holds a secret."""
        return path[0] in self.secrets

    def shown(self, values: Mapping[str, object]) -> dict[str, object]:
        """Values as JSON that's safe to log or display: secrets are masked."""
        return {name: MASK if name in self.secrets else jsonable(value) for name, value in values.items()}

    @cached_property
    def secrets(self) -> frozenset[str]:
        """Fields whose type contains one of pydantic's secrets: never shown, logged or traced."""
        fields = self.settings_class.model_fields.items()
        return frozenset(name for name, field in fields if _mentions_secret(field.annotation))

    def unmarked(self) -> list[str]:
        """Text fields that profiles may set even though their name suggests an address or a credential."""
        return list(_unmarked(self.settings_class, (), frozenset()))

    def _check_fields(self) -> None:
        name = self.settings_class.__name__
        for field_name, field in self.settings_class.model_fields.items():
            if field_name in RESERVED:
                raise DeclarationError(
                    f"{name}.{field_name} hides windsock's own `{field_name}`: rename the field"
                )
            if field.is_required() and self._must_be_complete:
                raise DeclarationError(
                    f"{name}.{field_name} has no default: settings fall back to code defaults, so every field"
                    f" needs one. Write `{field_name}: … = Field(<default>)`"
                )

    def _code(self) -> tuple[BaseModel, bool]:
        instance = self.settings_class.__new__(self.settings_class)
        try:
            self.settings_class.__pydantic_validator__.validate_python({}, self_instance=instance)
        except Exception as error:
            if not self._must_be_complete:
                return self.settings_class.model_construct(), False
            if not isinstance(error, ValidationError):
                raise
            raise DeclarationError(
                f"{self.settings_class.__name__}: the code defaults do not validate: {error}"
            ) from error
        return instance, True


def forget_claims() -> None:
    """Free all claimed flags for other classes; each module of a test suite declares its own."""
    _claimed.clear()


def _claim(settings_class: type[BaseModel], flag: str) -> None:
    """Reject a second class with the same flag: each would read values meant for the other.

    A class redefined under its own name replaces the first, as when a module is reloaded or a notebook cell
    runs again. Classes created in a function, as in tests, and parametrized generics claim nothing. Two
    classes without ``flag=`` cause only a warning: migrated classes may both be called `Settings`.
    """
    if "<locals>" in settings_class.__qualname__ or settings_class.__pydantic_generic_metadata__["origin"]:
        return
    other = _claimed.setdefault(flag, settings_class)
    name, other_name = (f"{each.__module__}.{each.__qualname__}" for each in (settings_class, other))
    if name != other_name:
        message = (
            f"{name}: the flag {flag!r} belongs to {other_name}; give one of them another flag: class"
            f' {settings_class.__name__}(windsock.Settings, flag="…")'
        )
        if any(getattr(each, "__windsock_named__", True) for each in (settings_class, other)):
            raise DeclarationError(message)
        logger.warning(message)
    _claimed[flag] = settings_class


def _unmarked(model: type, above: FieldPath, within: frozenset[type]) -> Iterator[str]:
    for name, field in fields_of(model).items():
        if field.fixed or field.tunable:
            continue
        path = (*above, name)
        if name.lower().endswith(_TELLING) and any(member.kind is str for member in field.shape.members):
            yield ".".join(path)
        for member in field.shape.models:
            if member.kind not in within:
                yield from _unmarked(member.kind, path, within | {member.kind})


def jsonable(value: object) -> object:
    """Convert a value to JSON types and mask passwords in URLs; unserializable values become text."""
    try:
        return masked(to_jsonable_python(value, fallback=str))
    except (Exception, SystemExit):  # noqa: BLE001 - bytes that aren't UTF-8, or the class's own serializer
        if isinstance(value, BaseModel):
            return {name: jsonable(getattr(value, name)) for name in type(value).model_fields}
        if isinstance(value, Mapping):
            return {str(key): jsonable(below) for key, below in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [jsonable(each) for each in value]
        return mask_passwords(printable(value, _LONGEST))


def _mentions_secret(annotation: Any, within: frozenset[type] = frozenset()) -> bool:
    """Whether a type contains a secret; `within` are the enclosing models, which may contain themselves."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = () if annotation in within else annotation.model_fields.values()
        return any(_mentions_secret(field.annotation, within | {annotation}) for field in fields)
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type) and issubclass(origin, SecretStr | SecretBytes | Secret):
        return True
    return any(_mentions_secret(argument, within) for argument in get_args(annotation))
