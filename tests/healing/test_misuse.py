"""Calls that cannot be healed as they are written: their author is told."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest
from tests.flagfiles import object_flag
from tests.settings.teacher import Serve

import windsock
from windsock.errors import MisuseError
from windsock.healing import misuse


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(misuse, "_warned", set())


class Tutor(windsock.Settings, flag="tutor"):
    model: str = "small"


TUTOR = Tutor.live()


async def ask(settings: Tutor) -> str:
    return settings.model


async def stream(settings: Tutor) -> AsyncIterator[str]:
    yield settings.model


def plain(settings: Tutor) -> str:
    return settings.model


def several(settings: Tutor) -> Iterator[str]:
    yield settings.model


@pytest.mark.parametrize("call", [ask, stream, partial(ask)])
def test_heal_with_an_asynchronous_call(call: object) -> None:
    with pytest.raises(TypeError, match=r"windsock\.heal got an async function; write await windsock\.aheal"):
        windsock.heal(Tutor.for_user("ann"), call)


@pytest.mark.parametrize(
    ("settings", "call", "given"),
    [
        (Tutor, plain, "the class Tutor and function"),
        (None, plain, "NoneType and function"),
        (TUTOR, None, "Tutor and NoneType"),
        (plain, TUTOR, "function and Tutor"),
    ],
    ids=["a class", "nothing", "no function", "swapped"],
)
def test_what_is_not_settings_and_a_function(settings: object, call: object, given: str) -> None:
    with pytest.raises(MisuseError, match=r"windsock\.heal takes settings and a function of them") as told:
        windsock.heal(settings, call)
    assert f"not {given}; write" in str(told.value)


@pytest.mark.parametrize(
    ("call", "returned"), [(plain, "str"), (several, "generator"), (lambda _: None, "NoneType")]
)
def test_aheal_with_a_plain_call(call: object, returned: str) -> None:
    async def main() -> None:
        await windsock.aheal(Tutor.for_user("ann"), call)

    with pytest.raises(TypeError, match=f"windsock.aheal got a function that returned {returned}"):
        asyncio.run(main())


def test_it_is_not_run_again_with_weaker_values(serve: Serve) -> None:
    serve({"tutor": object_flag({"on": {"model": "large"}}, "on")})
    models = []

    async def main() -> None:
        await windsock.aheal(Tutor.for_user("ann"), lambda s: models.append(s.model))

    with pytest.raises(TypeError, match="NoneType"):
        asyncio.run(main())
    assert models == ["large"]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("outside", ["a closure", "a global"])
def test_reading_from_outside_is_reported_once(
    serve: Serve, outside: str, caplog: pytest.LogCaptureFixture, *, fails: bool
) -> None:
    serve({"tutor": object_flag({"on": {"model": "large"}}, "on")})
    tutor = Tutor.for_user("ann") if outside == "a closure" else TUTOR

    def chat(model: str) -> str:
        if fails:
            raise LookupError(model)
        return model

    closing = (lambda _: chat(tutor.model)) if outside == "a closure" else (lambda _: chat(TUTOR.model))
    for _ in range(2):
        try:
            windsock.heal(tutor, closing)
        except LookupError:
            assert fails
    (told,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "test_misuse.py" in told.message
    assert "reads Tutor from outside and not from its argument, so nothing can be healed" in told.message


def test_a_call_that_also_reads_its_argument_is_not_reported(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    serve({})
    cached = "answer"
    assert windsock.heal(Tutor.for_user("ann"), lambda s: cached or s.model) == "answer"
    assert windsock.heal(TUTOR, lambda s: f"{s.model} {TUTOR.model}") == "small small"
    assert not [each for each in caplog.records if each.name == "windsock.healing"]
