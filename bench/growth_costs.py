"""The costs that `bench.growth` measures at each size: seconds, microseconds, megabytes."""

import gc
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.ids import profile, user_id, write
from bench.peers import CONFIG, flag

import windsock

Costs = dict[str, float]

SHARDS_MAX = 100
TIMES = 7


def resident() -> float:
    """Resident memory of this process, in MB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, once."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def microseconds(call: Callable[[], object], times: int = 2_000, rounds: int = 30) -> float:
    """The least of several rounds, in microseconds a call."""

    def once() -> float:
        began = time.perf_counter_ns()
        for _ in range(times):
            call()
        return (time.perf_counter_ns() - began) / times / 1_000

    return min(once() for _ in range(rounds))


@contextmanager
def serving(folder: Path) -> Iterator[Costs]:
    """Start on a folder, after one start that is not counted; gives the cost of it."""
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    os.environ.setdefault("WINDSOCK_FOLDER", str(folder / "own"))
    write(empty / "empty.flagd.json", {"empty": flag({"on": True}, "on")})
    windsock.start(flags=empty)
    windsock.stop()
    before = resident()
    took = seconds(lambda: windsock.start(flags=folder))
    try:
        yield {"start (s)": took, "memory (MB)": max(0.1, resident() - before)}
    finally:
        windsock.stop()


def uncollected_start(folder: Path) -> float:
    """The seconds of a start while Python's garbage collector is off."""
    gc.disable()
    try:
        return seconds(lambda: windsock.start(flags=folder))
    finally:
        gc.enable()
        windsock.stop()


def assigned(size: int, folder: Path) -> None:
    """Write users with a profile into as many files as the mirror would."""
    count = min(SHARDS_MAX, max(1, size // 10_000))
    shards: list[list[str]] = [[] for _ in range(count)]
    for number in range(size):
        user = user_id(number)
        shards[int(hashlib.sha256(user.encode()).hexdigest()[:8], 16) % count].append(user)
    for number, members in enumerate(shards):
        name = f"teacher.profile.{number}" if count > 1 else "teacher.profile"
        made = {name: {**profile(members), "variants": {"none": {}, CONFIG: {"top_k": 1}}}}
        if count > 1 and not number:
            made["teacher.profile.shards"] = flag({"value": count}, "value")
        write(folder / f"{number:03}.flagd.json", made)
        if not number:
            (folder / "marked").write_text(members[0])


def assignments(size: int, folder: Path) -> Costs:
    """Users with a profile; another process writes them, so that no id is in this one."""
    writing = f"from bench.growth_costs import *; assigned({size}, Path({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", writing], check=True)

    class Teacher(windsock.Settings, flag="teacher"):
        top_k: int = 0

    first, marked, drawn = folder / "000.flagd.json", (folder / "marked").read_text(), random.Random(1)

    def publish(value: int) -> None:
        text, old = first.read_text(), json.dumps({"top_k": value - 1})
        unfinished = first.with_suffix(".tmp")
        unfinished.write_text(text.replace(old, json.dumps({"top_k": value})))
        unfinished.replace(first)

    with serving(folder) as costs:
        fresh = iter([user_id(drawn.randrange(size)) for _ in range(31 * 2_000)])
        costs["a fresh user (µs)"] = microseconds(lambda: Teacher.for_user(next(fresh)))
        costs["a changed file → value (s)"] = published(publish, lambda: Teacher.for_user(marked).top_k)
    return costs


def published(publish: Callable[[int], None], value: Callable[[], object]) -> float:
    """The median of the seconds from a file's replacement to its value, which is 1 before, then 2, 3, …"""
    took = []
    for number in range(2, 2 + TIMES):
        publish(number)
        began = time.perf_counter()
        while value() != number:
            time.sleep(0.001)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def flags(size: int, folder: Path) -> Costs:
    """Flags with a rule each, in one file."""
    rule = {"if": [{"==": [{"var": "tier"}, "pro"]}, "on", "off"]}

    def publish(value: int) -> None:
        made = {f"flag-{number}": flag({"on": True, "off": False}, "off", rule) for number in range(size)}
        write(folder / "all.flagd.json", {**made, "number": flag({"it": value}, "it")})

    publish(1)
    last = windsock.feature(f"flag-{size - 1}", default=False)
    number = windsock.feature("number", default=0)
    with serving(folder) as costs:
        costs["a call (µs)"] = microseconds(lambda: last("ann", tier="pro"))
        costs["a changed file → value (s)"] = published(publish, number)
    costs["start, garbage collector off (s)"] = uncollected_start(folder)
    return costs


