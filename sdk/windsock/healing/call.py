"""`heal` and `aheal`: retry a call that fails with a tuned value using the value below it."""

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
    """Run `call` with the settings; if it fails with tuned values, retry it with the values below them.

    ::

        answer = windsock.heal(teacher, lambda s: client.chat(model=s.reasoning_model, messages=messages))

    If `call` raises after reading fields whose values aren't the code defaults, it's run once more with
    those fields one rung down: the last value that worked there, or else the next weaker layer with a
    different value. It goes further down, to the code defaults, only while the errors are the values' own
    fault. Heals are logged at ERROR and recorded in the request's usage. Read the fields from the argument
    of `call`: the reads show which values to suspect.

    Settings that have fallen back stay that way: a second `heal` with the same object, such as by a retry
    library, begins where the first one ended.

    Args:
        settings: The result of `Settings.for_user` or `Settings.live`; ordinary instances are passed through.
        call: Takes the settings. It may run again, so it must be safe to repeat. If it's a generator, its
            first item is taken here, and only a failure before that item is healed.
        deadline: Seconds for all runs. Nothing is rerun after it. With a deadline, runs with weaker values
            use a separate thread, abandoned when the deadline passes; the first error is then raised.
        classify: Judges whose fault an error is.

    Returns:
        The result of `call`.

    Raises:
        Exception: What `call` raised, if no tuned value was read or the weaker values failed as well.
        MisuseError: `call` is asynchronous; use `aheal`.
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
                if not isinstance(settings, Settings) or not attempt.settings.__dict__:
                    _misuse().warn_unread(call, settings)
                raise
        else:
            break
    attempt.succeeded()
    if not attempt.settings.__dict__:
        _misuse().warn_unread(call, settings)
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
    """Do what `heal` does for a coroutine function or an async generator function.

    ::

        async for part in await windsock.aheal(teacher, stream_answer): ...

    Cancellation is never healed. When the deadline passes, the current run is cancelled: a first run ends
    with `TimeoutError`, a later run with the first run's error.

    Raises:
        MisuseError: `call` is a plain function; use `heal`.
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
                if not isinstance(settings, Settings) or not attempt.settings.__dict__:
                    _misuse().warn_unread(call, settings)
                if isinstance(error, TimeoutError) and attempt.error is not None and attempt.left() == 0:
                    raise attempt.error from None
                raise
        else:
            break
    attempt.succeeded()
    if not attempt.settings.__dict__:
        _misuse().warn_unread(call, settings)
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
    """Take the first item, and return a generator that starts with it and forwards sends and throws."""
    try:
        first = next(stream)
    except StopIteration as end:
        return _ended(end.value)
    first_item()

    def rest() -> Generator[object, object, object]:
        try:
            yield first  # for `next` below: one that has started closes the stream, read or not
            item = first
            while True:  # `yield from` would lose what's sent for the first item
                try:
                    sent = yield item
                except GeneratorExit:
                    return stream.close()  # type: ignore[func-returns-value]  # it does from Python 3.13 on
                except BaseException as error:  # noqa: BLE001 - thrown in by the reader, and the stream's to handle
                    item = stream.throw(error)
                else:
                    item = stream.send(sent)
        except StopIteration as end:
            return end.value
        except Exception as error:
            attempt.failed_midway(error)
            raise
        finally:
            stream.close()

    started = rest()
    next(started)
    return started


def _ended(value: object) -> Generator[object, object, object]:
    yield from ()
    return value


async def _abegun(stream: AsyncIterator[T], attempt: Attempt[S]) -> AsyncGenerator[T]:
    iterator = cast("AsyncGenerator[T, object]", aiter(stream))  # nothing can be sent to other iterators
    try:
        first = await anext(iterator)
    except StopAsyncIteration:
        return _nothing()
    first_item()

    async def rest() -> AsyncGenerator[T]:
        try:
            yield first  # for `anext` below: one that has started closes the stream, read or not
            item = first
            while True:
                try:
                    sent = yield item
                except BaseException as error:  # thrown in by the reader, and the stream's to handle
                    if isinstance(error, GeneratorExit) or not hasattr(iterator, "athrow"):
                        raise
                    item = await iterator.athrow(error)
                else:
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

    started = rest()
    await anext(started)
    return started


async def _nothing() -> AsyncGenerator[T]:
    return
    yield
