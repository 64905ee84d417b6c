"""A settings class's fields as users see them: kind, bounds, description, and who may set them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from pydantic.errors import PydanticInvalidForJsonSchema

from windsock.flagfiles.exporting import schema
from windsock.nested import FieldPath
from windsock.settings.declaration import Declaration
from windsock.settings.shapes import fields_of

Kind: TypeAlias = Literal["integer", "number", "switch", "choice", "text", "json"]
"""The kind of input that edits a field."""

_DEEPEST: Final = 12


@dataclass(frozen=True, slots=True)
class EditableField:
    """One field, or one leaf of a nested one.

    Attributes:
        path: The field, and the keys below it.
        kind: The kind of input.
        description: The class's description of it.
        choices: The possible values, if they're few and known.
        minimum: A number's minimum, and `maximum` its maximum; exclusive bounds appear in `words` only.
        longest: Maximum characters of text.
        words: Kind and bounds in words.
        secret: Whether its value is never shown.
        fixed: Whether only the deployment may set it.
    """

    path: FieldPath
    kind: Kind
    description: str = ""
    choices: tuple[object, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    longest: int | None = None
    words: str = ""
    secret: bool = False
    fixed: bool = False

    @property
    def name(self) -> str:
        """The path with dots: ``retrieval.top_k``."""
        return ".".join(self.path)


@lru_cache(maxsize=64)
def shapes(declaration: Declaration) -> tuple[EditableField, ...]:
    """Every field of a class in order, with nested models split into leaves."""
    try:
        whole = schema([declaration])
        own: Any = whole["$defs"]
        root = own[declaration.flag]
    except (PydanticInvalidForJsonSchema, ValueError, TypeError):  # a type without a JSON schema
        root = {}
    return tuple(_leaves(declaration, root))


def _leaves(declaration: Declaration, root: Mapping[str, Any]) -> Iterator[EditableField]:
    declared = fields_of(declaration.settings_class)
    for name in declaration.fields:
        found = _resolved(root, root.get("properties", {}).get(name, {}))
        fixed = name in declared and declared[name].fixed
        for path, each in _within((name,), found, root, declaration):
            secret = declaration.is_secret(path)
            yield _shape(path, each, secret=secret, fixed=fixed or secret)


def _within(
    path: FieldPath, found: Mapping[str, Any], root: Mapping[str, Any], declaration: Declaration
) -> Iterator[tuple[FieldPath, Mapping[str, Any]]]:
    properties = found.get("properties")
    if properties and not declaration.is_secret(path) and len(path) < _DEEPEST:
        for name, below in properties.items():
            yield from _within((*path, name), _resolved(root, below), root, declaration)
    else:
        yield path, found


def _resolved(root: Mapping[str, Any], found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema behind a reference; keys next to the reference take precedence."""
    for _ in range(_DEEPEST):
        reference = found.get("$ref")
        if not isinstance(reference, str):
            return found
        target = root.get("$defs", {}).get(reference.rpartition("/")[2], {})
        found = {**target, **{key: value for key, value in found.items() if key != "$ref"}}
    return {}


def _shape(path: FieldPath, found: Mapping[str, Any], *, secret: bool, fixed: bool) -> EditableField:
    minimum, maximum = found.get("minimum"), found.get("maximum")
    kind, choices = _kind(found)
    return EditableField(
        path=path,
        kind=kind,
        description=str(found.get("description", "")),
        choices=choices,
        minimum=minimum,
        maximum=maximum,
        longest=found.get("maxLength"),
        words="secret" if secret else ", ".join(_words(kind, found)),
        secret=secret,
        fixed=fixed,
    )


def _kind(found: Mapping[str, Any]) -> tuple[Kind, tuple[object, ...]]:
    choices = found.get("enum", [found["const"]] if "const" in found else None)
    if choices is not None:
        return "choice", tuple(choices)
    kinds: Mapping[object, Kind] = {
        "integer": "integer", "number": "number", "boolean": "switch", "string": "text"
    }  # fmt: skip
    return kinds.get(found.get("type"), "json"), ()


def _words(kind: Kind, found: Mapping[str, Any]) -> Iterator[str]:
    names = {"switch": "true or false", "json": "JSON", "choice": "one of"}
    if kind == "choice":
        choices: Sequence[object] = found.get("enum", [found.get("const")])
        yield f"one of {', '.join(map(str, choices))}"
        return
    yield "list" if found.get("type") == "array" else names.get(kind, kind)
    low, high = found.get("minimum"), found.get("maximum")
    if low is not None and high is not None:
        yield f"{low:g} to {high:g}"
    elif low is not None or high is not None:
        yield f"at least {low:g}" if low is not None else f"at most {high:g}"
    if (above := found.get("exclusiveMinimum")) is not None:
        yield f"above {above:g}"
    if (below := found.get("exclusiveMaximum")) is not None:
        yield f"below {below:g}"
    if (longest := found.get("maxLength")) is not None:
        yield f"at most {longest:,} characters"
    if (pattern := found.get("pattern")) is not None:
        yield f"matches {pattern}"
