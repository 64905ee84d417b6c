"""What recording usage costs a request, with a sink that works, one that blocks, and one that is away.

    python bench/usage.py            # needs the extras `mirror` and `embedded`

Prints what stands in bench/results/usage.md: microseconds on the request's own thread, and the throughput of
the writer into PostgreSQL.
"""

import itertools
import json
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import windsock
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations
from windsock.usage import ExposureSink, Sink, Spool, UsageOptions, UsageRecord, UsageWriter
from windsock.usage.postgres import PostgresSink
from windsock.usage.request import Use, install, request

VALUES = {
    "retrieval_top_k": 25,
    "rerank_top_n": 5,
    "reasoning_model": "gpt-4o",
    "temperature": 0.2,
    "system_prompt": "You are a patient teacher." * 8,
}
USE = Use(
    "teacher",
    "v",
    "6f6b4b53-6b0a-4c39-a2f3-8d4f6dd0a9f0",
    "0123456789ab",
    "TARGETING_MATCH",
    "bench",
    "u1",
    VALUES,
)


class Given:
    def __init__(self, use: Use) -> None:
        self._use = use

    def use(self) -> Use:
        return self._use


class Blocked:
    def __init__(self) -> None:
        self.open = threading.Event()

    def write(self, rows: Sequence[UsageRecord]) -> None:  # noqa: ARG002 - the seam's
        self.open.wait()


class Away:
    def write(self, rows: Sequence[UsageRecord]) -> None:
        raise ConnectionError(f"away, with {len(rows)} rows")


class Plain(windsock.Settings, flag="plain"):
    temperature: float = 0.7


class Tested(windsock.Settings, flag="tested"):
    temperature: float = 0.7


def one_request() -> None:
    with request() as this:
        this.record(VIEW)


VIEW = Given(USE)


def per_call(call: Callable[[], None], seconds: float, pace: float) -> tuple[float, float, float]:
    """Time single calls at `pace` a second; gives the median, the 99th percentile and the longest, in µs."""
    taken = []
    end = time.perf_counter() + seconds
    for number in itertools.count():
        due = end - seconds + number / pace
        while (now := time.perf_counter()) < due:
            time.sleep(max(0.0, due - now - 0.0002))
        if now > end:
            break
        began = time.perf_counter_ns()
        call()
        taken.append(time.perf_counter_ns() - began)
    cuts = statistics.quantiles(taken, n=100)
    return statistics.median(taken) / 1000, cuts[98] / 1000, max(taken) / 1000


def measure(name: str, writer: UsageWriter | None) -> None:
    before = install(writer)
    median, p99, longest = per_call(one_request, seconds=8, pace=1000)
    install(before)
    health = writer.health() if writer else None
    counts = f"{health.written:,} | {health.spooled:,} | {health.dropped:,}" if health else "- | - | -"
    print(f"| {name} | {median:.0f} | {p99:.0f} | {longest:,.0f} | {counts} |", flush=True)


