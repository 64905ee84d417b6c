"""What the process says of settings, whatever becomes of one of its sources."""

from collections.abc import Callable

import pytest
from pydantic import AliasChoices, Field
from pydantic_settings import PydanticBaseSettingsSource

import windsock
from windsock.variables import environment_name

SetEnv = Callable[[str, str], None]


class Vault:
    """A settings source of the project's own."""

    down = False

    def __call__(self) -> dict[str, object]:
        if self.down:
            raise ConnectionError("no route to the vault")
        return {}


class Job(windsock.Settings, flag="night_job"):
    top_k: int = 10
    model: str = Field("small", validation_alias=AliasChoices("JOB_MODEL", "OPENAI_MODEL"))

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type, **sources: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return Vault(), sources["env_settings"]  # type: ignore[return-value]


def test_a_source_that_fails_is_left_out_and_named(
    setenv: SetEnv, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Vault, "down", True)
    setenv("NIGHT_JOB_TOP_K", "5")
    assert Job.live().top_k == 5
    assert "Job: settings source Vault failed and is left out: no route to the vault" in caplog.text


def test_of_several_variables_the_one_that_is_set_is_named(setenv: SetEnv) -> None:
    setenv("OPENAI_MODEL", "large")
    explained = windsock.explain(Job.live())["model"]
    assert (explained.value, explained.variable) == ("large", "OPENAI_MODEL")


@pytest.mark.parametrize(("text", "name"), [(" staging\n", "staging"), ("  ", "production")])
def test_the_environments_name_is_without_its_white_space(
    text: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", text)
    assert environment_name() == name
