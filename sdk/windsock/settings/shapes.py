"""Shapes: what a settings class's type annotations say about its input."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple, cast, get_args, get_origin

from pydantic import AliasChoices, AliasPath, BaseModel, Discriminator, RootModel, Tag
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic.fields import FieldInfo
from typing_inspection import typing_objects
from typing_inspection.introspection import is_union_origin

from windsock.nested import FieldPath, at
from windsock.settings.marks import is_fixed, is_tunable

_ABSENT = object()

_ALIKE = ((), (Ellipsis,))
"""Type arguments after the first, for a sequence whose items all have the same type."""

Key = tuple[str | int, ...]
"""Where a field is read from: a single key, or the steps of an ``AliasPath``."""


class Member(NamedTuple):
    """One type of a union, or the only type.

    Attributes:
        kind: The type, without ``Annotated`` and named aliases.
        tag: Its `Tag`, if a function discriminates the union.
    """

    kind: Any
    tag: Hashable = None


class Shape(NamedTuple):
    """What one annotation accepts.

    Attributes:
        members: The types it accepts, except ``None``.
        optional: Whether it accepts ``None``.
        discriminator: The field name or function that tells the members apart.
    """

    members: tuple[Member, ...] = ()
    optional: bool = False
    discriminator: str | Callable[[Any], Hashable] | None = None

    @property
    def is_union(self) -> bool:
        """Whether pydantic names the member in the location of an error."""
        return len(self.members) > 1

    @property
    def models(self) -> tuple[Member, ...]:
        """The members that have fields."""
        return tuple(member for member in self.members if fields_of(member.kind))

    def tag(self, value: object) -> Hashable:
        """The tag of a value, raw or validated; None if it has none."""
        if self.discriminator is None:
            return None
        if not isinstance(self.discriminator, str):
            try:
                return self.discriminator(value)
            except (Exception, SystemExit):  # noqa: BLE001 - the caller's function meets input that pydantic has not seen
                return None
        if not isinstance(value, Mapping):
            return _plain_tag(getattr(value, self.discriminator, None))
        keys = {key for member in self.models for key in _names(member.kind, self.discriminator)}
        return next((_plain_tag(value[key]) for key in keys if key in value), None)

    def model_for(self, value: object, default: object = None) -> Any:
        """The model that a mapping is input for; None if unclear.

        Args:
            value: Input, by keys or by field names.
            default: The default that it may be laid over; a subclass instance counts as that subclass.
        """
        models = [member.kind for member in self.models]
        if (tag := self.tag(value)) is not None:
            models = [member.kind for member in self.models if tag in self._tags(member)]
        elif self.is_union and isinstance(value, Mapping):
            knowing = [kind for kind in models if all(_knows(kind, key) for key in value)]
            models = knowing or [kind for kind in models if isinstance(default, kind)]
        own = [type(default) for kind in models if isinstance(default, kind)]
        if own:
            return own[0]
        return models[0] if len(models) == 1 else None

    def _tags(self, member: Member) -> Sequence[Hashable]:
        if not isinstance(self.discriminator, str):
            return (member.tag,)
        field = fields_of(member.kind).get(self.discriminator)
        kind = field.shape.members[0].kind if field is not None and field.shape.members else None
        return (
            [_plain_tag(each) for each in get_args(kind)]
            if typing_objects.is_literal(get_origin(kind))
            else []
        )

    @property
    def takes_booleans(self) -> bool:
        """Whether one of the types is a boolean."""
        return any(_takes(member.kind, bool) for member in self.members)

    @property
    def takes_numbers(self) -> bool:
        """Whether one of the types is a number."""
        return any(_takes(member.kind, (int, float, Decimal)) for member in self.members)

    @property
    def values(self) -> "Shape | None":
        """The shape of a mapping's values; None if it isn't a mapping, or its values may be anything."""
        for member in self.members:
            if _is_a(member.kind, Mapping) and len(arguments := get_args(member.kind)) == 2:
                return shape_of(arguments[1])
        return None

    @property
    def items(self) -> "Shape | None":
        """The shape of a collection's items; None if it isn't a collection, or its items may be anything."""
        for member in self.members:
            arguments = get_args(member.kind)
            if (
                arguments
                and (_is_a(member.kind, Sequence) or _is_a(member.kind, AbstractSet))
                and arguments[1:] in _ALIKE
            ):
                return shape_of(arguments[0])
        return None


class FieldShape(NamedTuple):
    """One field of a model.

    Attributes:
        keys: Where it's read from; the first key present counts.
        shape: What it accepts.
        info: Pydantic's description of it.
        fixed: Whether profiles and experiments must not set it.
        tunable: Whether they may also set nested fields that are fixed by type.
    """

    keys: tuple[Key, ...]
    shape: Shape
    info: FieldInfo
    fixed: bool
    tunable: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The keys that aren't paths."""
        return tuple(str(key[0]) for key in self.keys if len(key) == 1)

    @property
    def written(self) -> Key:
        """The key to write it to, so that no value under another key takes precedence."""
        return self.keys[0]


