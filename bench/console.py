"""How long each page of the console takes with a million assignments, and how large it is.

    python -m bench.console [--users 1000000] [--rounds 15] [--out bench/results/console.md]

Rows are made from a seed: profiles of very different sizes, a month of usage, an audit of ten thousand
changes and two hundred flags in Git. The mirror writes the assignments to a hundred files, and `windsock
serve` answers as a process of its own, over HTTP. Needs the extras `api`, `mirror`, `embedded` and `cli`.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import psutil
import psycopg
from pydantic import Field

import windsock
from windsock.api import Role, create_token
from windsock.flagfiles.formatting import formatted
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations

SEED = 0.20261128
PROFILES, CHANGES, USAGE, FLAGS, SHARDS = 500, 10_000, 100_000, 200, 100
ASKED_MS, ASKED_BYTES = 100, 100_000
WINDSOCK = [sys.executable, "-c", "from windsock.cli import main; main()"]


class Tuned(windsock.Settings, flag="teacher"):
    """How the teacher answers."""

    temperature: float = Field(0.7, ge=0, le=2, description="How freely it speaks.")
    top_k: int = Field(10, ge=1, le=200, description="Passages that are looked up.")
    model: str = "small"
    greeting: str = "Hello"


@dataclass
class Timed:
    """One page: milliseconds of the first request and of later ones, processor time of those, bytes."""

    first: float
    later: list[float]
    worked: float
    size: int


ROWS = f"""
select setseed({SEED});
truncate profiles, app_configurations, usage_logs, windsock.profile_changes cascade;
insert into app_configurations (id, name, settings)
select md5('profile ' || n)::uuid, 'profile ' || n,
    jsonb_build_object('temperature', (n % 20) / 10.0, 'top_k', 1 + n % 200)
from generate_series(1, {PROFILES}) n;
insert into profiles (id, config_id)
select md5('user ' || n)::uuid, md5('profile ' || (1 + floor({PROFILES} * random() ^ 3))::int)::uuid
from generate_series(1, :users) n;
insert into usage_logs (id, requested_at, user_id, request_id, environment, flag, variant, config_id,
    revision, reason, "values", healed, latency_ms, input_tokens, output_tokens, cost, status, answered_model)
select md5('request ' || n)::uuid, now() - random() * interval '30 days',
    md5('user ' || (1 + n % :users))::uuid::text, 'r' || n, 'production', 'teacher', 'production',
    md5('profile ' || (1 + floor({PROFILES} * random() ^ 3))::int)::uuid, '5f3c2a1b9d0e', 'TARGETING_MATCH',
    '{{"temperature": 0.5, "top_k": 10}}', '[]', 200 + 900 * random(), 300 + n % 70, 80 + n % 50, 0.0021,
    case when n % 41 = 0 then 'error' else 'ok' end, 'model-' || n % 3
from generate_series(1, {USAGE}) n;
insert into windsock.profile_changes (action, profile, before, after, actor)
select 'edit', 'profile ' || 1 + n % {PROFILES}, '{{"settings": {{"temperature": 1}}}}',
    '{{"settings": {{"temperature": 0.9}}}}', 'ann'
