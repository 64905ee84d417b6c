"""What recording usage costs a request, with a sink that works, one that blocks, and one that is away.

    python bench/usage.py            # needs the extras `mirror` and `embedded`

Prints nanoseconds per request on the request's own thread, and the throughput of the writer into PostgreSQL.
"""

import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from windsock import embedded, exposures
from windsock.exposures import Use, request
from windsock.migrations import connect, find_folder, migrate, read_migrations
from windsock.usage import Spool, UsageOptions, UsageRecord, UsageWriter
from windsock.usage.postgres import PostgresSink

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


class View:
    def use(self) -> Use:
        return USE


class Blocked:
    def __init__(self) -> None:
        self.open = threading.Event()

    def write(self, rows: Sequence[UsageRecord]) -> None:  # noqa: ARG002 - the seam's
        self.open.wait()


class Away:
    def write(self, rows: Sequence[UsageRecord]) -> None:
        raise ConnectionError(f"away, with {len(rows)} rows")


def one_request() -> None:
    with request() as this:
        this.record(VIEW)


VIEW = View()


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
    before = exposures.install(writer)
    median, p99, longest = per_call(one_request, seconds=8, pace=1000)
    exposures.install(before)
    print(f"{name:<34} {median:8.1f} {p99:10.1f} {longest:10.1f}", end="")
    if writer is None:
        print()
        return
    health = writer.health()
    print(f"   written {health.written}, on disk {health.spooled}, lost {health.dropped}")


def throughput(url: str, folder: Path) -> None:
    writer = UsageWriter(PostgresSink(url), Spool(folder), UsageOptions())
    before = exposures.install(writer)
    count, pace = 100_000, 10_000
    cpu, began = time.process_time(), time.perf_counter()
    for number in range(count):
        one_request()
        if number % 100 == 0:
            time.sleep(max(0.0, began + number / pace - time.perf_counter()))
    sent = time.perf_counter() - began
    writer.flush(60)
    stored = time.perf_counter() - began
    writer.stop()
    exposures.install(before)
    health = writer.health()
    print(
        f"\n{count:,} requests offered at {pace:,}/s: sent in {sent:.1f} s, settled after {stored:.1f} s, "
        f"{(time.process_time() - cpu) / stored:.0%} of a core in this process; "
        f"written {health.written:,}, on disk {health.spooled:,}, lost {health.dropped:,}"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, embedded.start(Path(folder) / "postgres") as server:
        with connect(server.url) as connection:
            migrate(connection, read_migrations(find_folder()))
        print(f"{'1,000 requests a second, µs each':<34} {'median':>8} {'p99':>10} {'longest':>10}")
        measure("no writer", None)
        sinks = {
            "PostgreSQL": PostgresSink(server.url),
            "a sink that blocks": Blocked(),
            "a sink that is away": Away(),
        }
        for name, sink in sinks.items():
            writer = UsageWriter(sink, Spool(Path(folder) / name))
            measure(name, writer)
            if isinstance(sink, Blocked):
                sink.open.set()
            writer.stop()
        throughput(server.url, Path(folder) / "throughput")


if __name__ == "__main__":
    main()
