"""What the mirror takes for units that have values of their own in SQL, and how soon a new one has them.

    python -m bench.units [--units 1000,100000] [--out FILE]

Half of the units differ from the base. Needs the extras `mirror` and `embedded`.
"""

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

import psycopg

import windsock
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, find_folder, migrate, read_migrations

HAS = "select value = '0.01' from learning_config_units where unit = %s"


class Bids(windsock.Settings, flag="bids"):
    threshold: float = 0.03


def flags(folder: Path) -> Path:
    """A flag that gives half of the units another threshold."""
    split = {"if": [{"==": [{"var": "late"}, True]}, "low", {"fractional": [["low", 50], ["base", 50]]}]}
    flag = {
        "state": "ENABLED",
        "variants": {"base": {}, "low": {"threshold": 0.01}},
        "defaultVariant": "base",
        "targeting": split,
    }
    folder.mkdir()
    (folder / "bids.flagd.json").write_text(json.dumps({"flags": {"bids": flag}}))
    return folder


def mirror_of(url: str, scratch: Path) -> Mirror:
    return Mirror(
        MirrorOptions(
            url=url,
            folder=scratch / "mirror",
            flags=("bids",),
            settings=(Bids,),
            learning_config=("bids",),
            units=("bids:units",),
            git_folder=scratch / "flagd",
        )
    )


def new_units(connection: psycopg.Connection, count: int) -> list[float]:
    """Seconds from the commit of a new unit until SQL has its values."""
    took = []
    for number in range(count):
        unit = f"new {number}"
        connection.execute("insert into units values (%s, true)", [unit])
        began = time.perf_counter()
        while connection.execute(HAS, [unit]).fetchone() != (True,):
            time.sleep(0.02)
        took.append(time.perf_counter() - began)
    return took


def measure(url: str, scratch: Path, units: int) -> str:
    """One line of the table: the first writing, a look without a change, and a new unit."""
    with connect(url) as connection:
        connection.execute("truncate units, learning_config_units")
        connection.execute(
            "insert into units select 'unit ' || n, false from generate_series(1, %s) as n", [units - 10]
        )
        began = time.perf_counter()
        mirror_of(url, scratch).once()
        first = time.perf_counter() - began
        began = time.perf_counter()
        mirror_of(url, scratch).once()
        again = time.perf_counter() - began
        stop = threading.Event()
        thread = threading.Thread(target=mirror_of(url, scratch).watch, args=[stop])
        thread.start()
        took = new_units(connection, 10)
        stop.set()
        thread.join()
    return f"| {units:,} | {first:.2f} | {again:.2f} | {statistics.median(took):.1f} | {max(took):.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", default="1000,100000")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name, embedded.start(Path(name) / "postgres") as server:
        flags(Path(name) / "flagd")
        with connect(server.url) as connection:
            migrate(connection, read_migrations(find_folder()))
            connection.execute("create table units (id text primary key, late boolean)")
        rows = [measure(server.url, Path(name), int(each)) for each in chosen.units.split(",")]
    text = "\n".join([
        "# Values of units in SQL",
        "",
        (f"Measured on {time.strftime('%Y-%m-%d')}, {os.cpu_count()} shared cores; load {load:.1f} before "
         f"and {os.getloadavg()[0]:.1f} after. Half of the units differ from the base; seconds."),
        "",
        "| units | first writing | nothing changed | a new unit has its values, median | slowest of 10 |",
        "|--:|--:|--:|--:|--:|",
        *rows,
        "",
    ])  # fmt: skip
    print(text)
    if chosen.out:
        chosen.out.write_text(text)


if __name__ == "__main__":
    main()
