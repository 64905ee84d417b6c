"""A million user ids, each part in a process of its own: ``python -m bench.ids calls|load|replace``.

``calls``: a user among 100 ids, among 1M in one list, and among 1M over 100 shards. ``load``: seconds and
memory until 1M ids serve. ``replace``: what another thread's reads take while one of 100 shards is replaced.
Prints JSON.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.peers import CONFIG, PARAMETERS, flag
from bench.timing import Line, interleaved, pin, returning

import windsock

FEW, MANY, SHARDS = 100, 1_000_000, 100
REPLACEMENTS = 30


def user_id(number: int) -> str:
    """A user id as Supabase makes them, a new object each time."""
    digits = f"{number * 0x9E3779B97F4A7C15 & (1 << 64) - 1:016x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-8{digits[13:16]}-{number:012x}"


def ids(count: int) -> list[str]:
    """The first `count` users."""
    return [user_id(number) for number in range(count)]


def profile(users: Iterable[str]) -> dict[str, object]:
    """A profile flag as the mirror writes it: these users have the one configuration."""
    assigned = {"if": [{"in": [{"var": "targetingKey"}, list(users)]}, CONFIG]}
    return flag({"none": {}, CONFIG: {"f3": 33}}, "none", assigned)


def boolean(users: Iterable[str]) -> dict[str, object]:
    """A boolean flag that is on for these users."""
    return flag(
        {"on": True, "off": False}, "off", {"if": [{"in": [{"var": "targetingKey"}, list(users)]}, "on"]}
    )


def shards(users: Sequence[str]) -> list[list[str]]:
    """The users by shard."""
    found: list[list[str]] = [[] for _ in range(SHARDS)]
    for user in users:
        found[int(hashlib.sha256(user.encode()).hexdigest()[:8], 16) % SHARDS].append(user)
    return found


def write(path: Path, flags: dict[str, object]) -> None:
    """Write a document as the mirror does: a temporary file, then a rename."""
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps({"flags": flags}))
    unfinished.replace(path)


def write_shards(folder: Path, name: str, users: Sequence[str]) -> None:
    """A profile flag over 100 files."""
    for number, members in enumerate(shards(users)):
        flags: dict[str, object] = {f"{name}.profile.{number}": profile(members)}
        if number == 0:
            flags[f"{name}.profile.shards"] = flag({"value": SHARDS}, "value")
        write(folder / f"{name}-{number:02}.flagd.json", flags)


def settings_class(name: str) -> type[windsock.Settings]:
    """Twenty typed parameters under one flag name."""
    from pydantic import create_model

    fields = {each: (int, value) for each, value in PARAMETERS.items()}
    return create_model(name, __base__=windsock.Settings, __cls_kwargs__={"flag": name}, **fields)


def measure_calls(folder: Path, rounds: int, seed: int) -> object:
    """Returning and fresh users, of a feature and of a settings class."""
    pin()
    many = ids(MANY)
    write(folder / "few.flagd.json", {"few": boolean(many[:FEW]), "small.profile": profile(many[:FEW])})
    write(folder / "many.flagd.json", {"many": boolean(many), "large.profile": profile(many)})
    write_shards(folder, "sharded", many)
    del many
    windsock.start(flags=folder)
    drawn = random.Random(seed)

    def fresh(of: int) -> Callable[[int], list[str]]:
        return lambda count: [user_id(drawn.randrange(of)) for _ in range(count)]

    again = returning([user_id(number) for number in range(FEW)])
    features = {
        "100 ids": windsock.feature("few", default=False),
        "1M ids": windsock.feature("many", default=False),
    }
    classes = {
        "100 ids": settings_class("small").for_user,
        "1M ids": settings_class("large").for_user,
        "1M ids in 100 shards": settings_class("sharded").for_user,
    }
    lines = []
    for work, calls in (("feature", features), ("for_user", classes)):
        for name, call in calls.items():
            size = FEW if name == "100 ids" else MANY
            lines.append(Line(f"{work}, returning user", name, call, again))
            lines.append(Line(f"{work}, fresh user", name, call, fresh(size)))
    for line in lines:
        if not _assigned(line.call(user_id(FEW - 1))) or _assigned(line.call("nobody")):
            raise SystemExit(f"{line.work} {line.name}: the wrong users are in the list")
    found = interleaved(lines, rounds)
    windsock.stop()
    return found


def _assigned(answer: object) -> bool:
    return answer if isinstance(answer, bool) else answer.f3 == 33  # type: ignore[attr-defined]


def measure_load(folder: Path) -> object:
    """One file of 1M ids, from disk to served; another process writes it, so that no id is in this one."""
    path = folder / "many.flagd.json"
    writing = f"from bench.ids import *; write(Path({str(path)!r}), {{'many': boolean(ids(MANY))}})"
    if os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", writing]):
        raise SystemExit("the file of ids could not be written")
    pin()
    warm = folder / "warm"
    warm.mkdir()
    write(warm / "warm.flagd.json", {"few": boolean(["a"])})
    windsock.start(flags=warm)
    windsock.stop()
    many = windsock.feature("many", default=False)
    before = _resident()
    began, began_cpu = time.perf_counter(), time.process_time()
    windsock.start(flags=path)
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    after = _resident()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if not many(user_id(MANY - 1)) or many("nobody"):
        raise SystemExit("the ids were not loaded")
    windsock.stop()
    return {
        "file_mb": round(path.stat().st_size / 1e6, 1),
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu, 3),
        "mb_above_before": round(after - before, 1),
        "peak_mb_above_before": round(peak - before, 1),
    }


def _resident() -> float:
    """Resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure_replace(folder: Path) -> object:
    """Replace shards one after another while this thread reads."""
    many = ids(MANY)
    write_shards(folder, "sharded", many)
    members = shards(many)
    del many
    settings = settings_class("sharded")
    windsock.start(flags=folder)
    done = threading.Event()

    def replace() -> None:
        for number in range(REPLACEMENTS):
            kept = {f"sharded.profile.{number + 1}": profile(members[number + 1][1:])}
            write(folder / f"sharded-{number + 1:02}.flagd.json", kept)
            time.sleep(0.05)
        done.set()

    quiet = _reads(settings, threading.Event(), 2.0)
    replacing = threading.Thread(target=replace)
    replacing.start()
    busy = _reads(settings, done, 60.0)
    replacing.join()
    time.sleep(0.5)
    if settings.for_user(members[REPLACEMENTS][0]).f3 != PARAMETERS["f3"]:  # type: ignore[attr-defined]
        raise SystemExit("the last replacement was not taken")
    windsock.stop()
    return {"replacements": REPLACEMENTS, "quiet": quiet, "replacing": busy}


def _reads(settings: type[windsock.Settings], done: threading.Event, seconds: float) -> dict[str, float]:
    """Milliseconds that reads took until `done`, or for so long."""
    users = [user_id(number) for number in range(1000)]
    taken: list[int] = []
    end = time.perf_counter() + seconds
    while not done.is_set() and time.perf_counter() < end:
        for user in users:
            began = time.perf_counter_ns()
            settings.for_user(user)
            taken.append(time.perf_counter_ns() - began)
        time.sleep(0.001)  # a service's thread waits for I/O now and then
    taken.sort()
    at = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    found = {name: round(taken[int(len(taken) * share)] / 1e6, 4) for name, share in at.items()}
    return {"reads": len(taken), **found, "max": round(taken[-1] / 1e6, 3)}


def main() -> None:
    """Measure one part and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["calls", "load", "replace"])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="windsock-bench-") as name:
        folder = Path(name)
        if options.part == "calls":
            found = measure_calls(folder, options.rounds, options.seed)
        else:
            found = measure_load(folder) if options.part == "load" else measure_replace(folder)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
