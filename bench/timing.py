"""Nanoseconds per call, measured so that a shared machine disturbs every contender alike."""

import gc
import itertools
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Call = Callable[[str], object]

_SAMPLE = 0.002
"""Seconds that one sample takes at least: long against the clock's resolution, short against a time slice."""

_CALLS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to measure.

    Attributes:
        work: What is done.
        name: Who does it.
        call: Does it for one user.
        users: Gives the users of one round, so many as asked for; not timed.
    """

    work: str
    name: str
    call: Call
    users: Callable[[int], Sequence[str]]


def pin() -> int:
    """Keep this process and what it starts on one core: the last one it may use."""
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def returning(users: Sequence[str]) -> Callable[[int], Sequence[str]]:
    """Give the same users again and again."""
    return lambda count: list(itertools.islice(itertools.cycle(users), count))


def interleaved(lines: Sequence[Line], rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Measure every line once a round; by work and name, the least and the median of ns per call.

    What disturbs the machine for a second so disturbs all lines, and the least of many rounds is nearly free
    of it. The loop around the call is part of the number, some 10 ns.
    """
    counts = [_calibrated(line) for line in lines]
    samples: list[list[float]] = [[] for _ in lines]
    for _ in range(rounds):
        for line, count, taken in zip(lines, counts, samples, strict=True):
            taken.append(_sample(line.call, line.users(count)))
    results: dict[str, dict[str, dict[str, float]]] = {}
    for line, taken in zip(lines, samples, strict=True):
        figures = {"min": round(min(taken), 1), "median": round(statistics.median(taken), 1)}
        results.setdefault(line.work, {})[line.name] = figures
    return results


def _calibrated(line: Line) -> int:
    _sample(line.call, line.users(20))  # warm
    each = _sample(line.call, line.users(20))
    return max(10, min(_CALLS_MAX, int(_SAMPLE * 1e9 / each)))


def _sample(call: Call, users: Sequence[str]) -> float:
    gc.collect(0)
    gc.disable()
    try:
        began = time.perf_counter_ns()
        for user in users:
            call(user)
        return (time.perf_counter_ns() - began) / len(users)
    finally:
        gc.enable()
