"""A provider over one file, and OpenFeature as it was before."""

from collections.abc import Iterator

import pytest
from openfeature import api
from tests.flagfiles import object_flag, write_flags

import windsock
from windsock.providers import FilesProvider

OBJECTS = {"none": {}, "red": {"x": 1}, "green": {"x": 2}, "true": {"x": 3}, "list": [1], "text": "t"}
SWITCH = {"on": True, "off": False, "text": "t"}


def switch(
    targeting: object = None, default: str | None = "off", state: str = "ENABLED"
) -> dict[str, object]:
    flag = {"state": state, "variants": SWITCH, "defaultVariant": default}
    return flag if targeting is None else {**flag, "targeting": targeting}


def on_if(condition: object) -> dict[str, object]:
    return switch({"if": [condition, "on", "off"]})


OBJECT_FLAGS = {
    "static": object_flag(OBJECTS, "red"),
    "null-default": object_flag(OBJECTS, None),
    "disabled": {**object_flag(OBJECTS, "red"), "state": "DISABLED"},
    "attribute": object_flag(OBJECTS, "none", {"var": "colour"}),
    "attribute.experiment": object_flag(OBJECTS, "none"),  # settings don't ask for overlays that are missing
    "attribute.profile": object_flag(OBJECTS, "none"),
    "environment": object_flag(OBJECTS, "none", {"if": [{"==": [{"var": "environment"}, "red"]}, "red"]}),
    "user": object_flag(OBJECTS, "none", {"if": [{"in": [{"var": "targetingKey"}, ["ann"]]}, "green"]}),
    "nobody": object_flag(OBJECTS, "none", {"if": [{"==": [{"var": "targetingKey"}, ""]}, "green"]}),
    "split": object_flag(OBJECTS, "none", {"fractional": [["red", 50], ["green", 50]]}),
    "no-such-variant": object_flag(OBJECTS, "none", "blue"),
    "broken": object_flag(OBJECTS, "none", {"no such operator": []}),
    "a-list": object_flag(OBJECTS, "list"),
    "a-text": object_flag(OBJECTS, "text"),
}
SWITCHES = {
    "switch-static": switch(default="on"),
    "switch-null": switch(default=None),
    "switch-disabled": switch(state="DISABLED"),
    "switch-text": switch(default="text"),
    "switch-colour": on_if({"==": [{"var": "colour"}, "red"]}),
    "switch-colours": on_if({"in": [{"var": "colour"}, ["red", "1"]]}),
    "switch-number": on_if({"<": [{"var": "colour"}, 3]}),
    "switch-fails": on_if({"cat": [{"var": "colour"}, ""]}),
    "switch-two": on_if({"and": [{"==": [{"var": "colour"}, "red"]}, {"==": [{"var": "tier"}, 1]}]}),
    "switch-environment": on_if({"==": [{"var": "environment"}, "red"]}),
    "switch-user": on_if({"in": [{"var": "targetingKey"}, ["ann", "7"]]}),
    "switch-nobody": on_if({"==": [{"var": "targetingKey"}, ""]}),
    "switch-no-user": on_if({"missing": ["targetingKey"]}),
    "switch-prefix": on_if({"starts_with": [{"var": "targetingKey"}, "7"]}),
    "switch-broken": on_if({"no such operator": []}),
    "switch-split": switch({"fractional": [["on", 50], ["off", 50]]}),
    "switch-by-colour": switch({"fractional": [{"var": "colour"}, ["on", 50], ["off", 50]]}),
}


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> FilesProvider:
    folder = tmp_path_factory.mktemp("flags")
    write_flags(folder / "all.flagd.json", {**OBJECT_FLAGS, **SWITCHES})
    provider = FilesProvider(folder, {"environment": "test"})
    provider.refresh()
    assert provider.serving.problems == ()
    return provider


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    windsock.stop()
    api.shutdown()
