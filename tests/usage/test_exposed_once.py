"""One row per unit and arm with the earliest time, whoever writes it: processes, forks, a kill, late replays."""

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from tests.flagfiles import object_flag, write_flags
from tests.usage.emptying import kept
from tests.waiting import eventually

from windsock.usage import Spool, UsageOptions, UsageWriter
from windsock.usage.postgres import PostgresSink

pytestmark = pytest.mark.slow

UNITS, INTERVAL = 120, 0.3
NOWHERE = "host=/nonexistent dbname=none"
SERVICE = """
import os, sys, random, time
from datetime import UTC, datetime
from pathlib import Path
import windsock
from tests.usage.emptying import SayingWriter
from windsock.usage import Spool, UsageOptions
from windsock.usage.postgres import PostgresSink

class Teacher(windsock.Settings, flag="teacher"):
    temperature: float = 0.7

flags, url, folder, seed, forks, rounds, interval, units = sys.argv[1:]
options = UsageOptions(flush_interval=float(interval))
windsock.start(flags=flags, usage=SayingWriter(PostgresSink(url), Spool(Path(folder)), options))

def serve(seed):
    users = [f"u{number}" for number in range(int(units))]
    for _ in range(int(rounds)):
        random.Random(seed).shuffle(users)
        for user in users:
            before = datetime.now(UTC).isoformat()
            with windsock.request():
                warm = Teacher.for_user(user).temperature == 1.1
            after = datetime.now(UTC).isoformat()
            os.write(1, f"{user} {'warm' if warm else 'control'} {before} {after}\\n".encode())
            time.sleep(0.001)

serve(int(seed))  # before the fork too: a child has its parent's units behind it
children = []
for number in range(int(forks)):
    child = os.fork()
    if not child:
        serve(int(seed) + 1 + number)
        windsock.stop()
        os._exit(0)
    children.append(child)
serve(int(seed) + 100)
windsock.stop()
sys.exit(max((os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), default=0))
"""


@dataclass(frozen=True)
class Read:
    """A unit that read its arm, between two times."""

    unit: str
    arm: str
    before: datetime
    after: datetime

    @classmethod
    def of(cls, line: str) -> "Read":
        unit, arm, before, after = line.split()
        return cls(unit, arm, datetime.fromisoformat(before), datetime.fromisoformat(after))