def fields_of(kind: Any) -> Mapping[str, FieldShape]:
    """The fields of a model or pydantic dataclass, by name; none for any other type."""
    return _fields(kind) if isinstance(kind, type) else {}


@lru_cache(maxsize=1024)
def _fields(kind: type) -> Mapping[str, FieldShape]:
    if not (issubclass(kind, BaseModel) or is_pydantic_dataclass(kind)) or issubclass(kind, RootModel):
        return {}
    infos: Mapping[str, FieldInfo] = getattr(kind, "__pydantic_fields__", {})
    config = getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", {})
    return {
        name: FieldShape(
            _keys(name, info, config),
            shape_of(info.annotation, tuple(info.metadata), info.discriminator),
            info,
            is_fixed(info.annotation, info.metadata),
            is_tunable(info.metadata),
        )
        for name, info in infos.items()
    }


def shape_of(annotation: Any, metadata: tuple[Any, ...] = (), discriminator: Any = None) -> Shape:
    """Analyze an annotation."""
    annotation, metadata = _bare(annotation, metadata)
    for item in metadata:
        if isinstance(item, FieldInfo | Discriminator):
            discriminator = item.discriminator or discriminator
    if isinstance(discriminator, Discriminator):
        discriminator = discriminator.discriminator
    if annotation is type(None):
        return Shape(optional=True)
    if not is_union_origin(get_origin(annotation)):
        tag = next((item.tag for item in metadata if isinstance(item, Tag)), None)
        return Shape((Member(annotation, tag),), discriminator=discriminator)
    parts = [shape_of(part) for part in get_args(annotation)]
    inner = (part.discriminator for part in parts if part.discriminator is not None)
    return Shape(
        tuple(member for part in parts for member in part.members),
        any(part.optional for part in parts),
        discriminator or next(inner, None),
    )


