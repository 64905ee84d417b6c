"""Whether the next message uses what was just committed, and how fast the mirror is back after an outage.

    python -m bench.next_message [--messages 30] [--outages 1,5,20] [--repeat 4] [--out FILE]

The mirror runs as a process of its own, and this process is the service: it reads the mirror's files as any
other does. A message is sent so many milliseconds after COMMIT; it counts if its settings have the new value.
Needs the extras `mirror`, `embedded` and `cli`.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from bench.mirror_parts import fill, mirror, percentile, wait_for
from pydantic import Field

import windsock
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations

DELAYS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Seconds between the commit and the message."""

CHANGE = (
    "update app_configurations set settings = jsonb_build_object('retrieval_top_k', %s::int) where id = %s"
)


class Teacher(windsock.Settings, flag="teacher"):
    retrieval_top_k: int = Field(10, ge=1)


def messages(
    connection: psycopg.Connection, config: str, user: str, count: int
) -> tuple[dict[float, int], list[float]]:
    """How many of the messages had the new value, by their delay, and when the first evaluation had it."""
    had, took, value = {}, [], 1000
    for delay in DELAYS:
        had[delay] = 0
        for _ in range(count):
            value += 1
            connection.execute(CHANGE, [value, config])
            began = time.perf_counter()
            time.sleep(delay)
            had[delay] += Teacher.for_user(user).retrieval_top_k == value
            wait_for(lambda value=value: Teacher.for_user(user).retrieval_top_k == value)
            took.append(time.perf_counter() - began)
            time.sleep(0.05)
    return had, took[:count]  # those of the first delay, 0


def outage(folder: Path, config: str, user: str, seconds: float, value: int) -> float:
    """Commit as soon as a stopped server is back, and give the seconds until a service has the row."""
    if (folder / "postmaster.pid").exists():
        raise SystemExit("the server still runs: this is no outage")
    time.sleep(seconds)
    with embedded.start(folder) as server:
        began = time.perf_counter()
        with connect(server.url) as connection:
            connection.execute(CHANGE, [value, config])
        wait_for(lambda: Teacher.for_user(user).retrieval_top_k == value)
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=30)
    parser.add_argument("--outages", default="1,5,20")
    parser.add_argument("--repeat", type=int, default=4)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        data, flags = Path(scratch) / "postgres", Path(scratch) / "flagd"
        server = embedded.start(data)
        with connect(server.url) as connection:
            migrate(connection, read_migrations())
            config = fill(connection, 1000)[0]
            [(user,)] = connection.execute(
                "select id::text from profiles where config_id = %s limit 1", [config]
            ).fetchall()
        with mirror(server.url, flags / "mirror", 1):
            wait_for((flags / "mirror/profiles.flagd.json").exists)
            with windsock.start(flags=flags, usage=False):
                wait_for(lambda: Teacher.for_user(user).retrieval_top_k != 10)
                with connect(server.url) as connection:
                    had, took = messages(connection, config, user, chosen.messages)
                server.stop()
                returned, value = {}, 5000
                for seconds in map(float, chosen.outages.split(",")):
                    returned[seconds] = []
                    for _ in range(chosen.repeat):
                        value += 1
                        returned[seconds].append(outage(data, config, user, seconds, value))
    text = report(Found(chosen.messages, had, took, returned, (load, os.getloadavg()[0])))
    print(text)
    if chosen.out:
        chosen.out.write_text("# The next message\n\n" + text)


@dataclass(frozen=True)
class Found:
    """What was measured: messages with the new value by delay, seconds to it, and seconds after an outage."""

    count: int
    had: dict[float, int]
    took: list[float]
    returned: dict[float, list[float]]
    loads: tuple[float, float]


def report(found: Found) -> str:
    had, took, returned, count, loads = found.had, found.took, found.returned, found.count, found.loads
    every = [each for times in returned.values() for each in times]
    return "\n".join([
        (f"Measured on {time.strftime('%Y-%m-%d')}, {os.cpu_count()} shared cores, CPython "
        f"{platform.python_version()}; load average {loads[0]:.1f} before and {loads[1]:.1f} after."),
        "",
        f"A message sent after COMMIT, {count} for each delay:",
        "",
        "| milliseconds after COMMIT | had the new value |",
        "|--:|--:|",
        *(f"| {delay * 1000:g} | {number} of {count} |" for delay, number in had.items()),
        "",
        (f"From COMMIT to the first evaluation that has it: p50 {statistics.median(took) * 1000:.0f} ms, "
        f"p99 {percentile(took, 0.99) * 1000:.0f} ms."),
        "",
        "From the database's return to a service that has what was committed then:",
        "",
        "| outage | median | slowest |",
        "|--:|--:|--:|",
        *(
            f"| {seconds:g} s | {statistics.median(times):.2f} s | {max(times):.2f} s |"
            for seconds, times in returned.items()
        ),
        f"| all | {statistics.median(every):.2f} s | {max(every):.2f} s |",
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
