"""Hypothesis strategies: settings that a class accepts, fields that a variant may set, and contexts.

Not part of ``import windsock.testing``, which doesn't require Hypothesis.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from openfeature.evaluation_context import EvaluationContext, EvaluationContextAttribute
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from windsock.errors import MissingExtraError
from windsock.flagfiles.files import read_files
from windsock.flagfiles.sets import flag_set
from windsock.flags import JsonValue
from windsock.nested import nest, overlay
from windsock.settings import Settings
from windsock.settings.layers import Layer, Origin
from windsock.settings.laying import merge_layers
from windsock.settings.shapes import fields_of

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
except ImportError as missing:
    raise MissingExtraError("windsock.testing.strategies", "testing") from missing

S = TypeVar("S", bound=Settings)


def variants(settings_class: type[Settings]) -> SearchStrategy[dict[str, JsonValue]]:
    """Fields that a variant of the class's profile or experiment flag may set, and the class accepts.

    ::

        @given(values=strategies.variants(Teacher))
        def test_answers(values):
            with windsock.testing.override(Teacher, values): ...

    Any fields may be missing; those that profiles may not set always are. Values are JSON.
    """
    declaration = settings_class.__windsock__.declaration
    free = [name for name, field in fields_of(settings_class).items() if not field.fixed]
    infos = settings_class.model_fields

    def accepted(values: Mapping[str, JsonValue]) -> bool:
        origin = Origin("profile", declaration.profile_flag, "drawn")
        return not merge_layers(declaration, [Layer(origin, values)]).refusals

    drawn = {name: _field(infos[name]).map(to_jsonable_python) for name in free}
    return st.fixed_dictionaries({}, optional=drawn).filter(accepted)


def settings(settings_class: type[S]) -> SearchStrategy[S]:
    """Ordinary instances of the class with values that it accepts; see `variants`."""

    def made(values: dict[str, Any]) -> S:
        return settings_class(**values)

    return variants(settings_class).map(made)


def contexts(*paths: Path | str) -> SearchStrategy[EvaluationContext]:
    """Evaluation contexts that reach the branches of the rules in flag files.

    The attributes are those that the rules read. Each is missing, a value that the rules compare with, a
    neighbour of such a number, or any text or number.

    Args:
        *paths: Flag files or their folders; without any, ``flagd/``.

    Raises:
        UnreachableError: A path doesn't exist.
    """
    rules = [flag.targeting for flag in flag_set(read_files([Path(path) for path in paths])).flags.values()]
    found = list(_leaves(rules))
    literals = list(dict.fromkeys(each for kind, each in found if kind == "literal"))
    near = [each + step for each in literals if isinstance(each, int | float) for step in (-1, 1)]
    value = st.sampled_from([*literals, *near, ""]) | st.text(max_size=20) | st.integers(-1000, 1000)
    names = {str(name) for kind, name in found if kind == "var"} - {"targetingKey", "environment", ""}
    texts = [each for each in literals if isinstance(each, str)]
    return st.builds(
        _context,
        st.none() | st.uuids().map(str) | (st.sampled_from(texts) if texts else st.text(max_size=20)),
        st.fixed_dictionaries({}, optional=dict.fromkeys(sorted(names), value)),
    )


def _field(info: FieldInfo) -> SearchStrategy[Any]:
    """A field's values by type and constraints; the class rejects what Hypothesis can't express."""
    patterns = [each.pattern for each in info.metadata if getattr(each, "pattern", None)]
    if patterns:
        return st.from_regex(patterns[0])
    kind = info.annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return st.fixed_dictionaries(
            {}, optional={name: _field(each) for name, each in kind.model_fields.items()}
        )
    known = [each for each in info.metadata if type(each).__module__ == "annotated_types"]
    strategy: SearchStrategy[Any] = st.from_type(Annotated[kind, *known] if known else kind)  # type: ignore[arg-type]
    return strategy


def _leaves(rule: object) -> Iterator[tuple[str, JsonValue]]:
    """The attributes that rules read, and the text and numbers in the rules."""
    if isinstance(rule, Mapping):
        for operator, arguments in rule.items():
            if operator == "var":
                name = arguments[0] if isinstance(arguments, list) and arguments else arguments
                if isinstance(name, str) and not name.startswith("$flagd"):
                    yield "var", name
            else:
                yield from _leaves(arguments)
    elif isinstance(rule, Iterable) and not isinstance(rule, str):
        for each in rule:
            yield from _leaves(each)
    elif isinstance(rule, str | int | float) and not isinstance(rule, bool):
        yield "literal", rule


def _context(key: str | None, values: Mapping[str, EvaluationContextAttribute]) -> EvaluationContext:
    attributes: dict[str, Any] = {}
    for name, value in values.items():
        attributes = overlay(attributes, nest(tuple(name.split(".")), value))
    return EvaluationContext(key, attributes)
