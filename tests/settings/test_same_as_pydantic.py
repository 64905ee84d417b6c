"""A class without flags is what pydantic-settings makes of it: proven by classes made at random."""

import copy
import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_settings import BaseSettings
from tests.settings.generated import Drawn, Surroundings, drawn, surroundings

import windsock


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the classes are odd on purpose, and odd in the same way on both bases
        yield


def place(around: Surroundings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def told(make: Callable[[], BaseSettings]) -> dict[str, Any]:
    """What can be seen of an instance."""
    made = make()
    told = {
        "type": type(made).__name__,
        "dump": made.model_dump(),
        "unset left out": made.model_dump(exclude_unset=True),
        "set": sorted(made.model_fields_set),
        "repr": repr(made),
        "pairs": {name: repr(value) for name, value in made},
        "extra": made.model_extra,
        "copy": repr(copy.copy(made)),
        "deep copy": repr(copy.deepcopy(made)),
        "changed copy": repr(made.model_copy(update={})),
        "pickle": repr(pickle.loads(pickle.dumps(made))),
    }
    try:
        told["json"] = made.model_dump_json()
    except ValueError as error:  # bytes that are no text
        told["json"] = type(error).__name__
    return told


def schemas(settings_class: type[BaseSettings]) -> list[Any]:
    """Both JSON schemas of a class, or why it has none."""
    found: list[Any] = []
    for mode in ("validation", "serialization"):
        try:
            found.append(settings_class.model_json_schema(mode=mode))
        except Exception as error:  # noqa: BLE001 - a type that has no schema has none on either base
            found.append(type(error).__name__)
    return found


@settings(
    max_examples=100,
    derandomize=True,  # the same classes in each run of CI; without it each run draws others
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(of=drawn(), data=st.data())
def test_the_same_values_in_every_form(of: Drawn, data: st.DataObject, tmp_path: Path) -> None:
    around = data.draw(surroundings(of))
    with pytest.MonkeyPatch.context() as monkeypatch:
        place(around, tmp_path, monkeypatch)
        before = of.declare(BaseSettings)
        try:
            wanted = told(lambda: before(**around.arguments))
            alone = told(before)
        except Exception:  # noqa: BLE001 - not valid together; what becomes of such input is tested elsewhere
            return
        expected = schemas(before)
        after = of.declare(windsock.Settings)
        assert schemas(after) == expected
        assert told(lambda: after(**around.arguments)) == wanted
        assert told(after) == alone
        assert told(lambda: after.for_user("ann")) == alone
        assert told(after.live) == alone