def clauses(size: int, folder: Path) -> Costs:
    """Clauses of one rule, the last true: on one attribute, as profiles have them, and on one each."""
    variants = {"on": True, "off": False}
    users: list[object] = []
    different: list[object] = []
    for number in range(size):
        users += [{"in": [{"var": "targetingKey"}, [user_id(number)]]}, "on"]
        different += [{">": [{"var": f"n{number}"}, 10]}, "on"]
    write(
        folder / "all.flagd.json",
        {
            "users": flag(variants, "off", {"if": [*users, "off"]}),
            "different": flag(variants, "off", {"if": [*different, "off"]}),
        },
    )
    by_user, by_each = windsock.feature("users", default=False), windsock.feature("different", default=False)
    last, attributes = user_id(size - 1), {f"n{size - 1}": 11}
    with serving(folder) as costs:
        if not by_user(last) or not by_each(last, **attributes):
            raise SystemExit("the wrong clause was true")
        costs["on one attribute, a call (µs)"] = microseconds(lambda: by_user(last))
        times = max(20, 20_000 // size)
        costs["on an attribute each, a call (µs)"] = microseconds(lambda: by_each(last, **attributes), times)
    costs["start, garbage collector off (s)"] = uncollected_start(folder)
    return costs


def classes(size: int, folder: Path) -> Costs:
    """Settings classes of twenty fields, each with a base flag of its own."""
    from pydantic import create_model

    fields = {f"p{number}": (int, number) for number in range(20)}

    def declare() -> list[type[windsock.Settings]]:
        return [
            create_model(f"C{n}", __base__=windsock.Settings, __cls_kwargs__={"flag": f"class-{n}"}, **fields)
            for n in range(size)
        ]

    write(folder / "all.flagd.json", {f"class-{n}": flag({"on": {"p1": 2}}, "on") for n in range(size)})
    declared: list[type[windsock.Settings]] = []
    took = seconds(lambda: declared.extend(declare()))
    with serving(folder) as costs:
        costs["declaring all (s)"] = took
        costs["the first call of all (s)"] = seconds(lambda: [each.for_user("ann") for each in declared])
        costs["a call (µs)"] = microseconds(lambda: declared[-1].for_user("ann"))
    return costs


def users(size: int, folder: Path) -> Costs:
    """Different users asked for one after the other, each with a name of its own."""
    rule = {"if": [{"in": [{"var": "targetingKey"}, [user_id(number) for number in range(1_000)]]}, CONFIG]}
    write(
        folder / "all.flagd.json", {"teacher.profile": flag({"none": {}, CONFIG: {"top_k": 1}}, "none", rule)}
    )

    class Teacher(windsock.Settings, flag="teacher"):
        top_k: int = 0

    with serving(folder):
        Teacher.for_user("first")
        before = resident()
        for number in range(size):
            Teacher.for_user(user_id(number))
        costs = {"memory kept (MB)": max(0.1, resident() - before)}
        costs["a call (µs)"] = microseconds(lambda: Teacher.for_user("ann"))
    return costs


def log_rows(size: int, folder: Path) -> Costs:
    """Rows of the mirror's change log that were read long ago, and rows of usage."""
    import psycopg

    from windsock.mirror.postgres import connect as mirror_source
    from windsock.postgres import embedded
    from windsock.postgres.migrations import connect, migrate, read_migrations
    from windsock.usage.reading import Selection, read

    def one(connection: psycopg.Connection, statement: str, *values: object) -> None:
        connection.execute(statement, list(values) or None)

    with embedded.start(folder / "postgres") as server, connect(server.url) as connection:
        migrate(connection, read_migrations())
        user = str(uuid.uuid4())
        one(
            connection,
            "insert into public.app_configurations (name, settings) values ('a', '{}'), ('b', '{}')",
        )
        one(connection, "insert into public.profiles (id) values (%s)", user)
        one(connection, LOGGED, size)
        one(connection, USED, size)
        one(connection, "vacuum analyze windsock.assignment_history")
        one(connection, "vacuum analyze public.usage_logs")
        source, writes, reads = mirror_source(server.url), [], []
        for turn in range(60):
            with source.read() as reading:
                since = reading.cursor
            writes.append(seconds(partial(one, connection, ASSIGN, "ab"[turn % 2], user)))
            reads.append(seconds(partial(source.changes, since)))
        source.close()
        pages = [seconds(lambda: read(connection, Selection(limit=20))) for _ in range(20)]
        of_one = [seconds(lambda: read(connection, Selection(users=["u7"], limit=20))) for _ in range(20)]
    return {
        "a logged write (s)": min(writes),
        "the mirror reads one change (s)": min(reads),
        "the newest 20 of usage (s)": min(pages),
        "the newest 20 of one user (s)": min(of_one),
    }


ASSIGN = """
update public.profiles set config_id = (select id from public.app_configurations where name = %s)
where id = %s
"""

LOGGED = """
insert into windsock.assignment_history (user_id)
select gen_random_uuid()::text from generate_series(1, %s)
"""

USED = """
insert into public.usage_logs (id, requested_at, user_id, environment, flag)
select gen_random_uuid(), now() - n * interval '1 second', 'u' || n %% 1000, 'test', 'teacher'
from generate_series(1, %s) n
"""
