"""What it costs the mirror to keep values by unit in SQL: the time of a pass, and its memory.

    python -m bench.units [--units 1000,10000,100000] [--out FILE]

The units are campaigns of `examples/ad_learning`, with an ad account each, and the flag is the example's with
a rollout to 10 % of them, so that every tenth has a row of its own. Each number of units is measured in a
process of its own. Needs the extras `mirror` and `embedded`.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from examples.ad_learning.settings import Learning

from windsock.mirror.base_tables import BaseTables
from windsock.mirror.options import MirrorOptions
from windsock.mirror.postgres import connect as connect_mirror
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations

REPOSITORY = Path(__file__).parents[1]
COLUMNS = {
    "first": "first pass",
    "same": "nothing changed",
    "unit": "one new unit",
    "file": "10 % → 50 %",
    "rows": "rows then",
    "memory": "memory",
}


def rolled_out(path: Path, percent: int) -> None:
    """Write the example's flag with an eager variant for so many campaigns of a hundred."""
    document = json.loads((REPOSITORY / "flagd/learning.flagd.json").read_text())
    flag = document["flags"]["learning"]
    production = flag["variants"]["production"]
    eager = production["winner_detection"] | {"ctr_threshold": 0.01}
    flag["variants"]["eager"] = production | {"winner_detection": eager}
    flag["targeting"] = {"fractional": [["eager", percent], ["production", 100 - percent]]}
    path.write_text(json.dumps(document))


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def fill(connection: psycopg.Connection, count: int) -> None:
    migrate(connection, read_migrations())
    connection.execute("create table campaigns (id text primary key, account_id text)")
    connection.execute(
        "insert into campaigns select 'campaign ' || n, 'act_' || n %% 50 from generate_series(1, %s) as n",
        [count - 1],  # the last one comes later
    )
    connection.execute("analyze campaigns")


def measure(count: int) -> dict[str, float]:
    """Seconds of each kind of pass, the rows at the end, and the peak of memory in MB."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "flagd/learning.flagd.json"
        path.parent.mkdir()
        rolled_out(path, 10)
        with embedded.start(Path(scratch) / "postgres") as server, connect(server.url) as connection:
            fill(connection, count)
            options = MirrorOptions(
                url=server.url,
                folder=Path(scratch) / "mirror",
                flags=("learning",),
                settings=(Learning,),
                learning_config=("learning",),
                units=("learning:campaigns",),
                git_folder=path.parent,
            )
            tables, source = BaseTables(options), connect_mirror(server.url)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            found = {
                "first": seconds(lambda: tables.write(source)),
                "same": seconds(lambda: tables.write(source)),
            }
            connection.execute("insert into campaigns values ('another')")
            found["unit"] = seconds(lambda: tables.write(source))
            rolled_out(path, 50)
            found["file"] = seconds(lambda: tables.write(source))
            source.close()
            [(found["rows"],)] = connection.execute("select count(*) from learning_config_units").fetchall()
            found["memory"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return found


def table(found: dict[int, dict[str, float]]) -> str:
    def cell(name: str, value: float) -> str:
        if name == "rows":
            return f"{value:,.0f}"
        return f"{value:.0f} MB" if name == "memory" else f"{value:.2f} s"

    return "\n".join([
        f"| units | {' | '.join(COLUMNS.values())} |",
        f"|--:|{'--:|' * len(COLUMNS)}",
        *(
            f"| {count:,} | {' | '.join(cell(name, row[name]) for name in COLUMNS)} |"
            for count, row in found.items()
        ),
        "",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", default="1000,10000,100000")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    if chosen.one is not None:
        print(json.dumps(measure(chosen.one)))
        return
    load = os.getloadavg()[0]
    found = {}
    for count in map(int, chosen.units.split(",")):
        alone = [sys.executable, "-m", "bench.units", "--one", str(count)]
        found[count] = json.loads(subprocess.run(alone, check=True, stdout=subprocess.PIPE).stdout)
    text = (
        f"Measured on {time.strftime('%Y-%m-%d')}, {os.cpu_count()} shared cores, CPython "
        f"{platform.python_version()}; load average {load:.1f} before and {os.getloadavg()[0]:.1f} after. "
        "A rollout to every tenth of the units, then to half; memory is what the passes added to the process "
        "at their peak.\n\n" + table(found)
    )
    print(text)
    if chosen.out:
        chosen.out.write_text("# Values by unit\n\n" + text)


if __name__ == "__main__":
    main()
