"""`heal` and `aheal`: a call that fails with a tuned value is answered with the value below it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from inspect import isawaitable
from types import AsyncGeneratorType, CoroutineType, GeneratorType, ModuleType
from typing import TypeVar, cast, overload

from windsock.errors import MisuseError
from windsock.healing.attempt import Attempt, within
from windsock.healing.classify import Classifier, classify
from windsock.settings.settings import Settings
from windsock.usage.request import first_item

S = TypeVar("S", bound=Settings)
T = TypeVar("T")


def heal(
    settings: S, call: Callable[[S], T], *, deadline: float | None = None, classify: Classifier = classify
) -> T:
    """Run `call` with the settings; if it fails with tuned values, answer with the values below them.

    ::

        answer = windsock.heal(teacher, lambda s: client.chat(model=s.reasoning_model, messages=messages))

    When `call` raises, and it read fields whose values are not the code defaults, it is run once more with
    those fields one rung down: the last value that worked there, else the next weaker layer that says
    something else. Only while the errors are the values' own does it go further down, to the code defaults.
    What was healed is logged at ERROR and recorded in the request's usage. Read the fields from the argument
    of `call`: the reads tell which values to suspect.

    Settings that have fallen stay fallen: a second `heal` with the same object, as a retry library makes it,
    begins where the first one ended.

    Args:
        settings: What `Settings.for_user` or `Settings.live` gave; an ordinary instance is passed through.
        call: Takes the settings; may run again, so what it does must bear that. If it is a generator, its
            first item is taken here, and a failure before it is healed; one after it is not.
        deadline: Seconds for all of it. Nothing is run again after it, and a run with weaker values, which is
            then made in a thread of its own, is left behind when it passes: the first error is raised.
        classify: Judges whose fault an error is.

    Returns:
        What `call` returned.

    Raises:
        Exception: What `call` raised, where no tuned value was read, or the weaker values failed as well.
        MisuseError: `call` is asynchronous: use `aheal`.
    """
    attempt = Attempt(settings, classify, deadline)
    while True:
        try:
            left = attempt.left()
            if left is None or attempt.error is None:
                answer = _run(call, attempt)
            elif answers := within(left, lambda: _run(call, attempt)):
                (answer,) = answers
            else:
                raise attempt.error  # noqa: TRY301 - handled as what it is, the call's own
        except MisuseError:
            raise
        except Exception as error:
            if not attempt.lower(error):
                if not attempt.settings.__dict__:
                    _misuse().tell_unread(call, settings)
                raise
        else:
            break
    attempt.succeeded()
    if not attempt.settings.__dict__:
        _misuse().tell_unread(call, settings)
    return answer


@overload
async def aheal(
    settings: S,
    call: Callable[[S], Awaitable[T]],
    *,
    deadline: float | None = None,
    classify: Classifier = classify,
) -> T: ...


@overload
async def aheal(
    settings: S,
    call: Callable[[S], AsyncIterator[T]],
    *,
    deadline: float | None = None,
    classify: Classifier = classify,
) -> AsyncGenerator[T]: ...


async def aheal(
    settings: S,
    call: Callable[[S], Awaitable[T] | AsyncIterator[T]],
    *,
    deadline: float | None = None,
    classify: Classifier = classify,
) -> T | AsyncGenerator[T]:
    """Do what `heal` does where `call` is a coroutine function or an async generator function.

    ::

        async for part in await windsock.aheal(teacher, stream_answer): ...

    A cancellation is never healed. When the deadline passes, what runs is cancelled: the first run ends
    in `TimeoutError`, a later one in the first one's error.

    Raises:
        MisuseError: `call` is a plain function: use `heal`.
    """
    attempt = Attempt(settings, classify, deadline)
    while True:
        try:
            async with asyncio.timeout(attempt.left()):
                answer = await _arun(call, attempt)
        except MisuseError:
            raise
        except Exception as error:
            if not attempt.lower(error):
                if not attempt.settings.__dict__:
                    _misuse().tell_unread(call, settings)
                if isinstance(error, TimeoutError) and attempt.error is not None and attempt.left() == 0:
                    raise attempt.error from None
                raise
        else:
            break
    attempt.succeeded()
    if not attempt.settings.__dict__:
        _misuse().tell_unread(call, settings)
    return answer


def _misuse() -> ModuleType:
    from windsock.healing import misuse  # noqa: PLC0415 - a service without any never loads it

    return misuse


def _run(call: Callable[[S], T], attempt: Attempt[S]) -> T:
    answer = call(attempt.settings)
    kind = type(answer)
    if kind is GeneratorType:
        return cast("T", _begun(cast("Generator[object, object, object]", answer), attempt))
    if kind is CoroutineType or kind is AsyncGeneratorType:
        _misuse().refuse_coroutine(answer)
    return answer


async def _arun(call: Callable[[S], Awaitable[T] | AsyncIterator[T]], attempt: Attempt[S]) -> T:
    answer = call(attempt.settings)
    if isawaitable(answer):
        return await answer
    if not hasattr(answer, "__aiter__"):
        _misuse().refuse_plain(answer)
    return cast("T", await _abegun(answer, attempt))


def _begun(
    stream: Generator[object, object, object], attempt: Attempt[S]
) -> Generator[object, object, object]:
    """Take the first item, and make a generator that begins with it and passes on what is sent and thrown."""
    try:
        first = next(stream)
    except StopIteration as end:
        return _ended(end.value)
    first_item()

    def rest() -> Generator[object, object, object]:
        try:
            return (yield from _resumed(stream, first))
        except Exception as error:
            attempt.failed_midway(error)
            raise
        finally:
            stream.close()

    return rest()


def _resumed(stream: Generator[object, object, object], item: object) -> Generator[object, object, object]:
    """Go on with a stream whose next item is already taken: ``yield from`` would lose what is sent for it."""
    while True:
        try:
            try:
                sent = yield item
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - thrown in by the reader, and the stream's to handle
                item = stream.throw(error)
            else:
                item = stream.send(sent)
        except StopIteration as end:
            return end.value


def _ended(value: object) -> Generator[object, object, object]:
    yield from ()
    return value


async def _abegun(stream: AsyncIterator[T], attempt: Attempt[S]) -> AsyncGenerator[T]:
    iterator = cast("AsyncGenerator[T, object]", aiter(stream))  # one that isn't can't be sent anything
    try:
        first = await anext(iterator)
    except StopAsyncIteration:
        return _nothing()
    first_item()

    async def rest() -> AsyncGenerator[T]:
        try:
            item = first
            while True:
                sent = yield item
                item = await (anext(iterator) if sent is None else iterator.asend(sent))
        except StopAsyncIteration:
            return
        except Exception as error:
            attempt.failed_midway(error)
            raise
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()

    return rest()


async def _nothing() -> AsyncGenerator[T]:
    return
    yield