def throughput(name: str, sink: Sink, folder: Path, call: Callable[[int], None]) -> None:
    """Offer 10,000 requests a second for ten seconds, all of this process on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    writer = UsageWriter(sink, Spool(folder), UsageOptions())
    before = install(writer)
    count, pace = 100_000, 10_000
    cpu, began = time.process_time(), time.perf_counter()
    for number in range(count):
        call(number)
        if number % 100 == 0:
            time.sleep(max(0.0, began + number / pace - time.perf_counter()))
    sent = time.perf_counter() - began
    writer.flush(60)
    settled = time.perf_counter() - began
    each = (time.process_time() - cpu) / count * 1e6
    writer.stop()
    install(before)
    os.sched_setaffinity(0, cores)
    health = writer.health()
    print(
        f"| {name} | {sent:.1f} s | {settled:.1f} s | {each:.0f} µs |"
        f" {health.written:,} | {health.spooled:,} | {health.dropped:,} |",
        flush=True,
    )


def one_exposure(number: int) -> None:
    """A user who was not here before reads one field."""
    use = Use("teacher", "v", None, "0123456789ab", "SPLIT", "bench", f"u{number}", {"temperature": 0.2})
    with request() as this:
        this.record(Given(use))


def exposures(url: str, folder: Path) -> None:
    """What an experiment adds on the request's own thread: the median of 20,000 requests, without a pause.

    A request makes a view and reads the field that the arms set; with and without an experiment in turn.
    """
    writer = UsageWriter(PostgresSink(url), Spool(folder), UsageOptions(queue_size=1_000_000))
    arms = {"control": {}, "warm": {"temperature": 1.1}}
    flags = {
        "plain": {
            "variants": {"none": {}, **arms},
            "targeting": {"fractional": [["control", 1], ["warm", 1]]},
        },
        "tested": {
            "variants": {"none": {}, **arms},
            "targeting": {"fractional": [["control", 1], ["warm", 1]]},
            "metadata": {"experiment": "e", "version": 1, "fields": "temperature", "segments": "country"},
        },
    }
    del flags["plain"]["targeting"]
    document = {
        f"{name}.experiment": {"state": "ENABLED", "defaultVariant": "none", **flag}
        for name, flag in flags.items()
    }
    path = folder / "flags" / "bench.flagd.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"flags": document}))
    windsock.start(flags=path.parent, usage=writer)

    def took(settings: type[windsock.Settings], user: str) -> int:
        began = time.perf_counter_ns()
        with request():
            _ = settings.for_user(user, country="CH").temperature
        return time.perf_counter_ns() - began

    new = [f"new {number}" for number in range(20_000)]
    seen = ["seen"] * 20_000
    for label, users in (("a unit that was seen", seen), ("a new unit", new)):
        pairs = [(took(Plain, user), took(Tested, user)) for user in users]
        without, with_it = (statistics.median(times) / 1000 for times in zip(*pairs, strict=True))
        print(f"| {label} | {without:.1f} | {with_it:.1f} | {with_it - without:+.1f} |", flush=True)
    windsock.stop()


def main() -> None:
    print("# What recording usage costs\n\nBy `python bench/usage.py`.", end=" ")
    print(f"{os.cpu_count()} shared cores, load {os.getloadavg()[0]:.1f} before the run.", end=" ")
    print(f"CPython {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}.\n")
    with tempfile.TemporaryDirectory() as folder, embedded.start(Path(folder) / "postgres") as server:
        with connect(server.url) as connection:
            migrate(connection, read_migrations())
        print("A thousand requests a second; µs on the request's own thread.\n")
        print("| sink | median | p99 | longest | written | on disk | lost |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        measure("none", None)
        sinks = {
            "PostgreSQL": PostgresSink(server.url),
            "one that blocks": Blocked(),
            "one that is away": Away(),
        }
        for name, sink in sinks.items():
            writer = UsageWriter(sink, Spool(Path(folder) / name))
            measure(name, writer)
            if isinstance(sink, Blocked):
                sink.open.set()
            writer.stop()
        measure("none, again", None)
        print("\n100,000 requests offered at 10,000 a second into PostgreSQL; this process on one core.\n")
        print("| | sent after | settled after | CPU of each, all threads | written | on disk | lost |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        rows = PostgresSink(server.url)
        throughput("usage rows of five fields", rows, Path(folder) / "rows", lambda _: one_request())
        exposed = ExposureSink(PostgresSink(server.url))
        throughput("exposures, each of another user", exposed, Path(folder) / "exposures", one_exposure)
        print("\nAn experiment's exposure on the request's own thread, its split included; µs a request.\n")
        print("| | no experiment | experiment | difference |")
        print("|---|--:|--:|--:|")
        exposures(server.url, Path(folder) / "experiment")


if __name__ == "__main__":
    main()
