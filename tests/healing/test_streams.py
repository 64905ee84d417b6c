"""Streaming answers: healed before their first item, and honest after it."""

import asyncio
import logging

import pytest
from tests.healing.teachers import TYPO, StatusError, Teacher, not_found, profiles

import windsock
from windsock.usage import MemorySink


class Stream:
    """Three parts of an answer; may break after the first."""

    def __init__(self, *, breaks=False):
        self.breaks = breaks
        self.closed = 0

    def parts(self, settings):
        if settings.reasoning_model == TYPO:
            raise not_found(TYPO)
        yield settings.reasoning_model
        if self.breaks:
            raise StatusError(503, "cut off")
        yield "answers"

    def plain(self, settings):
        try:
            yield from self.parts(settings)
        finally:
            self.closed += 1

    async def asynchronous(self, settings):
        try:
            for part in self.parts(settings):
                yield part
        finally:
            self.closed += 1


def test_a_stream_is_healed_before_its_first_item(serve):
    serve(profiles(["ann"], reasoning_model=TYPO))
    stream = Stream()
    assert list(windsock.heal(Teacher.for_user("ann"), stream.plain)) == ["gpt-4o-mini", "answers"]
    assert stream.closed == 2


@pytest.mark.anyio
async def test_an_asynchronous_stream_is_healed_before_its_first_item(serve):
    serve(profiles(["ann"], reasoning_model=TYPO))
    stream = Stream()
    answer = await windsock.aheal(Teacher.for_user("ann"), stream.asynchronous)
    assert [part async for part in answer] == ["gpt-4o-mini", "answers"]
    assert stream.closed == 2


def test_a_stream_that_breaks_later_is_not_healed_and_says_so(serve, caplog):
    memory = MemorySink()
    serve(profiles(["ann"], reasoning_model="gpt-4o"), usage=memory)
    with windsock.request():
        answer = windsock.heal(Teacher.for_user("ann"), Stream(breaks=True).plain)
        assert next(answer) == "gpt-4o"
        with pytest.raises(StatusError, match="cut off"):
            next(answer)
    windsock.stop()
    (record,) = [each for each in caplog.records if each.name == "windsock.healing"]
    assert record.levelno == logging.ERROR
    assert "failed after it had begun, so it is not healed" in record.getMessage()
    (row,) = memory.rows
    assert [each["fell_to"] for each in row.healed] == ["not healed: the answer had begun"]
    assert row.values == {"reasoning_model": "gpt-4o"}


@pytest.mark.anyio
async def test_an_asynchronous_stream_that_breaks_later(serve, caplog):
    serve(profiles(["ann"], reasoning_model="gpt-4o"))
    answer = await windsock.aheal(Teacher.for_user("ann"), Stream(breaks=True).asynchronous)
    assert await anext(answer) == "gpt-4o"
    with pytest.raises(StatusError, match="cut off"):
        await anext(answer)
    assert "not healed" in caplog.text


@pytest.mark.anyio
async def test_a_stream_that_its_reader_leaves_is_closed(serve):
    serve(profiles(["ann"], reasoning_model="gpt-4o"))
    stream = Stream()
    answer = windsock.heal(Teacher.for_user("ann"), stream.plain)
    assert next(answer) == "gpt-4o"
    answer.close()
    later = await windsock.aheal(Teacher.for_user("ann"), stream.asynchronous)
    assert await anext(later) == "gpt-4o"
    await later.aclose()
    assert stream.closed == 2


@pytest.mark.anyio
async def test_an_empty_stream(serve):
    serve(profiles(["ann"], reasoning_model="gpt-4o"))

    async def nothing(settings):
        for part in ():
            yield part

    def plain(settings):
        yield from ()

    assert [part async for part in await windsock.aheal(Teacher.for_user("ann"), nothing)] == []
    assert list(windsock.heal(Teacher.for_user("ann"), plain)) == []


def test_a_generator_is_passed_on_whole(serve):
    """What is sent and thrown, the first time too, and what is returned."""
    serve(profiles(["ann"], reasoning_model="gpt-4o"))

    def talk(settings):
        heard = []
        for number in range(3):
            try:
                heard.append((yield f"{settings.reasoning_model} {number}"))
            except KeyError as error:
                heard.append(error.args[0])
        return heard

    stream = windsock.heal(Teacher.for_user("ann"), talk)
    assert next(stream) == "gpt-4o 0"
    assert stream.send("first") == "gpt-4o 1"
    assert stream.throw(KeyError("second")) == "gpt-4o 2"
    with pytest.raises(StopIteration) as end:
        stream.send("third")
    assert end.value.value == ["first", "second", "third"]


