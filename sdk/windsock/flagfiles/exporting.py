"""Exports settings classes as flag skeletons, as JSON Schema, and as an OpenFeature CLI manifest."""

import json
from collections.abc import Mapping, Sequence

from pydantic_core import to_jsonable_python

from windsock.flags import JsonValue
from windsock.settings.declaration import Declaration
from windsock.text import MASK


def skeletons(declarations: Sequence[Declaration], *, with_defaults: bool) -> Mapping[str, JsonValue]:
    """Make a base flag for each class: one variant, empty or with the code defaults, without secrets.

    A repository starts with empty variants, so that a changed default in the code takes effect.
    """
    return {
        declaration.flag: {
            "state": "ENABLED",
            "variants": {"base": _defaults(declaration) if with_defaults else {}},
            "defaultVariant": "base",
        }
        for declaration in declarations
    }


def schema(declarations: Sequence[Declaration]) -> Mapping[str, JsonValue]:
    """Make a JSON Schema (2020-12) for the variants of each class's flags: any of its fields."""
    classes: dict[str, JsonValue] = {}
    for declaration in declarations:
        class_schema = declaration.settings_class.model_json_schema(
            by_alias=False, ref_template=f"#/$defs/{declaration.flag}/$defs/{{model}}"
        )
        class_schema.pop("required", None)
        classes[declaration.flag] = class_schema
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": classes}


def manifest(declarations: Sequence[Declaration]) -> Mapping[str, JsonValue]:
    """Make a manifest from which the OpenFeature CLI generates typed clients in other languages."""
    flags: dict[str, JsonValue] = {
        declaration.flag: {
            "flagType": "object",
            "defaultValue": _defaults(declaration),
            "description": (declaration.settings_class.__doc__ or declaration.settings_class.__name__)
            .strip()
            .splitlines()[0],
        }
        for declaration in declarations
    }
    return {"flags": flags}


def _defaults(declaration: Declaration) -> JsonValue:
    """The code defaults, without values that JSON can't hold, are secret or contain a password."""
    made: dict[str, JsonValue] = {}
    for name, value in declaration.defaults.items():
        try:
            to_jsonable_python(value, fallback=str)
        except ValueError:  # bytes that aren't text
            continue
        text = json.dumps(declaration.shown({name: value})[name])
        if MASK not in text:
            made[name] = json.loads(text)
    return made
