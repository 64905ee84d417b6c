"""From a committed row to its value in a service: ``python -m bench.freshness``.

Two mirrors, each on a real PostgreSQL: 10,000 assignments in one file and 100,000 in 50 shards. A service on
the files reads one changed user after the other; then one statement gives everybody of the second another
configuration. Takes two minutes and writes bench/results/freshness.json, which ``python -m bench.page`` shows
in docs/benchmarks.md. Needs the extras `mirror`, `embedded` and `cli`.
"""

import json
import os
import re
import tempfile
import time
from pathlib import Path

from bench import mirror_services
from bench.mirror_parts import Bench, fill, mirror, wait_for
from bench.page import FRESHNESS

import windsock
from windsock.mirror.documents import Layout
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations

SIZES = ((10_000, 1), (100_000, 50))
SAMPLE = 1_000


class Teacher(windsock.Settings, flag="teacher"):
    retrieval_top_k: int = 0


def reassigned(bench: Bench) -> float:
    """Seconds from the commit of one statement that changes everybody until a sample of users sees it."""
    users = [user for user, _ in bench.some_users(SAMPLE)]
    windsock.start(flags=bench.folder.parent)
    try:
        bench.connection.execute("update profiles set config_id = %s", [bench.ids[0]])
        began = time.perf_counter()
        bench.connection.execute("update profiles set config_id = %s", [bench.ids[1]])
        committed = time.perf_counter()
        print(f"the statement itself took {committed - began:.2f} s")
        wait_for(lambda: all(Teacher.for_user(user).retrieval_top_k == 2 for user in users))
        return time.perf_counter() - committed
    finally:
        windsock.stop()


def one_size(url: str, users: int, shards: int, scratch: Path) -> dict[str, float]:
    """Milliseconds of single changes and, where there are shards, seconds of a reassignment."""
    layout = Layout(("teacher",), shards)
    folder = scratch / f"flagd-{users}" / "mirror"
    with connect(url) as connection:
        bench = Bench(connection, url, folder, layout, fill(connection, users))
        with mirror(url, folder, shards):
            wait_for(lambda: len(list(folder.glob("*.flagd.json"))) == shards)
            mirror_services.on_files(bench)
            spread = bench.figures["row committed → value in a service (p50 / p99)"]
            p50, p99 = map(float, re.findall(r"\d+", spread))
            figures = {"p50 (ms)": p50, "p99 (ms)": p99}
            if shards > 1:
                figures["all reassigned (s)"] = reassigned(bench)
    return figures


def main() -> None:
    """Measure, print, keep."""
    found: dict[str, object] = {"load": round(os.getloadavg()[0], 1), "sizes": {}}
    sizes: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch, embedded.start(Path(scratch) / "postgres") as server:
        with connect(server.url) as connection:
            migrate(connection, read_migrations())
        for users, shards in SIZES:
            name = f"{users:,} assignments in {shards} file{'s' if shards > 1 else ''}"
            sizes[name] = one_size(server.url, users, shards, Path(scratch))
            print(name, sizes[name], flush=True)
    FRESHNESS.write_text(json.dumps(found | {"sizes": sizes}, indent=1) + "\n")


if __name__ == "__main__":
    main()