def test_a_generator_hears_what_is_thrown_first_and_one_without_items_returns(serve):
    serve(profiles(["ann"], reasoning_model="gpt-4o"))

    def catch(settings):
        try:
            yield settings.reasoning_model
        except KeyError:
            yield "caught"

    stream = windsock.heal(Teacher.for_user("ann"), catch)
    assert next(stream) == "gpt-4o"
    assert stream.throw(KeyError()) == "caught"

    def empty(settings):
        yield from ()
        return settings.reasoning_model

    with pytest.raises(StopIteration) as end:
        next(windsock.heal(Teacher.for_user("ann"), empty))
    assert end.value.value == "gpt-4o"


@pytest.mark.anyio
async def test_an_asynchronous_generator_hears_what_is_thrown_in(serve):
    serve(profiles(["ann"], reasoning_model="gpt-4o"))

    async def catch(settings):
        try:
            yield settings.reasoning_model
        except KeyError:
            yield "caught"

    stream = await windsock.aheal(Teacher.for_user("ann"), catch)
    assert await anext(stream) == "gpt-4o"
    assert await stream.athrow(KeyError()) == "caught"
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


@pytest.mark.anyio
async def test_an_asynchronous_generator_hears_what_is_sent_first(serve):
    serve(profiles(["ann"], reasoning_model="gpt-4o"))

    async def talk(settings):
        heard = yield settings.reasoning_model
        yield heard

    stream = await windsock.aheal(Teacher.for_user("ann"), talk)
    assert await anext(stream) == "gpt-4o"
    assert await stream.asend("first") == "first"
    assert [part async for part in stream] == []


@pytest.mark.anyio
async def test_an_infinite_deadline_means_no_deadline(serve):
    serve(profiles(["ann"], reasoning_model=TYPO))

    def call(settings):
        if settings.reasoning_model == TYPO:
            raise not_found(TYPO)
        return settings.reasoning_model

    async def acall(settings):
        return call(settings)

    healed = windsock.heal(Teacher.for_user("ann"), call, deadline=float("inf"))
    assert healed == await windsock.aheal(Teacher.for_user("ann"), acall, deadline=float("inf"))
    assert healed == "gpt-4o-mini"


class Kept:
    """A generator function whose generators aren't closed as garbage."""

    def __init__(self, make):
        self.make = make
        self.made = []

    def __call__(self, settings):
        self.made.append(self.make(settings))
        return self.made[-1]


async def by_aclose(stream):
    kept = Kept(stream.asynchronous)
    await (await windsock.aheal(Teacher.for_user("ann"), kept)).aclose()
    return kept


async def by_athrow(stream):
    kept = Kept(stream.asynchronous)
    answer = await windsock.aheal(Teacher.for_user("ann"), kept)
    with pytest.raises(KeyError):
        await answer.athrow(KeyError())
    return kept


async def by_close(stream):
    kept = Kept(stream.plain)
    windsock.heal(Teacher.for_user("ann"), kept).close()
    return kept


async def by_throw(stream):
    kept = Kept(stream.plain)
    answer = windsock.heal(Teacher.for_user("ann"), kept)
    with pytest.raises(KeyError):
        answer.throw(KeyError())
    return kept


@pytest.mark.anyio
@pytest.mark.parametrize("leave", [by_aclose, by_athrow, by_close, by_throw])
async def test_a_stream_that_is_left_unread_is_closed(serve, leave):
    """Its first item was taken, so it has begun: the connection behind it is open."""
    serve(profiles(["ann"], reasoning_model="gpt-4o"))
    stream = Stream()
    kept = await leave(stream)
    assert stream.closed == len(kept.made) == 1


@pytest.mark.anyio
async def test_a_stream_hears_that_its_reader_was_cancelled(serve):
    serve(profiles(["ann"], reasoning_model="gpt-4o"))
    heard = []

    async def listen(settings):
        try:
            yield settings.reasoning_model
        except BaseException as error:
            heard.append(type(error))
            raise

    stream = await windsock.aheal(Teacher.for_user("ann"), listen)
    assert await anext(stream) == "gpt-4o"
    with pytest.raises(asyncio.CancelledError):
        await stream.athrow(asyncio.CancelledError())
    assert heard == [asyncio.CancelledError]


def test_closing_a_generator_gives_what_closing_it_unhealed_gives(serve):
    """The value that it returns, from Python 3.13 on."""
    serve(profiles(["ann"], reasoning_model="gpt-4o"))

    def last_words(settings):
        try:
            yield settings.reasoning_model
        except GeneratorExit:
            return "closed"

    unhealed, healed = (
        begin(Teacher.for_user("ann")) for begin in (last_words, lambda s: windsock.heal(s, last_words))
    )
    assert next(unhealed) == next(healed)
    assert healed.close() == unhealed.close()
