"""Ctrl-C, termination and a closed terminal, for commands that take something down before they end."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn, TypeAlias

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_Handler: TypeAlias = Callable[[int, FrameType | None], object]


@contextmanager
def stop_event() -> Iterator[threading.Event]:
    """An event that is set when the process is asked to end, instead of ending it."""
    stop = threading.Event()
    with _handled(lambda *_: stop.set(), _ENDING):
        yield stop


@contextmanager
def leaving_on_signals() -> Iterator[None]:
    """Leave the block with an exception, as on Ctrl-C, instead of ending the process on the spot."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    with _handled(leave, _ENDING[1:]):
        yield


@contextmanager
def signals_later() -> Iterator[None]:
    """Hold what asks the process to end until the block is over: half of a start can't be taken down."""
    waiting: list[int] = []
    with _handled(lambda number, _: waiting.append(number), _ENDING):
        yield
    if waiting:
        signal.raise_signal(waiting[0])


@contextmanager
def _handled(handler: _Handler, numbers: tuple[signal.Signals, ...]) -> Iterator[None]:
    """Handle signals to the end of the block, except those that the process was started to ignore."""
    before = {each: signal.getsignal(each) for each in numbers if signal.getsignal(each) != signal.SIG_IGN}
    for each in before:
        signal.signal(each, handler)
    try:
        yield
    finally:
        for each, previous in before.items():
            signal.signal(each, previous)
