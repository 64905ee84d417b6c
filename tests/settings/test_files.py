"""A broken configuration file costs nothing but its own news: the values last read from it serve."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
    YamlConfigSettingsSource,
)
from tests.settings.teacher import SetEnv

import windsock

FORMS: dict[str, tuple[type[Any], str, Callable[[int], str]]] = {
    "json": (JsonConfigSettingsSource, "own.json", lambda port: json.dumps({"port": port})),
    "toml": (TomlConfigSettingsSource, "own.toml", lambda port: f"port = {port}\n"),
    "yaml": (YamlConfigSettingsSource, "own.yaml", lambda port: f"port: {port}\n"),
    "pyproject": (
        PyprojectTomlConfigSettingsSource,
        "pyproject.toml",
        lambda port: f"[tool.pydantic-settings]\nport = {port}\n",
    ),
}
BROKEN = {"syntax": b"{port: [", "encoding": b"\xff\xfe\xfa", "no mapping": b"[1, 2]"}


def sourced(base: type[BaseSettings], form: str) -> Any:
    """A class with a source of this form, and one in `other.json` below it."""
    source, name, _ = FORMS[form]

    class Web(base):  # type: ignore[valid-type, misc]  # a base that is a variable
        model_config = SettingsConfigDict(env_file=None)
        port: int = 1
        host: str = "-"
        other: str = "-"

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            below = JsonConfigSettingsSource(settings_cls, json_file="other.json")
            return init_settings, env_settings, source(settings_cls, Path(name)), below

    return Web


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest, tmp_path: Path, setenv: SetEnv) -> str:
    form: str = request.param
    own = tmp_path / FORMS[form][1]
    own.write_text(FORMS[form][2](2))
    (tmp_path / "other.json").write_text('{"other": "file"}')
    setenv("HOST", "env-host")
    return form


def seen(settings: Any) -> tuple[int, str, str]:
    return settings.port, settings.host, settings.other


@pytest.mark.parametrize("broken", BROKEN)
def test_what_it_said_last_serves_until_it_is_mended(
    form: str, broken: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    web, own = sourced(windsock.Settings, form), tmp_path / FORMS[form][1]
    assert seen(web.live()) == seen(web()) == (2, "env-host", "file")

    own.write_bytes(BROKEN[broken])
    (tmp_path / "other.json").write_text('{"other": "new"}')
    windsock.reload()
    assert seen(web.live()) == seen(web()) == (2, "env-host", "new")
    assert f"Web: {own.name} cannot be read" in caplog.text.replace(f"{tmp_path}/", "")
    assert "the values last read from it serve" in caplog.text

    own.write_text(FORMS[form][2](5))
    windsock.reload()
    assert seen(web.live()) == seen(web()) == (5, "env-host", "new")


def test_one_that_was_never_read_leaves_the_other_sources(
    form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FORMS[form][1]).write_bytes(BROKEN["syntax"])
    assert seen(sourced(windsock.Settings, form).live()) == (1, "env-host", "file")
    assert "it is left out" in caplog.text


def test_a_value_that_is_invalid_falls_alone(form: str, tmp_path: Path) -> None:
    (tmp_path / FORMS[form][1]).write_text(FORMS[form][2](2).replace("2", '"many"'))
    assert seen(sourced(windsock.Settings, form).live()) == (1, "env-host", "file")


def test_classes_of_pydantic_settings_still_raise(form: str, tmp_path: Path) -> None:
    assert seen(sourced(windsock.Settings, form).live())[0] == 2
    (tmp_path / FORMS[form][1]).write_bytes(BROKEN["syntax"])
    with pytest.raises(Exception, match=r"(?s)."):
        sourced(BaseSettings, form)()


def test_the_last_of_several_files_is_laid_over_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Many(windsock.Settings):
        limits: dict[str, int] = {}

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], **sources: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            files = [tmp_path / "a.json", "absent.json", "b.json"]
            return (JsonConfigSettingsSource(settings_cls, json_file=files, deep_merge=True),)

    (tmp_path / "a.json").write_text('{"limits": {"a": 1}}')
    (tmp_path / "b.json").write_text('{"limits": {"b": 2}}')
    assert Many.live().limits == {"a": 1, "b": 2}
    (tmp_path / "a.json").write_text("{")
    windsock.reload()
    assert Many.live().limits == {"a": 1, "b": 2}
    (tmp_path / "a.json").unlink()
    windsock.reload()
    assert Many.live().limits == {"b": 2}
    assert caplog.text.count("cannot be read") == 1
