"""Two reads in one request never see two revisions, whatever is published in between."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.hook import Hook
from tests.flagfiles import object_flag, write_flags
from tests.settings.teacher import Serve

import windsock
from windsock.usage import MemorySink

BETA = windsock.feature("beta", default=False)
THEME = windsock.feature("theme", default="light")


class Tutor(windsock.Settings, flag="tutor"):
    model: str = "small"
    words: list[str] = []


def published(name: str, on: bool) -> dict[str, object]:
    def one(value: object) -> dict[str, object]:
        return {"state": "ENABLED", "variants": {"v": value}, "defaultVariant": "v"}

    return {
        "tutor": object_flag({"on": {"model": name, "words": [name]}}, "on"),
        "beta": one(on),
        "theme": one(name),
    }


@pytest.fixture(params=["directly", "with hooks"])
def flags(request: pytest.FixtureRequest, serve: Serve) -> Iterator[Path]:
    if request.param == "with hooks":
        api.add_hooks([Hook()])
    yield serve(published("first", on=False))
    api.clear_hooks()


def publish(folder: Path, name: str) -> None:
    write_flags(folder / "test.flagd.json", published(name, on=True))
    windsock.reload()


def seen() -> list[Any]:
    """Everything that can be read."""
    client = api.get_client()
    ann = Tutor.for_user("ann")
    return [
        *(ann.model, *ann.words, Tutor.live().model, *Tutor.live().words, THEME("ann"), BETA()),
        *(client.get_string_value("theme", "-"), client.get_boolean_value("beta", default_value=False)),
        windsock.explain(ann).revision,
    ]


def test_a_request_sees_what_served_when_it_first_asked(flags: Path) -> None:
    with windsock.request():
        first = seen()
        publish(flags, "second")
        assert seen() == first
        with windsock.request():  # one inside it is a part of it
            assert seen() == first
    second = seen()
    assert second[:7] == ["second", "second", "second", "second", "second", True, "second"]
    with windsock.request():
        assert seen() == second


def test_it_begins_with_the_first_question_and_not_with_the_request(flags: Path) -> None:
    with windsock.request():
        publish(flags, "second")
        assert seen()[0] == "second"


def test_requests_at_once_see_each_their_own(flags: Path) -> None:
    async def serve(first: asyncio.Event, go: asyncio.Event) -> list[list[Any]]:
        async with windsock.request():
            before = seen()
            first.set()
            await go.wait()
            return [before, seen(), await asyncio.to_thread(seen)]

    async def main() -> tuple[list[list[Any]], list[list[Any]]]:
        asked, go = asyncio.Event(), asyncio.Event()
        early = asyncio.create_task(serve(asked, go))
        await asked.wait()
        publish(flags, "second")
        late = asyncio.create_task(serve(asyncio.Event(), go))
        go.set()
        return await early, await late

    early, late = asyncio.run(main())
    assert early[0] == early[1] == early[2]
    assert late[0] == late[1] == late[2]
    assert (early[0][0], late[0][0]) == ("first", "second")


def test_a_task_that_outlives_its_request_sees_what_serves(flags: Path) -> None:
    async def main() -> list[Any]:
        ended = asyncio.Event()

        async def after() -> list[Any]:
            await ended.wait()
            return seen()

        async with windsock.request():
            seen()
            task = asyncio.create_task(after())
        publish(flags, "second")
        ended.set()
        return await task

    assert asyncio.run(main())[0] == "second"


def test_another_start_is_another_provider(flags: Path, tmp_path: Path) -> None:
    with windsock.request():
        assert seen()[0] == "first"
        other = tmp_path / "other"
        write_flags(other / "test.flagd.json", published("other", on=True))
        windsock.start(flags=other)
        assert seen()[0] == "other"


@pytest.mark.parametrize("hooks", [(), (Hook,)], ids=["directly", "with hooks"])
def test_the_rows_of_a_request_name_the_revision_that_it_saw(
    serve: Serve, hooks: tuple[type[Hook], ...]
) -> None:
    api.add_hooks([hook() for hook in hooks])
    memory = MemorySink()
    folder = serve(published("first", on=False), usage=memory)
    with windsock.request():
        first = windsock.health().revision
        BETA("ann")
        publish(folder, "second")
        assert Tutor.for_user("ann").model == "first"
        assert THEME("ann") == "first"
    windsock.stop()
    api.clear_hooks()
    assert {(row.flag, row.revision) for row in memory.rows} == {
        (flag, first) for flag in ("beta", "tutor", "theme")
    }
