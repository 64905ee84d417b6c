"""Settings classes made at random, and what surrounds them: variables, `.env` files, secrets, arguments.

A class is described once and declared twice: on `BaseSettings` and on `windsock.Settings`.
"""

import datetime as dt
import enum
import json
import sys
import types
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import pydantic
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AliasPath,
    Base64Str,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    HttpUrl,
    ImportString,
    Json,
    PrivateAttr,
    SecretStr,
    Tag,
    ValidationInfo,
    computed_field,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Limits(BaseModel):
    per_hour: int = Field(15, ge=0)
    per_day: int | None = 100


class Item(BaseModel):
    item_type: str = Field("none", alias="itemType")
    size: int = Field(1, validation_alias=AliasChoices("itemSize", "item_size"))
    limits: Limits = Limits(per_hour=3)


class Policy(BaseModel):
    name: str = "none"


class Backoff(Policy):
    factor: int = 3


class Disk(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["disk"] = "disk"
    path: str = "/data"


class Bucket(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["bucket"] = "bucket"
    name: str = "b"


class Slashed(BaseModel):
    """Its validator is not idempotent."""

    path: str = "p"

    @field_validator("path")
    @classmethod
    def slash(cls, path: str) -> str:
        return f"/{path}"


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    n: int = 1


class Box(BaseModel, Generic[T]):
    content: T | None = None


@dataclass
class Point:
    x: int = 0
    y: int = 0


@pydantic.dataclasses.dataclass
class Span:
    start: int = 0
    end: int = 9


def _kind(value: Any) -> str:
    return value.get("kind", "disk") if isinstance(value, Mapping) else value.kind


@dataclass(frozen=True)
class Kind:
    """A type of fields.

    Attributes:
        annotation: The type.
        default: Makes the default, or a `Field` that has one.
        texts: What a variable may hold.
        arguments: What the class may be called with.
        nested: Variables below it, after the delimiter.
    """

    annotation: Any
    default: Callable[[], Any]
    texts: tuple[str, ...]
    arguments: tuple[Any, ...] = ()
    nested: tuple[tuple[str, str], ...] = ()


KINDS: Mapping[str, Kind] = {
    "int": Kind(int, lambda: 1, ("2", " 3 ", "0"), (4,)),
    "bounded": Kind(int, lambda: Field(3, ge=1, le=200), ("7", "200"), (8,)),
    "float": Kind(float, lambda: 0.5, ("1.5", "2", "1e3"), (2,)),
    "bool": Kind(bool, lambda: False, ("true", "on", "0"), (True,)),
    "str": Kind(str, lambda: "x", ("y", "a=b", "ü漢", '"quoted"'), ("z",)),
    "bytes": Kind(bytes, lambda: b"\x00\xff", ("abc",), (b"\xfe",)),
    "decimal": Kind(Decimal, lambda: Decimal("0.1"), ("0.20",), (Decimal(3),)),
    "uuid": Kind(UUID, lambda: UUID(int=7), (str(UUID(int=8)),)),
    "date": Kind(dt.date, lambda: dt.date(2026, 1, 2), ("2025-03-04",)),
    "datetime": Kind(dt.datetime, lambda: dt.datetime(2026, 1, 2, tzinfo=dt.UTC), ("2025-03-04T05:06:07Z",)),
    "timedelta": Kind(dt.timedelta, lambda: dt.timedelta(seconds=5), ("PT3S", "60")),
    "path": Kind(Path, lambda: Path("a/b"), ("/tmp/x",), (Path("c"),)),
    "enum": Kind(Colour, lambda: Colour.RED, ("blue",), (Colour.BLUE, "red")),
    "int_enum": Kind(Level, lambda: Level.LOW, ("2",), (Level.HIGH,)),
    "literal": Kind(Literal["a", "b"], lambda: "a", ("b",), ("b",)),
    "optional": Kind(int | None, lambda: None, ("5",), (6, None)),
    "number_or_text": Kind(int | str, lambda: 1, ("5", "five"), ("six", 7)),
    "secret": Kind(SecretStr, lambda: SecretStr("s"), ("t",), (SecretStr("u"),)),
    "json": Kind(Json[dict[str, int]], lambda: '{"a": 1}', ('{"b": 2}',), ('{"c": 3}',)),
    "base64": Kind(Base64Str, lambda: b64encode(b"one").decode(), (b64encode(b"two").decode(),)),
    "import": Kind(ImportString, lambda: "math.pi", ("math.e", "json.dumps")),
    "url": Kind(HttpUrl, lambda: HttpUrl("https://a.test/"), ("https://b.test/x?y=1",)),
    "list": Kind(list[int], lambda: [1, 2], ("[3]", "[]"), ([4],)),
    "list_factory": Kind(list[str], lambda: Field(default_factory=lambda: ["a"]), ('["b"]',), (["c"],)),
    "set": Kind(set[str], lambda: {"a"}, ('["b", "b"]',), ({"c"},)),
    "tuple": Kind(tuple[int, str], lambda: (1, "a"), ('[2, "b"]',), ((3, "c"),)),
    "dict": Kind(dict[str, int], lambda: {"a": 1}, ('{"b": 2}', "{}"), ({"c": 3},), (("A", "4"), ("d", "5"))),
    "any": Kind(Any, lambda: None, ("text",), ({"a": [1]},)),
    "limits": Kind(
        Limits, lambda: Limits(per_hour=7), ('{"per_day": 5}',), ({"per_hour": 2}, Limits(per_day=1)),
        (("PER_HOUR", "4"), ("PER_DAY", "6")),
    ),
    "limits_dict": Kind(Limits, lambda: {"per_hour": 8}, ('{"per_day": 5}',), (), (("per_day", "6"),)),
    "limits_optional": Kind(Limits | None, lambda: None, ('{"per_day": 5}',), (None,), (("PER_HOUR", "4"),)),
    "limits_factory": Kind(
        Limits, lambda: Field(default_factory=lambda: Limits(per_day=2)), ('{"per_hour": 5}',), (),
        (("PER_HOUR", "4"),),
    ),
    "item": Kind(
        Item, lambda: Item(itemType="A"), ('{"itemType": "B", "itemSize": 2}', '{"item_size": 3}'),
        ({"itemType": "C"}, Item(itemSize=4)), (("ITEMTYPE", "D"), ("itemSize", "5"), ("LIMITS__PER_DAY", "9")),
    ),
    "items": Kind(list[Item], lambda: [Item()], ('[{"itemType": "B"}]',), ([{"itemSize": 3}],)),
    "item_map": Kind(dict[str, Item], lambda: {"a": Item()}, ('{"b": {"itemType": "B"}}',), (), (("a__itemType", "X"),)),
    "subclass": Kind(Policy, lambda: Backoff(name="b"), ('{"name": "c"}',), ({"name": "d"}, Backoff()), (("NAME", "e"),)),
    "tagged": Kind(
        Annotated[Disk | Bucket, Discriminator("kind")], Disk, ('{"kind": "bucket", "name": "n"}',),
        ({"kind": "disk", "path": "/x"}, Bucket(name="m")),
    ),
    "called_tag": Kind(
        Annotated[Annotated[Disk, Tag("disk")] | Annotated[Bucket, Tag("bucket")], Discriminator(_kind)],
        Bucket, ('{"kind": "bucket", "name": "n"}', "{}"), (Disk(path="/y"),),
    ),
    "untagged": Kind(Limits | Policy, Policy, ('{"per_hour": 1, "per_day": 2}',), ({"name": "q"},)),
    "slashed": Kind(Slashed, Slashed, ('{"path": "q"}',), (Slashed(path="r"),), (("PATH", "s"),)),
    "frozen": Kind(Frozen, lambda: Frozen(n=2), ('{"n": 3}',), (Frozen(n=4),), (("N", "5"),)),
    "generic": Kind(Box[int], lambda: Box[int](content=1), ('{"content": 2}',), ({"content": 3},), (("CONTENT", "4"),)),
    "dataclass": Kind(Point, lambda: Point(x=1), ('{"y": 2}',), (Point(y=3),), (("X", "4"),)),
    "pydantic_dataclass": Kind(Span, lambda: Span(start=1), ('{"end": 2}',), (Span(end=3),), (("START", "4"),)),
}  # fmt: skip


def _aliased(annotation: Any, default: Any, alias: Any) -> Any:
    keyword = "alias" if isinstance(alias, str) and alias.startswith("al_") else "validation_alias"
    if isinstance(default, pydantic.fields.FieldInfo):
        return Annotated[annotation, Field(**{keyword: alias})], default
    return annotation, Field(default, **{keyword: alias})


@dataclass(frozen=True)
class Drawn:
    """A class, described.

    Attributes:
        fields: Name to kind.
        aliases: Name to alias, where it has one.
        parts: What the class has beside its fields, by name in `PARTS`.
        config: Its `SettingsConfigDict`.
        inherited: Fields that a class between it and the base declares.
        flag: What it is declared with.
    """

    fields: Mapping[str, str]
    aliases: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    inherited: tuple[str, ...] = ()

    def declare(self, base: type[BaseSettings]) -> type[BaseSettings]:
        """Make the class on a base."""
        if self.inherited:
            base = self._made("Between", base, self.inherited, ())
        own = [name for name in self.fields if name not in self.inherited]
        return self._made("Made", base, own, self.parts)

    def _made(self, name: str, base: type[BaseSettings], fields: Any, parts: tuple[str, ...]) -> Any:
        namespace: dict[str, Any] = {"__module__": __name__, "__qualname__": name, "__annotations__": {}}
        namespace["model_config"] = SettingsConfigDict(**self.config)
        for each in fields:
            kind = KINDS[self.fields[each]]
            annotation, default = kind.annotation, kind.default()
            if each in self.aliases:
                annotation, default = _aliased(annotation, default, self.aliases[each])
            namespace["__annotations__"][each] = annotation
            namespace[each] = default
        for part in parts:
            PARTS[part](namespace, list(self.fields))
        made = types.new_class(name, (base,), {}, lambda given: given.update(namespace))
        setattr(sys.modules[__name__], name, made)  # where pickle looks for it
        return made


def _derived_before(namespace: dict[str, Any], names: list[str]) -> None:
    def fill(cls: Any, value: Any, info: ValidationInfo) -> Any:
        return value or "+".join(map(str, info.data.values()))

    namespace["__annotations__"]["derived"] = str | None
    namespace["derived"] = None
    namespace["fill"] = field_validator("derived", mode="before")(classmethod(fill))


def _wrapped(namespace: dict[str, Any], names: list[str]) -> None:
    def wrap(cls: Any, value: Any, handler: Any) -> Any:
        return handler(value)

    namespace["wrap"] = field_validator(names[0], mode="wrap")(classmethod(wrap))


def _not_idempotent(namespace: dict[str, Any], names: list[str]) -> None:
    def slash(cls: Any, value: str) -> str:
        return f"/{value}"

    namespace["__annotations__"]["prefix"] = str
    namespace["prefix"] = "v1"
    namespace["slash"] = field_validator("prefix")(classmethod(slash))


def _assigns(namespace: dict[str, Any], names: list[str]) -> None:
    def assign(self: Any) -> Any:
        if self.assigned is None:
            self.assigned = f"{len(names)} fields"
        return self

    namespace["__annotations__"]["assigned"] = str | None
    namespace["assigned"] = None
    namespace["assign"] = model_validator(mode="after")(assign)


def _before_model(namespace: dict[str, Any], names: list[str]) -> None:
    def count(cls: Any, said: Any) -> Any:
        return {**said, "said": len(said)} if isinstance(said, dict) else said

    namespace["__annotations__"]["said"] = int
    namespace["said"] = 0
    namespace["count"] = model_validator(mode="before")(classmethod(count))


def _factory_of_data(namespace: dict[str, Any], names: list[str]) -> None:
    namespace["__annotations__"]["made_of"] = list[str]
    namespace["made_of"] = Field(default_factory=lambda data: [*sorted(data)])


def _computed(namespace: dict[str, Any], names: list[str]) -> None:
    def twice(self: Any) -> str:
        return repr(getattr(self, names[0])) * 2

    def cached(self: Any) -> str:
        return repr(getattr(self, names[-1]))

    cached.__name__ = "cached"
    held = cached_property(cached)
    held.__set_name__(object, "cached")
    namespace["twice"] = computed_field(property(twice))
    namespace["cached"] = computed_field(held)


def _private(namespace: dict[str, Any], names: list[str]) -> None:
    namespace["__annotations__"]["_private"] = dict
    namespace["_private"] = PrivateAttr(default_factory=dict)


def _post_init(namespace: dict[str, Any], names: list[str]) -> None:
    def model_post_init(self: Any, context: Any) -> None:
        self.counted = len(self.model_fields_set)

    namespace["__annotations__"]["counted"] = int
    namespace["counted"] = 0
    namespace["model_post_init"] = model_post_init


def _own_serializer(namespace: dict[str, Any], names: list[str]) -> None:
    def text(self: Any, value: Any) -> str:
        return f"<{value!r}>"

    namespace["text"] = field_serializer(names[0])(text)


def _own_model_serializer(namespace: dict[str, Any], names: list[str]) -> None:
    def whole(self: Any) -> dict[str, Any]:
        return {"only": repr(getattr(self, names[0]))}

    namespace["whole"] = model_serializer(whole)


def _own_wrap_serializer(namespace: dict[str, Any], names: list[str]) -> None:
    def around(self: Any, handler: Any) -> dict[str, Any]:
        return {"around": True, **handler(self)}

    namespace["around"] = model_serializer(mode="wrap")(around)


class _Vault(PydanticBaseSettingsSource):
    """A source of the project's own, which asks what the others said."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return {"asked": "+".join([*sorted(self.settings_sources_data), *sorted(self.current_state)])}


def _sources(order: str) -> Callable[[dict[str, Any], list[str]], None]:
    def part(namespace: dict[str, Any], names: list[str]) -> None:
        def settings_customise_sources(  # noqa: PLR0917 - as pydantic-settings calls it
            cls: Any,
            settings_cls: Any,
            init_settings: Any,
            env_settings: Any,
            dotenv_settings: Any,
            file_secret_settings: Any,
        ) -> tuple[Any, ...]:
            return {
                "dotenv first": (init_settings, dotenv_settings, env_settings, file_secret_settings),
                "environment first": (env_settings, init_settings, dotenv_settings),
                "json": (
                    init_settings,
                    env_settings,
                    JsonConfigSettingsSource(settings_cls, json_file="c.json"),
                    dotenv_settings,
                ),
                "vault": (
                    init_settings,
                    env_settings,
                    dotenv_settings,
                    _Vault(settings_cls),
                    file_secret_settings,
                ),
                "arguments only": (init_settings,),
            }[order]

        namespace["__annotations__"]["asked"] = str
        namespace["asked"] = ""
        namespace["settings_customise_sources"] = classmethod(settings_customise_sources)

    return part


PARTS: Mapping[str, Callable[[dict[str, Any], list[str]], None]] = {
    "derived": _derived_before,
    "wrapped": _wrapped,
    "not idempotent": _not_idempotent,
    "assigns": _assigns,
    "before": _before_model,
    "factory of data": _factory_of_data,
    "computed": _computed,
    "private": _private,
    "post init": _post_init,
    "serializer": _own_serializer,
    "model serializer": _own_model_serializer,
    "wrap serializer": _own_wrap_serializer,
    "dotenv first": _sources("dotenv first"),
    "environment first": _sources("environment first"),
    "json": _sources("json"),
    "vault": _sources("vault"),
    "arguments only": _sources("arguments only"),
}

_SOURCES = ("dotenv first", "environment first", "json", "vault", "arguments only")


@dataclass(frozen=True)
class Surroundings:
    """What a class is made in.

    Attributes:
        environment: Variables.
        dotenv: Those of `.env`.
        encoding: How `.env` is written.
        secrets: Files of the folder `secrets`.
        document: `c.json`.
        arguments: What the class is called with.
    """

    environment: Mapping[str, str]
    dotenv: Mapping[str, str]
    encoding: str
    secrets: Mapping[str, str]
    document: str
    arguments: Mapping[str, Any]


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    """Draw a class."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=6))
    fields = {f"f{place}_{kind}": kind for place, kind in enumerate(kinds)}
    aliases = {}
    for name in fields:
        aliases[name] = draw(
            st.sampled_from(
                [
                    None, None, None, f"al_{name}", f"VAL_{name}", AliasChoices(f"ONE_{name}", f"TWO_{name}"),
                    AliasChoices(f"ONE_{name}", AliasPath(f"PATH_{name}", "k")), AliasPath(f"PATH_{name}", 0),
                ]
            )
        )  # fmt: skip
    parts = draw(
        st.lists(st.sampled_from([each for each in PARTS if each not in _SOURCES]), unique=True, max_size=4)
    )
    if "model serializer" in parts:
        parts = [each for each in parts if each not in {"serializer", "wrap serializer"}]
    sources = draw(st.sampled_from([None, None, *_SOURCES]))
    config = draw(_configs())
    if config.get("extra") == "allow":
        config.pop(
            "validate_by_name", None
        )  # an extra key could have the name of a field: JSON with a key twice
    names = list(fields)
    inherited = tuple(draw(st.lists(st.sampled_from(names), unique=True, max_size=len(names) - 1)))
    return Drawn(
        fields,
        {name: alias for name, alias in aliases.items() if alias is not None},
        (*parts, *([sources] if sources else [])),
        config,
        inherited,
    )


def _configs() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "env_file": st.sampled_from([".env", (".env", "absent.env"), None]),
            "env_nested_delimiter": st.sampled_from(["__", "_-_", None]),
            "env_ignore_empty": st.just(True),
        },
        optional={
            "env_prefix": st.sampled_from(["", "APP_", "app-"]),
            "case_sensitive": st.booleans(),
            "extra": st.sampled_from(["ignore", "allow"]),
            "env_file_encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
            "env_nested_max_split": st.sampled_from([1, 2]),
            "env_parse_none_str": st.just("null"),
            "env_parse_enums": st.booleans(),
            "env_prefix_target": st.sampled_from(["variable", "alias", "all"]),
            "nested_model_default_partial_update": st.booleans(),
            "validate_default": st.booleans(),
            "validate_by_name": st.just(True),
            "validate_assignment": st.booleans(),
            "frozen": st.just(False),
            "use_enum_values": st.booleans(),
            "str_strip_whitespace": st.booleans(),
            "secrets_dir": st.just("secrets"),
            "revalidate_instances": st.sampled_from(["never", "always", "subclass-instances"]),
            "serialize_by_alias": st.booleans(),
            "enable_decoding": st.just(True),
        },
    )


