"""Declares a class made at random on `BaseSettings` and on `windsock.Settings`, and compares what can be seen."""

import copy
import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic_settings import BaseSettings
from tests.settings.generated import Drawn, Surroundings

import windsock


def differences(of: Drawn, around: Surroundings, folder: Path) -> Mapping[str, object] | None:
    """What differs between the two classes, by the way to the values; empty if nothing does.

    Args:
        of: The class.
        around: What it is made in.
        folder: An empty folder, or one used by this function before.

    Returns:
        None where `BaseSettings` itself refuses the input: what becomes of that is tested elsewhere.
    """
    with pytest.MonkeyPatch.context() as monkeypatch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the classes are odd, in the same way on both bases
        _place(around, folder, monkeypatch)
        before = of.declare(BaseSettings)
        try:
            called, alone = _seen(lambda: before(**around.arguments)), _seen(before)
        except Exception:  # noqa: BLE001 - whatever a class made at random raises
            return None
        expected = _schemas(before)
        after = of.declare(windsock.Settings)
        compared = {
            "schemas": (expected, _schemas(after)),
            "with arguments": (called, _seen(lambda: after(**around.arguments))),
            "without arguments": (alone, _seen(after)),
            "for_user": (alone, _seen(lambda: after.for_user("ann"))),
            "live": (alone, _seen(after.live)),
        }
        return {way: _told_apart(*pair) for way, pair in compared.items() if pair[0] != pair[1]}


def _place(around: Surroundings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the files and set the variables."""
    monkeypatch.chdir(folder)
    lines = "".join(f"{name}='{text}'\n" for name, text in around.dotenv.items())
    (folder / ".env").write_text(lines, encoding=around.encoding, errors="replace")
    (folder / "c.json").write_text(around.document)
    secrets = folder / "secrets"
    secrets.mkdir(exist_ok=True)
    for stale in secrets.iterdir():
        stale.unlink()
    for name, text in around.secrets.items():
        (secrets / name).write_text(text)
    for name, text in around.environment.items():
        monkeypatch.setenv(name, text)


def _seen(make: Callable[[], BaseSettings]) -> dict[str, Any]:
    """What can be seen of an instance."""
    made = make()
    seen = {
        "type": type(made).__name__,
        "dump": made.model_dump(),
        "unset left out": made.model_dump(exclude_unset=True),
        "set": sorted(made.model_fields_set),
        "repr": repr(made),
        "nested": TypeAdapter(list[type(made)]).dump_python([make()]),
        "pairs": {name: repr(value) for name, value in made},
        "extra": made.model_extra,
        "copy": repr(copy.copy(made)),
        "deep copy": repr(copy.deepcopy(made)),
        "changed copy": repr(made.model_copy(update={})),
        "pickle": repr(pickle.loads(pickle.dumps(made))),
    }
    try:
        seen["json"] = made.model_dump_json()
    except ValueError as error:  # bytes that are no text
        seen["json"] = type(error).__name__
    return seen


def _schemas(settings_class: type[BaseSettings]) -> dict[str, Any]:
    """Both JSON schemas of a class, or why it has none."""
    found: dict[str, Any] = {}
    for mode in ("validation", "serialization"):
        try:
            found[mode] = settings_class.model_json_schema(mode=mode)
        except Exception as error:  # noqa: BLE001 - a type that has no schema has none on either base
            found[mode] = type(error).__name__
    return found


def _told_apart(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> dict[str, Any]:
    return {
        each: {"BaseSettings": wanted[each], "windsock.Settings": got[each]}
        for each in wanted
        if wanted[each] != got[each]
    }
