"""Writes `node/variables.json`: the variables that override the flag, for the reader in Node.

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

FILE: Final = Path(__file__).with_name("node") / "variables.json"
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


def text() -> str:
    """Give the file's content."""
    lines = ",\n".join(f"  {json.dumps(each)}" for each in variables())
    return f"[\n{lines}\n]\n"


if __name__ == "__main__":
    FILE.write_text(text())
