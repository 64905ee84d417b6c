"""What a settings class declares, checked once when the class is made."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Any, get_args

from pydantic import AliasChoices, AliasPath, BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from windsock.errors import DeclarationError
from windsock.flag_names import EXPERIMENT, PROFILE, checked_flag
from windsock.nested import FieldPath
from windsock.settings.layers import MASK

# What `windsock.Settings` itself offers; a field of that name would hide it.
RESERVED = frozenset({"for_user", "afor_user", "live"})


class Declaration:
    """One settings class: its flag names, its code defaults, and how values are checked against it.

    Args:
        settings_class: A complete pydantic class.
        flag: Key of its base flag.

    Raises:
        DeclarationError: A field has no default or hides a method, a default is invalid, or the name of the
            flag cannot be one.
    """

    def __init__(self, settings_class: type[BaseModel], flag: str) -> None:
        self.settings_class = settings_class
        self.flag = checked_flag(settings_class.__name__, flag)
        self.experiment_flag = flag + EXPERIMENT
        self.profile_flag = flag + PROFILE
        self.fields = tuple(settings_class.model_fields)
        self._check_fields()
        self.defaults: Mapping[str, object] = self._defaults()

    def validate(self, data: Mapping[str, object]) -> BaseModel:
        """Give an instance of the class from values by field name.

        The class's own ``__init__`` reads the environment, so it is passed by: this is what
        ``BaseModel.__init__`` does, with names instead of aliases.
        """
        instance = self.settings_class.__new__(self.settings_class)
        self.settings_class.__pydantic_validator__.validate_python(
            dict(data), self_instance=instance, by_name=True, by_alias=False
        )
        return instance

    def unknown(self, values: Mapping[str, object]) -> Iterable[tuple[FieldPath, str]]:
        """Name the keys that no field has, also inside nested models."""
        return list(_unknown(self.settings_class, values, ()))

    def is_secret(self, path: FieldPath) -> bool:
        """Whether the field at the head of `path` holds a secret."""
        return path[0] in self.secrets

    def shown(self, values: Mapping[str, object]) -> dict[str, object]:
        """Values as JSON can hold them and as a log or a page may show them: secrets are masked."""
        return {
            name: MASK if name in self.secrets else to_jsonable_python(value, fallback=str)
            for name, value in values.items()
        }

    def by_field_name(self, values: Mapping[str, object]) -> dict[str, object]:
        """Turn arguments that are named by a field's alias into field names."""
        fields = self.settings_class.model_fields.items()
        names = {alias: name for name, field in fields for alias in aliases(field)}
        return {names.get(key, key): value for key, value in values.items()}

    @cached_property
    def secrets(self) -> frozenset[str]:
        """Fields whose type contains ``SecretStr`` or ``SecretBytes``: never shown, logged or traced."""
        fields = self.settings_class.model_fields.items()
        return frozenset(name for name, field in fields if _mentions_secret(field.annotation))

    def _check_fields(self) -> None:
        name = self.settings_class.__name__
        for field_name, field in self.settings_class.model_fields.items():
            if field_name in RESERVED:
                raise DeclarationError(
                    f"{name}.{field_name} hides windsock's own `{field_name}`: rename the field"
                )
            if field.is_required():
                raise DeclarationError(
                    f"{name}.{field_name} has no default: settings fall back to code defaults, so every field"
                    f" needs one. Write `{field_name}: … = Field(<default>)`"
                )

    def _defaults(self) -> dict[str, object]:
        """The code defaults as plain nested data, proven valid."""
        fields = self.settings_class.model_fields
        try:
            instance = self.validate({})  # pydantic calls the default factories, in field order
        except ValidationError as error:
            raise DeclarationError(
                f"{self.settings_class.__name__}: the code defaults do not validate: {error}"
            ) from error
        return {name: plain(instance.__dict__[name]) for name in fields}


def aliases(field: FieldInfo) -> list[str]:
    """The names that a field's ``validation_alias`` gives it, first choice first."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    heads = [choice.path[0] if isinstance(choice, AliasPath) else choice for choice in choices]
    return [head for head in heads if isinstance(head, str)]


def plain(value: object) -> object:
    """Turn models into mappings, at any depth, so that a layer can be laid over them key by key."""
    if isinstance(value, BaseModel):
        return {name: plain(value.__dict__[name]) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {key: plain(below) for key, below in value.items()}
    return value


def _unknown(
    model: type[BaseModel], values: Mapping[str, object], above: FieldPath
) -> Iterable[tuple[FieldPath, str]]:
    fields = model.model_fields
    for key, value in values.items():
        path = (*above, str(key))
        if key not in fields:
            near = get_close_matches(str(key), fields, n=1)
            hint = f", perhaps {near[0]}" if near else ""
            yield path, f"{model.__name__} has no such field{hint}"
        elif isinstance(value, Mapping) and (below := nested_model(fields[key].annotation)) is not None:
            yield from _unknown(below, value, path)


def nested_model(annotation: Any) -> type[BaseModel] | None:
    """The one model of a field's type, also in ``Model | None``; ``None`` where there is none or a choice."""
    candidates = [annotation, *get_args(annotation)]
    models = [each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)]
    return models[0] if len(models) == 1 and not _is_container(annotation) else None


def _is_container(annotation: Any) -> bool:
    origin = getattr(annotation, "__origin__", None)
    return isinstance(origin, type) and issubclass(origin, Iterable)


def _mentions_secret(annotation: Any, within: frozenset[type] = frozenset()) -> bool:
    """Whether a secret stands in a type; `within` are the models around it, which may hold themselves."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = () if annotation in within else annotation.model_fields.values()
        return any(_mentions_secret(field.annotation, within | {annotation}) for field in fields)
    if isinstance(annotation, type) and issubclass(annotation, SecretStr | SecretBytes):
        return True
    return any(_mentions_secret(argument, within) for argument in get_args(annotation))
