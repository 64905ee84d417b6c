"""Healing: a tuned value that fails in use never costs the answer."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import Field, SecretStr
from tests.flagfiles import object_flag, profile_flag

import windsock
from windsock.usage import MemorySink

CONFIG = "3f0c2f5e-3a53-4a3f-9d6c-0b6f6f6d0001"
Serve = Callable[..., Path]


class Teacher(windsock.Settings, flag="teacher"):
    retrieval_top_k: int = Field(10, ge=1, le=200)
    reasoning_model: str = "gpt-4o-mini"
    temperature: float = 0.7
    api_key: SecretStr = SecretStr("default-key")


class ModelNotFoundError(Exception):
    """As the OpenAI client raises it: it quotes the model, and may name the parameter."""

    def __init__(self, model: str, param: str | None = None) -> None:
        super().__init__(f"The model `{model}` does not exist or you do not have access to it.")
        self.param = param


def chat(settings: Teacher) -> tuple[str, float]:
    """A call of a provider that knows one model."""
    if settings.reasoning_model != "gpt-4o-mini":
        raise ModelNotFoundError(settings.reasoning_model)
    return settings.reasoning_model, settings.temperature


def misspelt(serve: Serve, **more: object) -> Teacher:
    settings = {"reasoning_model": "gpt-4o-typo", "temperature": 0.2}
    serve({"teacher.profile": profile_flag({CONFIG: settings}, {"ann": CONFIG})}, **more)
    return Teacher.for_user("ann")


def test_a_misspelt_model_is_answered_with_the_default_and_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    answer = windsock.heal(misspelt(serve), chat)
    assert answer[0] == "gpt-4o-mini"
    (record,) = [each for each in caplog.records if each.name == "windsock.healing"]
    assert record.levelno == logging.ERROR
    assert "Teacher.reasoning_model='gpt-4o-typo'" in record.getMessage()
    assert "falling back to 'gpt-4o-mini' (default)" in record.getMessage()
    assert CONFIG in record.getMessage()


@pytest.mark.anyio
async def test_the_asynchronous_form(serve: Serve) -> None:
    async def call(settings: Teacher) -> tuple[str, float]:
        await asyncio.sleep(0)
        return chat(settings)

    assert (await windsock.aheal(misspelt(serve), call))[0] == "gpt-4o-mini"


@pytest.mark.anyio
async def test_a_cancellation_is_not_healed(serve: Serve) -> None:
    calls = 0

    async def call(settings: Teacher) -> str:
        nonlocal calls
        calls += 1
        assert settings.reasoning_model
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await windsock.aheal(misspelt(serve), call)
    assert calls == 1


def test_the_value_below_is_the_next_layer_that_says_something_else(serve: Serve) -> None:
    serve(
        {
            "teacher": object_flag({"base": {"reasoning_model": "gpt-4o-mini"}}, "base"),
            "teacher.experiment": object_flag({"arm": {"reasoning_model": "gpt-4o-typo"}}, "arm"),
        }
    )
    seen = []
    windsock.heal(Teacher.for_user("ann"), lambda s: (seen.append(s.reasoning_model), chat(s)))
    assert seen == ["gpt-4o-typo", "gpt-4o-mini"]


def test_a_broken_base_value_falls_to_the_code_default(serve: Serve) -> None:
    serve({"teacher": object_flag({"base": {"reasoning_model": "gpt-4o-typo"}}, "base")})
    assert windsock.heal(Teacher.live(), chat)[0] == "gpt-4o-mini"


def test_code_defaults_are_never_suspected(serve: Serve) -> None:
    serve({})
    calls = []

    def call(settings: Teacher) -> None:
        calls.append(settings.reasoning_model)
        raise ConnectionError("down")

    with pytest.raises(ConnectionError, match="down"):
        windsock.heal(Teacher.for_user("ann"), call)
    assert calls == ["gpt-4o-mini"]


def test_an_outage_raises_the_calls_own_exception_and_blames_no_value(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def call(settings: Teacher) -> None:
        raise TimeoutError(f"no answer from {settings.reasoning_model}")

    with pytest.raises(TimeoutError, match="gpt-4o-mini") as caught:
        windsock.heal(misspelt(serve), call)
    assert isinstance(caught.value.__context__, TimeoutError)
    assert not [each for each in caplog.records if each.name == "windsock.healing"]


def test_only_fields_that_were_read_are_suspected(serve: Serve) -> None:
    memory = MemorySink()
    teacher = misspelt(serve, usage=memory)
    with windsock.request():
        windsock.heal(teacher, lambda s: chat(s) if s.reasoning_model else None)
    windsock.stop()
    (row,) = memory.rows
    assert '"reasoning_model"' in row.healed_json
    assert "temperature" not in row.healed_json


@pytest.mark.parametrize("param", ["reasoning_model", "model"])
def test_the_error_s_own_parameter_picks_the_field(serve: Serve, param: str) -> None:
    memory = MemorySink()
    teacher = misspelt(serve, usage=memory)

    def call(settings: Teacher) -> float:
        temperature = settings.temperature
        if settings.reasoning_model != "gpt-4o-mini":
            raise ModelNotFoundError("a name that is not quoted", param)
        return temperature

    with windsock.request():
        windsock.heal(teacher, call)
    windsock.stop()
    (row,) = memory.rows
    assert '"reasoning_model"' in row.healed_json
    assert '"temperature"' not in row.healed_json


def test_the_row_names_the_configuration_whose_value_failed(serve: Serve) -> None:
    memory = MemorySink()
    teacher = misspelt(serve, usage=memory)
    with windsock.request():
        windsock.heal(teacher, chat)
    windsock.stop()
    (row,) = memory.rows
    assert str(row.config_id) == CONFIG
    assert row.user_id == "ann"
    assert '"gpt-4o-mini"' in row.values_json
    assert '"failed_value": "gpt-4o-typo"' in row.healed_json.replace('":"', '": "')


def test_secrets_stay_secret_when_they_fail(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    serve({"teacher": object_flag({"base": {"api_key": "s3cret-value"}}, "base")})

    def call(settings: Teacher) -> str:
        if settings.api_key.get_secret_value() == "s3cret-value":
            raise PermissionError("incorrect API key provided: s3cret-value")
        return "ok"

    assert windsock.heal(Teacher.live(), call) == "ok"
    assert "s3cret-value" not in caplog.text
    assert "Teacher.api_key" in caplog.text


def test_an_ordinary_instance_is_passed_through() -> None:
    with pytest.raises(ModelNotFoundError):
        windsock.heal(Teacher(reasoning_model="gpt-4o-typo"), chat)


def test_an_error_that_cannot_be_printed(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    class HostileError(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    def call(settings: Teacher) -> str:
        if settings.reasoning_model != "gpt-4o-mini":
            raise HostileError
        return "ok"

    assert windsock.heal(misspelt(serve), call) == "ok"
    assert "HostileError" in caplog.text
