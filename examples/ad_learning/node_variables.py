"""Writes what the reader in Node needs of the settings class: code defaults, and variables.

Run it after a change of the settings class: ``python -m examples.ad_learning.node_variables``.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import AliasChoices, BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from .settings import Learning

FOLDER: Final = Path(__file__).with_name("node")
_KEPT: Final = MappingProxyType(
    dict.fromkeys(("type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"))
)


def variables(model: type[BaseModel] = Learning, above: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """Give each field that has variables: its path, their names, the strongest first, and its JSON schema."""
    for name, field in model.model_fields.items():
        path = (*above, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from variables(field.annotation, path)
        elif names := _names(field):
            schema = TypeAdapter(field.rebuild_annotation()).json_schema()
            kept = {key: value for key, value in schema.items() if key in _KEPT}
            yield {"path": list(path), "names": names, "schema": kept}


def _names(field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [each for each in alias.choices if isinstance(each, str)]
    return [alias] if isinstance(alias, str) else []


def files() -> dict[str, str]:
    """Give each file's content, by its name in `FOLDER`."""
    lines = ",\n".join(f"  {json.dumps(each)}" for each in variables())
    defaults = {
        name: field.default.model_dump(mode="json")
        for name, field in Learning.model_fields.items()
        if isinstance(field.default, BaseModel)
    }
    return {
        "variables.json": f"[\n{lines}\n]\n",
        "defaults.json": f"{json.dumps(defaults, indent=2)}\n",
    }


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text)