@pytest.fixture
def service(tmp_path):
    """Start the service as a process of its own."""
    started = []

    def start(url, spool, seed, *, forks=0, rounds=1, flags="flagd") -> subprocess.Popen:
        words = [tmp_path / flags, url, spool, seed, forks, rounds, INTERVAL, UNITS]
        process = subprocess.Popen(
            [sys.executable, "-c", SERVICE, *map(str, words)],
            env={**os.environ, "PYTHONPATH": "."},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def flags(tmp_path) -> None:
    """Two sets of flags: an even split, and, as a faulty deployment might serve, everybody in one arm."""
    said = {"experiment": "warmth", "version": 3, "allocation.control": 0.5, "allocation.warm": 0.5}
    arms = {"none": {}, "control": {}, "warm": {"temperature": 1.1}}
    for folder, split in (
        ("flagd", [["control", 1], ["warm", 1]]),
        ("faulty", [["control", 0], ["warm", 1]]),
    ):
        flag = object_flag(arms, "none", {"fractional": split}, **said)
        (tmp_path / folder).mkdir()
        write_flags(tmp_path / folder / "teacher.flagd.json", {"teacher.experiment": flag})


def read(process: subprocess.Popen) -> list[Read]:
    lines, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return reads_in(lines.splitlines())


def reads_in(lines: list[str]) -> list[Read]:
    return [Read.of(line) for line in lines if line.count(" ") == 3]


def killed(victim: subprocess.Popen) -> tuple[list[Read], list[Read]]:
    """Kill a service in the middle of its requests: what it read, and what of that is surely kept."""
    lines: list[str] = []
    while len(reads_in(lines)) < 4 * UNITS or not reads_in(kept(lines)):
        lines.append(victim.stdout.readline())
    victim.kill()
    lines += victim.communicate()[0].splitlines(keepends=True)
    return reads_in(lines), reads_in(kept(lines))


@pytest.fixture
def replay(database, make_pending):
    """Bring what waits in a spool into the database, as the next service that starts there does."""

    def run(folder: Path) -> None:
        writer = UsageWriter(PostgresSink(database), Spool(folder), UsageOptions(flush_interval=INTERVAL))
        writer.put(make_pending())
        eventually(lambda: not Spool(folder).waiting())
        writer.stop()
        assert (writer.health().refused, writer.health().dropped) == (0, 0)

    return run


def first_reads(reads: list[Read]) -> dict[tuple[str, str], tuple[datetime, datetime]]:
    """Between which times each unit first read each arm."""
    found: defaultdict[tuple[str, str], list[Read]] = defaultdict(list)
    for each in reads:
        found[each.unit, each.arm].append(each)
    return {key: (min(r.before for r in rs), min(r.after for r in rs)) for key, rs in found.items()}


def stored(url: str) -> dict[tuple[str, str], datetime]:
    """The only row of each unit and arm."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select experiment, version, environment, unit, arm, first_exposed_at from windsock.exposures"
        ).fetchall()
    assert {row[:3] for row in rows} == {("warmth", 3, "production")}
    assert len({row[3:5] for row in rows}) == len(rows)
    return {row[3:5]: row[5] for row in rows}


def check(url: str, reads: list[Read]) -> None:
    """Nothing is lost, nothing is there twice, and each time is the earliest."""
    expected, found = first_reads(reads), stored(url)
    assert found.keys() == expected.keys()
    wrong = {
        key: (low, found[key], high) for key, (low, high) in expected.items() if not low <= found[key] <= high
    }
    assert wrong == {}


def test_processes_forks_a_kill_and_late_replays_leave_one_row_with_the_earliest_time(
    database, flags, service, replay, tmp_path
) -> None:
    early, shared = tmp_path / "early", tmp_path / "shared"
    # 1. The database is away: everything that this service's processes read stays in their spool.
    away = read(service(NOWHERE, early, 1, forks=2))
    assert len(away) == 4 * UNITS
    shutil.copytree(early, tmp_path / "copy")
    # 2. Two services and their forked workers at once, one of them with faulty flags, share another spool.
    both = [service(database, shared, 10, forks=2), service(database, shared, 20, forks=2, flags="faulty")]
    # 3. Another is killed in the middle of its requests.
    victim = service(database, shared, 30, rounds=100)
    theirs, sure = killed(victim)
    reads = [each for process in both for each in read(process)]
    crossed = {unit for unit, arm in first_reads(reads) if arm == "control"}
    assert 0.3 * UNITS < len(crossed) < 0.7 * UNITS
    replay(shared)
    # What the victim had surely kept is stored, and the others read all of it too.
    found, expected = stored(database), first_reads(reads)
    unsure = first_reads(reads + theirs)
    known = first_reads(reads + sure)
    assert found.keys() == expected.keys()
    for key in expected:
        assert unsure[key][0] <= found[key] <= known[key][1], key
    # 4. The early spool comes late: the earlier times count, and no row is added.
    later = found
    replay(early)
    check(database, [*away, *reads])
    found = stored(database)
    assert found.keys() == later.keys()
    moved = {key for key in found if found[key] < later[key]}
    assert moved == {(each.unit, each.arm) for each in away}
    # 5. It comes again, whole, and changes nothing.
    shutil.rmtree(early)
    shutil.copytree(tmp_path / "copy", early)
    replay(early)
    assert stored(database) == found


def test_a_service_replays_what_a_killed_one_left(database, flags, service, replay, tmp_path) -> None:
    """Nobody has to do anything: the next start brings it, though the killed process never stopped its writer."""
    spool = tmp_path / "spool"
    victim = service(NOWHERE, spool, 1, rounds=100)
    _, sure = killed(victim)
    reads = read(service(database, spool, 2))
    replay(spool)  # its stop may have come before it had replayed everything
    found, expected = stored(database), first_reads([*reads, *sure])
    assert found.keys() == expected.keys()
    assert all(found[key] <= high for key, (_, high) in expected.items())
    assert {key for key in found if found[key] < first_reads(reads)[key][0]} >= {
        (each.unit, each.arm) for each in sure
    }
