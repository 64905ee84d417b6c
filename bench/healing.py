"""What `heal` costs a call that goes well, and what the attribution of faults finds and does not find.

    python -m bench.healing           # the cost, and 1,000 null runs
    python -m bench.healing --full    # 10,000 null runs, as reported in docs/healing.md

The null runs: four profiles and a default that all fail alike, in services of different sizes, with a shared
outage of the provider in each. A run accuses if any profile ever reaches its threshold.
"""

import argparse
import random
import statistics
import tempfile
import timeit
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from tests.flagfiles import profile_flag, write_flags

import windsock
from windsock.healing.attribution import ALPHA, Evidence, Window, threshold

SHARES = (0.6, 0.1, 0.1, 0.1, 0.1)
"""The default's traffic, then that of four profiles."""


class Teacher(windsock.Settings, flag="teacher"):
    reasoning_model: str = "gpt-4o-mini"
    temperature: float = 0.7


def binomial(random_: random.Random, n: int, p: float) -> int:
    return sum(random_.random() < p for _ in range(n))


def traffic(random_: random.Random, size: int, rates: list[float]) -> Iterator[list[tuple[int, int]]]:
    """One list a window: calls and faults of the default and of each profile."""
    for rate in rates:
        counts = []
        for share in SHARES:
            calls = binomial(random_, size, share)
            counts.append((calls, binomial(random_, calls, rate)))
        yield counts


def rates_with_an_outage(random_: random.Random, windows: int) -> list[float]:
    quiet, outage = random_.uniform(0.001, 0.05), random_.uniform(0.5, 1.0)
    begins = random_.randrange(windows)
    return [outage if begins <= number < begins + 3 else quiet for number in range(windows)]


def accuses(random_: random.Random, size: int, windows: int = 60) -> bool:
    evidence = [Evidence()] * (len(SHARES) - 1)
    for counts in traffic(random_, size, rates_with_an_outage(random_, windows)):
        calls, faults = (sum(each) for each in zip(*counts, strict=True))
        for order, (n, k) in enumerate(counts[1:]):
            evidence[order] = evidence[order].after(Window(n, k, calls - n, faults - k))
            if evidence[order].log_e >= threshold(order + 1):
                return True
    return False


def requests_to_detect(random_: random.Random, size: int, quiet: float, rise: float) -> int:
    """The requests of a profile, 10 % of all, until its rise is found."""
    evidence, seen = Evidence(), 0
    while evidence.log_e < threshold(1):
        calls = binomial(random_, size, 0.1)
        others = size - calls
        seen += calls
        evidence = evidence.after(
            Window(calls, binomial(random_, calls, quiet + rise), others, binomial(random_, others, quiet))
        )
    return seen


def simulate(runs: int) -> None:
    random_ = random.Random(1)
    accused = sum(accuses(random_, random_.choice((3, 10, 30))) for _ in range(runs))
    share = f"{accused / runs:.2%}; level {ALPHA:.0%}"
    print(f"null runs with a shared outage: {accused} of {runs:,} accuse ({share})")
    for quiet in (0.001, 0.01, 0.05):
        found = [requests_to_detect(random_, 20, quiet, 0.2) for _ in range(400)]
        print(
            f"a rise by 20 points from {quiet:.1%}: found after {statistics.median(found):.0f} requests of"
            f" the profile (median; 90 % within {statistics.quantiles(found, n=10)[8]:.0f})"
        )


def bare(settings: Teacher) -> object:
    return settings.reasoning_model, settings.temperature


def cost() -> None:
    """Microseconds per call, the minimum of interleaved rounds: a fresh view, read bare and through heal."""
    number, rounds = 20_000, 15
    plain, healed = [], []
    for _ in range(rounds):
        plain.append(timeit.timeit(lambda: bare(Teacher.for_user("ann")), number=number))
        healed.append(timeit.timeit(lambda: windsock.heal(Teacher.for_user("ann"), bare), number=number))
    before, after = (min(times) / number * 1e6 for times in (plain, healed))
    print(f"bare {before:.2f} µs, healed {after:.2f} µs: heal() costs {after - before:.2f} µs")


def memory() -> None:
    """Bytes that a million healthy calls of a million users leave behind."""
    for number in range(20_000):
        windsock.heal(Teacher.for_user(f"warm-{number}"), bare)
    tracemalloc.start()
    for number in range(200_000):
        windsock.heal(Teacher.for_user(f"user-{number}"), bare)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"200,000 more users leave {kept / 1024:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    runs = 10_000 if parser.parse_args().full else 1_000
    with tempfile.TemporaryDirectory() as folder:
        settings = {"reasoning_model": "gpt-4o", "temperature": 0.2}
        flag = profile_flag({"a": settings}, {"ann": "a"})
        write_flags(Path(folder) / "test.flagd.json", {"teacher.profile": flag})
        windsock.start(flags=folder)
        cost()
        memory()
        windsock.stop()
    simulate(runs)


if __name__ == "__main__":
    main()
