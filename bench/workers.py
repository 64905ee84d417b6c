"""Workers of one host on the files of a mirror: ``python -m bench.workers [--sizes 1000000,10000000]``.

The first worker of a host makes the indexes of the files' lists; each further one maps them, and shares their
pages with the others. One that is forked after the start, as gunicorn does with ``--preload``, shares the
rest too. Ten million assignments take 2 GB of disk and some minutes. Writes bench/results/workers.json, which
``python -m bench.page`` shows in docs/benchmarks.md.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.growth_costs import microseconds, resident, serving
from bench.ids import user_id
from bench.page import WORKERS

import windsock

USERS = 20_000

Figures = dict[str, float]


class Teacher(windsock.Settings, flag="teacher"):
    top_k: int = 0


def private() -> float:
    """Megabytes of this process that no other one shares: not the pages of mapped files, which all do."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")) / 1000


def forked(work: Callable[[], Figures]) -> Figures:
    """Do it in a child that is forked now."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, json.dumps(work()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        found: Figures = json.loads(said.read())
    os.waitpid(child, 0)
    return found


def replace(path: Path, old: int, new: int) -> None:
    """Change what a file's configuration says, as the mirror would."""
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(path.read_text().replace(f'{{"top_k": {old}}}', f'{{"top_k": {new}}}'))
    unfinished.replace(path)


def further(folder: Path, users: list[str], marked: str, began: float) -> Figures:
    """What a forked worker costs: at its first value, after many users, and after one file has changed."""
    Teacher.for_user(marked)
    figures = {"forked worker, first value (s)": time.perf_counter() - began}
    for user in users:
        Teacher.for_user(user)
    figures["forked worker, private memory (MB)"] = private()
    replace(folder / "000.flagd.json", 1, 2)
    while Teacher.for_user(marked).top_k != 2:
        time.sleep(0.001)
    figures["the same after a change (MB)"] = private()
    return figures


def first(folder: Path) -> Figures:
    """The worker that makes the indexes."""
    with serving(folder) as costs:
        return {
            "first start, which makes the indexes (s)": costs["start (s)"],
            "memory above the process (MB)": costs["memory (MB)"],
            "the same at its peak (MB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        }


def child(size: int, folder: Path) -> Figures:
    """A further worker: start, read, fork."""
    drawn = random.Random(1)
    users = [user_id(drawn.randrange(size)) for _ in range(31 * 2_000)]
    marked = (folder / "marked").read_text()
    before = private()
    with serving(folder) as costs:
        fresh = iter(users)
        figures = {
            "files (MB)": sum(path.stat().st_size for path in folder.glob("*.json")) / 1e6,
            "of a process without flags (MB)": before,
            "further worker, start (s)": costs["start (s)"],
            "further worker, memory above the process (MB)": costs["memory (MB)"],
            "a fresh user (µs)": microseconds(lambda: Teacher.for_user(next(fresh))),
        }
        figures["further worker, private memory after 62,000 users (MB)"] = private() - before
        figures["further worker, with all pages it shares (MB)"] = resident()
        began = time.perf_counter()
        return figures | forked(lambda: further(folder, users[:USERS], marked, began))


def measured(*arguments: str) -> Figures:
    """What a process of its own finds."""
    command = [sys.executable, "-m", "bench.workers", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Write the files of each size, measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000000,10000000")
    parser.add_argument("--first", help=argparse.SUPPRESS)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.first:
        print(json.dumps(first(Path(options.first))))
        return
    if options.child:
        print(json.dumps(child(int(options.child[0]), Path(options.child[1]))))
        return
    found: dict[str, object] = {"load": round(os.getloadavg()[0], 1), "sizes": {}}
    for size in options.sizes.split(","):
        with tempfile.TemporaryDirectory(prefix="windsock-workers-") as folder:
            writing = f"from bench.growth_costs import *; assigned({size}, Path({folder!r}))"
            subprocess.run([sys.executable, "-c", writing], check=True)
            figures = {**measured("--first", folder), **measured("--child", size, folder)}
        found["sizes"][size] = figures  # type: ignore[index]
        print(size, found["sizes"][size], flush=True)  # type: ignore[index]
    WORKERS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