from generate_series(1, {CHANGES}) n;
truncate windsock.change_log;
"""


def fill(connection: psycopg.Connection, users: int) -> None:
    for statement in filter(str.strip, ROWS.split(";\n")):
        connection.execute(statement.replace(":users", str(users)))
    connection.execute("vacuum analyze")


def repository(folder: Path) -> None:
    """Two hundred flags and a history."""
    flags = {
        f"flag_{number:03}": {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "off",
            "targeting": {"fractional": [["on", number % 100], ["off", 100 - number % 100]]},
            "metadata": {"owner": f"team {number % 7}"},
        }
        for number in range(FLAGS)
    }
    base = {
        "state": "ENABLED",
        "variants": {"production": {"temperature": 0.5}},
        "defaultVariant": "production",
    }
    (folder / "flagd").mkdir()
    (folder / ".gitignore").write_text("flagd/mirror\npostgres\n")
    document = {
        "flags": {"teacher": base | {"metadata": {"owner": "teaching"}}, **flags},
        "metadata": {"bucketing": "v2"},
    }
    git(folder, "init", "-q", "-b", "main")
    for commit in range(20):
        flags["flag_000"]["metadata"]["owner"] = f"team {commit}"
        file = folder / "flagd" / "teacher.flagd.json"
        file.write_bytes(formatted(json.dumps(document).encode(), str(file)))
        git(folder, "add", "flagd")
        git(folder, "commit", "-q", "--allow-empty", "-m", f"Change {commit}")


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True)


@contextmanager
def console(folder: Path, url: str) -> Iterator[tuple[str, int]]:
    """`windsock serve`; gives its address and its process."""
    environment = os.environ | {
        "DATABASE_URL": url,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
    }
    command = [*WINDSOCK, "serve", "bench.console:Tuned", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split()[0], process.pid
        finally:
            process.terminate()


def pages(connection: psycopg.Connection) -> dict[str, tuple[str, dict[str, str] | None]]:
    """Every page by what it is: its address, and the form that is sent there."""
    user, profile = connection.execute(
        "select p.id::text, c.name from profiles p join app_configurations c on c.id = p.config_id"
        " where c.name = 'profile 1' limit 1"
    ).fetchone()
    (request,) = connection.execute("select id from usage_logs order by requested_at desc limit 1").fetchone()
    (change,) = connection.execute("select max(id) from windsock.profile_changes").fetchone()
    edited = {"name": profile, "flag": "teacher", "active": "1", "f:temperature": "1.5"}
    base = {"flag": "teacher", "variant": "production", "f:temperature": "0.4"}
    return {
        "Home": ("/", None),
        "Settings": ("/settings?flag=teacher", None),
        "People": ("/people", None),
        "People, a search": (f"/people?q={user[:3]}", None),
        "A user": (f"/user?id={user}", None),
        "A user, the plan to assign": ("/user/plan", {"id": user, "profile": "profile 2"}),
        "A profile": (f"/profile?name={profile}", None),
        "A profile with few users": (f"/profile?name=profile {PROFILES}", None),
        "A profile's form": (f"/profile/edit?name={profile}", None),
        "A profile's plan": ("/profile/plan", edited),
        "Base values, the form": ("/base?flag=teacher", None),
        "Base values, the plan": ("/base/plan", base),
        "Flags": ("/flags", None),
        "A flag": ("/flag?key=flag_000&user=ada", None),
        "Experiments": ("/experiments", None),
        "Usage, a day": ("/usage", None),
        "Usage, a month": ("/usage?span=month", None),
        "A request": (f"/request?id={request}", None),
        "Quarantine": ("/quarantine", None),
        "Changes": ("/changes", None),
        "Changes, page 100": ("/changes?page=100", None),
        "A change": (f"/change?id={change}", None),
    }


def work(server: int, postmaster: int) -> float:
    """Milliseconds of processor time that the console and all of PostgreSQL have used so far."""
    database = psutil.Process(postmaster)
    ended = database.cpu_times()
    spent = ended.children_user + ended.children_system
    for process in (psutil.Process(server), database, *database.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            spent += sum(process.cpu_times()[:2])
    return 1e3 * spent


def timed(http: httpx.Client, address: str, form: dict[str, str] | None) -> tuple[float, int]:
    began = time.perf_counter()
    with http.stream("POST" if form else "GET", address, data=form) as answer:
        next(chunks := answer.iter_bytes(), b"")
        took = 1e3 * (time.perf_counter() - began)
        size = answer.num_bytes_downloaded
        for _ in chunks:
            size = answer.num_bytes_downloaded
    if answer.status_code != 200:
        raise SystemExit(f"{address}: {answer.status_code}")
    return took, size


def measure(
    address: str,
    token: str,
    asked: dict[str, tuple[str, dict[str, str] | None]],
    rounds: int,
    worked: Callable[[], float],
) -> dict[str, Timed]:
    found: dict[str, Timed] = {}
    with httpx.Client(base_url=address, timeout=60) as http:
        time.sleep(1)  # nobody brings a token faster
        http.post("/sign-in", data={"token": token})
        key = re.search('name="form_key" value="([^"]+)"', http.get("/nowhere").text)[1]
        forms = {name: (path, form and {**form, "form_key": key}) for name, (path, form) in asked.items()}
        for name, (path, form) in forms.items():
            time.sleep(1 if form else 0)  # nobody fills in a form faster
            took, size = timed(http, path, form)
            found[name] = Timed(took, [], 0.0, size)
        for name, (path, form) in forms.items():
            before = worked()
            answers = [timed(http, path, form) for _ in range(rounds)]
            found[name].worked = (worked() - before) / rounds
            found[name].later = [took for took, _ in answers]
            found[name].size = max(found[name].size, *(size for _, size in answers))
    return found


def report(found: dict[str, Timed], users: int, load: float) -> str:
    heading = f"""# The console with {users:,} assignments

Asked: the first answer within {ASKED_MS} ms on two cores, no page above {ASKED_BYTES // 1000} kB.
Seed {SEED}; {PROFILES} profiles, {USAGE:,} requests in 30 days, {CHANGES:,} changes, {FLAGS} flags.
Milliseconds until the first byte, over HTTP; processor time is that of the console and PostgreSQL together,
which other work on the machine changes little. A person signs in a second after the start, and a form is sent
a second after it was opened.
{os.cpu_count()} cores, Python {platform.python_version()}; load average before: {load:.1f}.

| page | first request | later, median | later, worst | processor time | kB |
|---|--:|--:|--:|--:|--:|"""
    lines = [heading]
    for name, each in found.items():
        median, worst = statistics.median(each.later), max(each.later)
        cells = (f"{each.first:.0f}", f"{median:.0f}", f"{worst:.0f}", f"{each.worked:.0f}")
        lines.append(f"| {name} | {' | '.join(cells)} | {each.size / 1000:.1f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--scratch", type=Path, help="A folder with the database, kept for the next run.")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        scratch = options.scratch or Path(fresh)
        scratch.mkdir(exist_ok=True)
        with embedded.start(scratch / "postgres") as server, connect(server.url) as connection:
            migrate(connection, read_migrations())
            if connection.execute("select count(*) from profiles").fetchone() != (options.users,):
                fill(connection, options.users)
            if not (scratch / "flagd").exists():
                repository(scratch)
                once = ["mirror", "once", "--flag", "teacher", "--shards", str(SHARDS)]
                subprocess.run(
                    [*WINDSOCK, *once], cwd=scratch, env=os.environ | {"DATABASE_URL": server.url}, check=True
                )
            connection.execute("delete from windsock.api_tokens")
            token = create_token(connection, "bench", Role.ADMIN)
            load = os.getloadavg()[0]
            postmaster = int((scratch / "postgres" / "postmaster.pid").read_text().split()[0])
            with console(scratch, server.url) as (address, process):
                worked = partial(work, process, postmaster)
                found = measure(address, token, pages(connection), options.rounds, worked)
    text = report(found, options.users, load)
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
