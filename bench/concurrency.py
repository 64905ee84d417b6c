"""Threads, tasks, many classes, and a mirror that publishes all the time: ``python -m bench.concurrency``.

Each part runs in a process of its own and takes a few seconds. Writes bench/results/concurrency.json, which
``python -m bench.page`` shows in docs/benchmarks.md.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from operator import attrgetter
from pathlib import Path

from bench.ids import profile, settings_class, user_id, write
from bench.page import CONCURRENCY
from bench.peers import PARAMETERS, USERS, flag, folder

import windsock

SECONDS = 3.0
FOUR = attrgetter(*list(PARAMETERS)[:4])
ASSIGNED = 10_000
PUBLISHED_EACH_SECOND = 100

Figures = dict[str, float]


@contextmanager
def settings(name: str = "settings") -> Iterator[Callable[[str], object]]:
    """A call that makes a view and reads four of its fields."""
    windsock.start(flags=folder())
    for_user = settings_class(name).for_user
    yield lambda user: FOUR(for_user(user))
    windsock.stop()


def threads(count: int) -> Figures:
    """Calls a second of all threads together."""
    made, stop, barrier = [0] * count, threading.Event(), threading.Barrier(count + 1)

    def work(number: int, call: Callable[[str], object]) -> None:
        barrier.wait()
        while not stop.is_set():
            for user in USERS:
                call(user)
            made[number] += len(USERS)

    with settings() as call:
        running = [threading.Thread(target=work, args=(number, call)) for number in range(count)]
        for thread in running:
            thread.start()
        barrier.wait()
        began = time.perf_counter()
        time.sleep(SECONDS)
        stop.set()
        for thread in running:
            thread.join()
        took = time.perf_counter() - began
    return {"calls a second": sum(made) / took}


def tasks(count: int) -> Figures:
    """Microseconds of a request with four reads, in tasks that take turns, and without any."""
    each = 20

    async def one(call: Callable[[str], object], user: str) -> None:
        for _ in range(each):
            with windsock.request():
                call(user)
                await asyncio.sleep(0)
                call(user)

    async def all_of(call: Callable[[str], object]) -> float:
        began = time.perf_counter()
        await asyncio.gather(*(one(call, user) for user in islice(cycle(USERS), count)))
        return (time.perf_counter() - began) / count / each * 1e6

    with settings() as call:
        return {
            "a request with two calls (µs)": min(asyncio.run(all_of(call)) for _ in range(10)),
            "the same without the calls (µs)": min(asyncio.run(all_of(lambda user: user)) for _ in range(10)),
        }


def many(classes: int, flags: int) -> Figures:
    """Microseconds of a call, by turns of all classes and of all features of a process."""
    made = Path(tempfile.mkdtemp(prefix="windsock-bench-"))
    rule = {"if": [{"==": [{"var": "tier"}, "pro"]}, "on", "off"]}
    named: dict[str, object] = {f"f-{n}": flag({"on": True, "off": False}, "off", rule) for n in range(flags)}
    named |= {f"c-{n}": flag({"on": PARAMETERS}, "on") for n in range(classes)}
    named |= {f"c-{n}.profile": profile(USERS) for n in range(classes)}
    write(made / "all.flagd.json", named)
    windsock.start(flags=made)
    views = [settings_class(f"c-{n}").for_user for n in range(classes)]
    features = [windsock.feature(f"f-{n}", default=False) for n in range(flags)]
    figures = {
        "a class with four reads (µs)": _least([lambda user, view=view: FOUR(view(user)) for view in views]),
        "a feature (µs)": _least([lambda user, ask=ask: ask(user, tier="pro") for ask in features]),
    }
    windsock.stop()
    return figures


def _least(calls: list[Callable[[str], object]]) -> float:
    """Microseconds of a call, taking turns; the least of many rounds."""
    taken = []
    for user in USERS:
        began = time.perf_counter_ns()
        for call in calls:
            call(user)
        taken.append((time.perf_counter_ns() - began) / len(calls) / 1_000)
    return min(taken)


def publishing(each_second: int) -> Figures:
    """Microseconds of a call beside a process that replaces a file of ten thousand users all the time."""
    made = Path(tempfile.mkdtemp(prefix="windsock-bench-"))
    publisher = [sys.executable, "-m", "bench.concurrency", "--publish", str(made), str(each_second)]
    with subprocess.Popen(publisher, stdout=subprocess.PIPE) as process:
        process.stdout.readline()  # type: ignore[union-attr]  # the first file is there
        windsock.start(flags=made)
        for_user = settings_class("teacher").for_user
        taken, seen, end = [], set(), time.perf_counter() + 4 * SECONDS
        while time.perf_counter() < end:
            for number in range(1_000):
                began = time.perf_counter_ns()
                view = for_user(user_id(number))
                FOUR(view)
                taken.append(time.perf_counter_ns() - began)
            seen.add(windsock.health().revision)
            time.sleep(0.001)  # a service's thread waits for its clients now and then
        windsock.stop()
        process.terminate()
    taken.sort()
    at = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    figures = {f"{name} (µs)": taken[int(len(taken) * share)] / 1_000 for name, share in at.items()}
    return {**figures, "revisions seen a second": len(seen) / (4 * SECONDS)}


def publish(where: Path, each_second: int) -> None:
    """Replace a file so many times a second, until the end; 0 writes it once."""
    document = {"teacher": flag({"on": PARAMETERS}, "on")}
    document["teacher.profile"] = profile(map(user_id, range(ASSIGNED)))
    text = json.dumps({"flags": {**document, "turn": flag({"it": 0}, "it")}})
    turn, due = 0, time.monotonic()
    while True:
        unfinished = where / "teacher.tmp"
        unfinished.write_text(text.replace('{"it": 0}', f'{{"it": {turn}}}'))
        unfinished.replace(where / "teacher.flagd.json")
        if not turn:
            print("written", flush=True)
        turn += 1
        due += 1 / each_second if each_second else 3_600
        time.sleep(max(0.0, due - time.monotonic()))


PARTS: dict[str, Callable[[], Figures]] = {
    "1 thread": lambda: threads(1),
    "8 threads": lambda: threads(8),
    "64 threads": lambda: threads(64),
    "1,000 tasks": lambda: tasks(1_000),
    "1 class, 1 flag": lambda: many(1, 1),
    "50 classes, 500 flags": lambda: many(50, 500),
    "nothing published": lambda: publishing(0),
    f"published {PUBLISHED_EACH_SECOND} times a second": lambda: publishing(PUBLISHED_EACH_SECOND),
}


def main() -> None:
    """Measure every part, or one; print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--publish", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        publish(Path(options.publish[0]), int(options.publish[1]))
    if options.part:
        print(json.dumps(PARTS[options.part]()))
        return
    found: dict[str, object] = {"load": round(os.getloadavg()[0], 1), "parts": {}}
    for part in PARTS:
        command = [sys.executable, "-m", "bench.concurrency", "--part", part]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found["parts"][part] = figures = json.loads(done.stdout.splitlines()[-1])  # type: ignore[index]
        print(part, {name: round(value, 2) for name, value in figures.items()}, flush=True)
    CONCURRENCY.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
