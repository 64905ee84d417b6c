"""A flagd server on the files of a mirror: ``python -m bench.flagd_limits [--sizes 1000000,3000000]``.

How much memory it takes, how long an evaluation takes, and how long until a changed file is served. FLAGD_BIN
names the server. Writes bench/results/flagd_limits.json, which ``python -m bench.page`` shows.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.ids import user_id
from bench.mirror_parts import memory, percentile
from bench.page import FLAGD_LIMITS
from bench.workers import replace
from tests import flagd_server

from windsock.flag_names import shard_of

QUESTIONS = 200
CHANGES = 5
flagd_server.SECONDS = 900.0

Figures = dict[str, float]


def measured(size: int, folder: Path) -> Figures:
    """The figures at one size."""
    files = sorted(folder.glob("*.flagd.json"))
    began = time.perf_counter()
    with flagd_server.FlagdServer(*files) as flagd:
        started = time.perf_counter() - began
        drawn, took = random.Random(1), []

        def value_of(user: str) -> object:
            key = f"teacher.profile.{shard_of(user, len(files))}"
            return flagd.evaluate(key, {"targetingKey": user})["value"]

        for _ in range(QUESTIONS):
            user = user_id(drawn.randrange(size))
            began = time.perf_counter()
            if value_of(user) != {"top_k": 1}:
                raise SystemExit(f"flagd has another value for {user}")
            took.append(time.perf_counter() - began)
        marked, changed = (folder / "marked").read_text(), []
        for value in range(2, 2 + CHANGES):
            replace(files[0], value - 1, value)
            began = time.perf_counter()
            while value_of(marked) != {"top_k": value}:
                time.sleep(0.001)
            changed.append(time.perf_counter() - began)
        return {
            "start (s)": started,
            "resident (MB)": memory(flagd.process_id, "VmRSS"),
            "resident at most (MB)": memory(flagd.process_id, "VmHWM"),
            "an evaluation, p50 (s)": statistics.median(took),
            "an evaluation, p99 (s)": percentile(took, 0.99),
            "a changed file → value (s)": statistics.median(changed),
        }


def main() -> None:
    """Write the files of each size, measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000000,3000000,10000000")
    options = parser.parse_args()
    found: dict[str, object] = {"load": round(os.getloadavg()[0], 1), "sizes": {}}
    for size in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="windsock-flagd-") as folder:
            writing = f"from bench.growth_costs import *; assigned({size}, Path({folder!r}))"
            subprocess.run([sys.executable, "-c", writing], check=True)
            found["sizes"][size] = measured(size, Path(folder))  # type: ignore[index]
        print(size, found["sizes"][size], flush=True)  # type: ignore[index]
    FLAGD_LIMITS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
