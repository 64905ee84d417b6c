"""How each main cost grows with its size: ``python -m bench.growth [--only flags] [--largest 1000000]``.

Every size of every curve is measured in a process of its own. Writes bench/results/growth.json; ``python -m
bench.page`` makes the chart and the table of docs/benchmarks.md of it. Ten million assignments take 2 GB and
some minutes; ``--largest 1000000`` leaves them out. Needs the extras ``embedded`` and ``mirror``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import growth_costs
from bench.page import GROWTH

Costs = dict[str, float]
"""A cost's name with its unit, and what it was."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One thing that grows.

    Attributes:
        name: What grows.
        sizes: The sizes measured.
        measure: Gives the costs at a size; it may write into the folder.
    """

    name: str
    sizes: Sequence[int]
    measure: Callable[[int, Path], Costs]


CURVES = [
    Curve("assignments", (1_000, 10_000, 100_000, 1_000_000, 10_000_000), growth_costs.assignments),
    Curve("flags", (10, 100, 1_000, 10_000), growth_costs.flags),
    Curve("clauses of a rule", (1, 10, 100, 1_000, 10_000), growth_costs.clauses),
    Curve("settings classes", (1, 10, 100, 1_000), growth_costs.classes),
    Curve("users seen", (1_000, 10_000, 100_000, 1_000_000), growth_costs.users),
    Curve("rows of a log", (1_000, 10_000, 100_000, 1_000_000), growth_costs.log_rows),
]


def measured(curve: Curve, size: int) -> Costs:
    """The costs at one size, from a process of its own."""
    command = [sys.executable, "-m", "bench.growth", "--child", curve.name, str(size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    costs: Costs = json.loads(done.stdout.splitlines()[-1])
    return costs


def child(name: str, size: int) -> None:
    """Measure one size, and print it as JSON."""
    [curve] = [each for each in CURVES if each.name == name]
    with tempfile.TemporaryDirectory(prefix="windsock-growth-") as folder:
        print(json.dumps(curve.measure(size, Path(folder))))


def main() -> None:
    """Measure the curves, or some of them, and keep the others as they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[curve.name for curve in CURVES], action="append")
    parser.add_argument("--largest", type=int, default=10_000_000)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], int(options.child[1]))
        return
    found = json.loads(GROWTH.read_text()) if GROWTH.exists() else {}
    for curve in CURVES:
        if options.only and curve.name not in options.only:
            continue
        costs: dict[str, list[tuple[int, float]]] = {}
        for size in curve.sizes:
            if size > options.largest:
                continue
            for name, cost in measured(curve, size).items():
                costs.setdefault(name, []).append((size, cost))
                print(f"{curve.name}, {size:,}: {name} {cost:.4g}", flush=True)
        found[curve.name] = {"load": round(os.getloadavg()[0], 1), "costs": costs}
        GROWTH.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