@st.composite
def surroundings(draw: st.DrawFn, of: Drawn) -> Surroundings:
    """Draw variables and files that say something of a class's fields, validly."""
    environment: dict[str, str] = {}
    dotenv: dict[str, str] = {}
    secrets: dict[str, str] = {}
    arguments: dict[str, Any] = {}
    document: dict[str, Any] = {}
    prefix = of.config.get("env_prefix", "")
    target = of.config.get("env_prefix_target", "variable")
    delimiter = of.config["env_nested_delimiter"]
    for name, kind_name in of.fields.items():
        kind = KINDS[kind_name]
        alias = of.aliases.get(name)
        heads = [_head(each) for each in getattr(alias, "choices", [alias])] if alias is not None else [name]
        head, in_path = draw(st.sampled_from(heads)) if alias is not None else (name, ())
        shown = (prefix if (alias is None) == (target == "variable") or target == "all" else "") + head
        for into in (environment, dotenv, secrets):
            said = draw(st.sampled_from([None, None, "text", "nested"]))
            if said == "text":
                into[_case(draw, shown)] = _at_path(draw(st.sampled_from(kind.texts)), in_path)
            elif said == "nested" and kind.nested and delimiter and not in_path:
                below, text = draw(st.sampled_from(kind.nested))
                into[_case(draw, shown) + delimiter + below.replace("__", delimiter)] = text
        if kind.arguments and not in_path and draw(st.booleans()):
            arguments[head] = draw(st.sampled_from(kind.arguments))
        if kind.arguments and not in_path and draw(st.integers(0, 3)) == 0:
            value = draw(st.sampled_from(kind.arguments))
            if _is_json(value):
                document[head] = value
    environment["UNRELATED"] = "1"
    encoding = of.config.get("env_file_encoding", "utf-8")
    return Surroundings(environment, dotenv, encoding, secrets, json.dumps(document), arguments)


def _head(alias: Any) -> tuple[str, tuple[Any, ...]]:
    return (alias.path[0], tuple(alias.path[1:])) if isinstance(alias, AliasPath) else (alias, ())


def _at_path(text: str, path: tuple[Any, ...]) -> str:
    if not path:
        return text
    return json.dumps([text] if path == (0,) else {path[0]: text})


def _case(draw: st.DrawFn, name: str) -> str:
    return draw(st.sampled_from([name, name, name.upper(), name.lower()]))


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True
