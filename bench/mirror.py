"""The mirror under 1k to 1M assignments: real PostgreSQL, files on disk, and a flagd server if there is one.

    python -m bench.mirror [--sizes 1000,1000000] [--load-seconds 60] [--out bench/results/mirror.md]

All of it takes about eleven minutes. FLAGD_BIN names a flagd binary; without it its row is missing. The
mirror runs as a process of its own, so that its memory is its own. Needs the extras `mirror`, `embedded`,
`flagd` and `cli`.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

from bench import mirror_load, mirror_services
from bench.mirror_parts import Bench, fill, memory, mirror, spread, variant_in, wait_for

from windsock.mirror.documents import MAX_SHARDS, Layout
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations

CHANGES = 200
FLAGD_USERS_MAX = 1_000_000  # beyond it a flagd server needs gigabytes: bench/flagd_limits.py
STEADY = "steady, resident"
ASKED = {  # of a million assignments
    "first load, with the process's start": "5 s",
    "first load, resident at most": "120 MB",
    "row committed → value in a service (p50 / p99)": "60 / 250 ms",
    "row committed → value by RPC from flagd (p50 / p99)": "p99 1000 ms",
    "bytes written per change": "2 %",
    STEADY: "80 MB",
    "load: changes a second": "1000 for 60 s",
    "load: stale documents at the end": "0",
}


def shards_for(users: int) -> int:
    return 1 if users <= 10_000 else min(MAX_SHARDS, users // 10_000)


def single_changes(bench: Bench) -> None:
    took, size = [], []
    for user, config_before in bench.some_users(CHANGES):
        path, config = bench.path(user), bench.another(config_before)
        before = path.stat().st_mtime_ns
        bench.assign(user, config)
        began = time.perf_counter()
        wait_for(lambda path=path, before=before: path.stat().st_mtime_ns != before)
        took.append(time.perf_counter() - began)
        size.append(path.stat().st_size)
        assert variant_in(path, user) == config
        time.sleep(0.02)
    total = sum((bench.folder / name).stat().st_size for name in bench.layout.file_names)
    bench.figures["row committed → file (p50 / p99)"] = spread(took)
    bench.figures["bytes written per change"] = f"{statistics.mean(size) / total:.1%} of {total / 1e6:.1f} MB"


def one_size(url: str, users: int, scratch: Path, load_seconds: float) -> Bench:
    layout = Layout(("teacher",), shards_for(users))
    folder = scratch / f"flagd-{users}" / "mirror"
    with connect(url) as connection:
        bench = Bench(connection, url, folder, layout, fill(connection, users))
        began = time.perf_counter()
        with mirror(url, folder, layout.shards) as process:
            wait_for(lambda: len(list(folder.glob("*.flagd.json"))) == layout.shards, seconds=900)
            bench.figures["first load, with the process's start"] = f"{time.perf_counter() - began:.1f} s"
            time.sleep(1)
            bench.figures["first load, resident at most"] = f"{memory(process.pid, 'VmHWM'):.0f} MB"
            single_changes(bench)
            mirror_services.on_files(bench)
            if users <= FLAGD_USERS_MAX:
                mirror_services.by_rpc(bench)
            bench.figures[STEADY] = f"{memory(process.pid, 'VmRSS'):.0f} MB"
            if load_seconds:
                mirror_load.under_load(bench, load_seconds)
    return bench


def report(benches: dict[int, Bench], triggers: dict[str, str], loads: tuple[float, float]) -> str:
    rows = list(dict.fromkeys(key for bench in benches.values() for key in bench.figures))
    machine = f"{os.cpu_count()} shared cores, CPython {platform.python_version()}"
    steady = [float(bench.figures[STEADY].split()[0]) for bench in benches.values()]
    lines = [
        f"Measured on {time.strftime('%Y-%m-%d')}, {machine}.",
        f"Load average {loads[0]:.1f} before and {loads[1]:.1f} after; the benchmark itself makes about 2.",
        "The embedded PostgreSQL runs with fsync off, the documents are written with it.",
        "",
        "| | asked of 1M | "
        + " | ".join(f"{users:,} in {bench.layout.shards}" for users, bench in benches.items())
        + " |",
        "|---|" + "--:|" * (len(benches) + 1),
    ]
    for row in rows:
        figures = [bench.figures.get(row, "") for bench in benches.values()]
        lines.append(f"| {' | '.join([row, ASKED.get(row, ''), *figures])} |")
    lines += [
        "",
        f"Steady, resident: {steady[-1] / steady[0]:.2f} times, smallest size to largest (asked 1.2).",
        "",
        "The application's writes:",
        "",
        "| | |",
        "|---|--:|",
    ]
    lines += [f"| {key} | {value} |" for key, value in triggers.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument(
        "--load-seconds", type=float, default=60.0, help="of the largest size; the others get a third"
    )
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    sizes = [int(size) for size in chosen.sizes.split(",")]
    load_before, began = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, embedded.start(Path(scratch) / "postgres") as server:
        with connect(server.url) as connection:
            connection.execute("alter system set fsync = off")
            connection.execute("select pg_reload_conf()")
            migrate(connection, read_migrations())
        benches = {}
        for size in sizes:
            seconds = chosen.load_seconds / (1 if size == max(sizes) else 3)
            benches[size] = one_size(server.url, size, Path(scratch), seconds)
            print(f"{time.monotonic() - began:.0f} s: {size:,} {benches[size].figures}", flush=True)
        triggers = mirror_load.trigger_cost(server.url)
    text = report(benches, triggers, (load_before, os.getloadavg()[0]))
    print(text)
    if chosen.out:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text("# What the mirror does\n\n" + text)


if __name__ == "__main__":
    main()