def _bare(annotation: Any, metadata: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Unwrap an annotation, and return the ``Annotated`` metadata with it."""
    while True:
        if typing_objects.is_annotated(get_origin(annotation)):
            annotation, *items = get_args(annotation)
            metadata = (*metadata, *items)
        elif typing_objects.is_typealiastype(annotation):
            annotation = annotation.__value__
        elif typing_objects.is_newtype(annotation):
            annotation = annotation.__supertype__
        elif _is_a(annotation, RootModel) and annotation is not RootModel:
            annotation = annotation.__pydantic_fields__["root"].annotation
        else:
            return annotation, metadata


def below(shape: Shape, value: Mapping[str, object], key: str) -> Shape:
    """The shape at one of a mapping's input keys; empty if unknown."""
    model = shape.model_for(value)
    if model is None:
        return shape.values or Shape()
    return next((field.shape for field in fields_of(model).values() if (key,) in field.keys), Shape())


def by_name(kind: Any, values: Mapping[str, object]) -> dict[str, object]:
    """Turn input keys into field names, at any depth where the model is known."""
    rest = dict(values)
    named: dict[str, object] = {}
    for name, field in fields_of(kind).items():
        found = next((key for key in field.keys if _read(values, key) is not _ABSENT), None)
        if found is not None:
            named[name] = _named(field.shape, _read(values, found))
            rest.pop(str(found[0]), None)
    return {**named, **rest}


def _named(shape: Shape, value: object) -> object:
    if isinstance(value, Mapping):
        model = shape.model_for(value)
        if model is not None:
            return by_name(model, value)
        if (values := shape.values) is not None:
            return {key: _named(values, each) for key, each in value.items()}
    return value


def named_path(kind: Any, values: Mapping[str, object], path: FieldPath) -> FieldPath:
    """Turn a path of input keys into a path of field names."""
    shape, node = Shape((Member(kind),)), cast("object", values)
    named: list[str] = []
    while path:
        model = shape.model_for(node) if isinstance(node, Mapping) else None
        name, steps, next_shape = _step(model, path)
        named.append(name)
        shape = next_shape or (below(shape, node, name) if isinstance(node, Mapping) else Shape())
        node = at(node, path[:steps]) if isinstance(node, Mapping) else None
        path = path[steps:]
    return tuple(named)


def _step(model: Any, path: FieldPath) -> tuple[str, int, Shape | None]:
    """The field that a path of input keys leads to, and the number of steps."""
    for name, field in fields_of(model).items():
        for key in field.keys:
            if path[: len(key)] == key:
                return name, len(key), field.shape
    return path[0], 1, None


def _read(value: object, key: Key) -> object:
    for step in key:
        try:
            value = value[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value


def set_values(instance: object) -> dict[str, object] | None:
    """The values a model was created with, by field name; None for types without fields."""
    if isinstance(instance, BaseModel) and not isinstance(instance, RootModel):
        return {
            name: instance.__dict__[name]
            for name in type(instance).model_fields
            if name in instance.model_fields_set
        }
    if is_dataclass(instance) and not isinstance(instance, type):
        return {each.name: getattr(instance, each.name) for each in dataclass_fields(instance) if each.init}
    return None


def _keys(name: str, info: FieldInfo, config: Mapping[str, Any]) -> tuple[Key, ...]:
    alias = info.validation_alias
    if alias is None or config.get("validate_by_alias") is False:
        return ((name,),)
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    keys = [tuple(choice.path) if isinstance(choice, AliasPath) else (choice,) for choice in choices]
    by_name = config.get("validate_by_name", config.get("populate_by_name", False))
    return (*keys, (name,)) if by_name else tuple(keys)


def _names(kind: Any, name: str) -> Iterator[str]:
    yield name
    field = fields_of(kind).get(name)
    yield from field.names if field is not None else ()


def _knows(kind: Any, key: str) -> bool:
    return any(
        name == key or any(each[0] == key for each in field.keys) for name, field in fields_of(kind).items()
    )


def _takes(kind: Any, kinds: Any) -> bool:
    if kind is Any or kind is object:
        return True
    if typing_objects.is_literal(get_origin(kind)):
        choices = [_plain_tag(each) for each in get_args(kind)]
        return any(
            isinstance(each, kinds) and (kinds is bool or not isinstance(each, bool)) for each in choices
        )
    return isinstance(kind, type) and issubclass(kind, kinds) and (kinds is bool or kind is not bool)


def _plain_tag(tag: Any) -> Hashable:
    plain: Hashable = getattr(tag, "value", tag)
    return plain


def _is_a(kind: Any, base: type) -> bool:
    origin = get_origin(kind) or kind
    return (
        isinstance(origin, type)
        and issubclass(origin, base)
        and not issubclass(origin, str | bytes | bytearray)
    )
