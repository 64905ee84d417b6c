"""The parts of docs/benchmarks.md on size and concurrency, each from its result; see `bench.page`."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.growth_chart import amount, table_rows

Found = dict[str, Any]
Row = list[str]

RESULTS = Path(__file__).parent / "results"

_ASKED = """## Asked and found

The figures that windsock was to reach, beside what the tables below found on this shared machine.

"""

_RECORDED = (
    "the record names the fields used, so each first read calls a Python function that finds the value and "
    "remembers it; `bench.reads` measures an empty function in its place too. A compiled descriptor "
    "(propcache's) took five sixths of ours a read on a busy machine, since keeping the value costs as much"
)
_TWO_FLAGS = "what surrounds the call, in Python, is the rest"
_VALUE = "row committed → value in a service (p50 / p99)"
_FILE_FIRST = "at a load of {load} the file alone took {p50:,.0f} and {p99:,.0f} ms; its ids are then indexed"
_FILE = "row committed → file (p50 / p99)"
_STARTED = "measured at a load of {load}"
_MISSES = (
    "without a list a call takes 1.5 µs; the hash for the shard takes 0.5, the lookup in the index 0.9, and "
    "memory that isn't in the processor's cache nearly 1. marisa-trie takes twice the lookup's time; "
    "CPython's private SHA-256 would save about 0.15"
)
_WRITES_LEAST = 0.8
_SECOND_ROW = (
    "a logged change is one more row with two indexes, behind a savepoint, and the mirror shares both cores"
)
_TEN_MILLION = "mirror_ten_million.md"

_GROWTH = """## What grows with size

`python -m bench.growth` measures each cost at each size in a process of its own. A panel shows costs as
multiples of their least size; the dashed line is what grows as the size does. The slope is the exponent
of the larger half: 0 is flat, 1 is linear. {loads}

```{{image}} _static/growth.svg
:alt: A panel for what grows, with logarithmic axes and a line for each cost; the table has the same values
:width: 100%
```

"""

_GROWTH_AFTER = """
Loading grows with what is loaded; Python's garbage collector, which walks the objects that are there while
more are made, adds to that and is why ten thousand flags cost more than ten times a thousand. A rule whose
clauses ask for an attribute each is tried clause by clause, as in every evaluator, and costs a little more
than that once its ten thousand closures no longer fit the processor's cache; clauses on one attribute, as
profiles have them, are one lookup. The ids of large files are in an index, so assignments cost a process next
to nothing, as do users seen and rows of a log.

"""

_CONCURRENCY = """## Threads, tasks, many classes

`python -m bench.concurrency`. A call is `for_user` with four reads. {python} runs one thread at a
time, so threads share what one alone does. In a request, two calls of one task. The free-threaded build
of CPython 3.14 was not measured: it could not be had where this ran. The machine's load was {load}, on
two cores.

"""

_MIRROR = """## The mirror

`python -m bench.mirror`: the mirror on a real PostgreSQL, a service on its files, and a flagd server on them.
A flagd server parses a rule at each evaluation, so its latency and its memory grow with the users of a file,
and it can watch about 100 files. Where that is too slow, services in Python read the files themselves; for
other languages assign by rule or by attribute, which needs no list: see [how to assign](assigning.md).

"""

_FLAGD = """## Where a flagd server stops

`FLAGD_BIN=flagd python -m bench.flagd_limits`: the files of a mirror, 100 of them, behind a flagd server
0.16.1, asked over HTTP for one user after the other. The machine's load was {load}, on two cores.

"""

_FLAGD_AFTER = """
An evaluation reads the whole rule, so its time grows with the users of a file, and 100 files are the most
that flagd can watch. At a million assignments it answers in milliseconds; at ten million an evaluation takes
58 ms. Beyond a million, let services in Python read the files themselves, which costs them microseconds. For
other languages assign by attribute or by rule, which needs no list: see [how to assign](assigning.md).

"""

_WORKERS = """## Ten million assignments

`python -m bench.workers`: a service on the files of a mirror, 100 of them. The first worker
makes an index of each file's lists ([large files](providers.md#large-files)); a further worker maps them, and
shares their pages with all others. One that is forked after `windsock.start`, as gunicorn does with
`--preload`, shares the rest as well. Pages of the index come into memory as users ask, and the system can
drop them. The machine's load was {load}, on two cores.

"""

_MIRROR_OF_TEN_MILLION = """
`python -m bench.mirror --sizes 10000000 --load-seconds 0 --out bench/results/mirror_ten_million.md`: the
mirror itself, and a service on its files. The machine's load was {load}, on two cores.

"""

_WORKERS_AFTER = """
The memory of a million ids in a list, further above, was measured before there was an index.

"""

_WRITES = """## The application's own writes

`python -m bench.writes`: one changed assignment a transaction, with the triggers and without. Asked were
0.8 of the throughput without them.

"""

_WRITES_AFTER = """
A changed assignment writes one more row, its history, which the mirror follows. The disk of this machine
answers so fast that both cores are busy, and what counts is processor time: for the update alone a backend
takes 30 µs, with the triggers 65. About 10 of these 35 go into the row and its two indexes, 8 into the
savepoint that keeps a failure of ours from the application's statement, 8 into comparing old rows with new, 5
into the call with its transition tables, and 9 into the check that refuses Supabase's request roles (each the
least of seven rounds, measured once on busy cores). A trigger for each row would compare for nothing, but
calls a function, with a savepoint, for each row of a large statement. No row at all would need a column and
an index in the application's own table.
"""


_LARGE_SETS = """## Sets of 10 and 40 MB

`python -m bench.large_sets`: one profile flag with lists of user ids beside a string that is changed, in a
file or in the stream of a gRPC server. {measured}

"""

_LARGE_SETS_AFTER = """
windsock's files start and change more slowly than the stock provider's, because each new document's ids are
indexed once a host, and they take less memory for it. The stream has no index, so it holds all ids; the
stock stream takes no message above 4 MiB.

"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A figure that was asked of windsock.

    Attributes:
        what: What was measured.
        most: The most that was asked.
        found: What was measured.
        unit: Of both.
        reason: Why it was missed, if it was.
    """

    what: str
    most: float
    found: float
    unit: str
    reason: str = ""

    def row(self) -> Row:
        """What, asked, found, and whether that is reached."""
        said = "reached" if self.found <= self.most else f"missed: {self.reason}" if self.reason else "missed"
        return [self.what, f"≤ {self.most:g} {self.unit}", f"{amount(self.found, self.unit)}", said]


def asked(reads: Found) -> str:
    """Every figure that was asked, beside what was found."""
    of_ten_million = (*_asked_of_ten_million(), *_asked_of_the_mirror())
    figures = (*_asked_of_reads(reads), _asked_of_remote(), *_asked_of_freshness(), *of_ten_million)
    rows = [*(each.row() for each in figures), *_asked_of_writes()]
    return _ASKED + table(["", "asked", "found", ""], rows) + "\n"


def _asked_of_reads(reads: Found) -> Iterable[Asked]:
    limits = {
        "outside a request": (1.8, 2.5, ""),
        "inside a request": (2.2, 4, ""),
        "inside a request that is recorded": (2.2, 4, _RECORDED),
    }
    for place, (four, twenty, reason) in limits.items():
        for count, most in (("4", four), ("20", twenty)):
            found = reads[place][count]["min"] / 1_000
            yield Asked(f"`for_user` and {count} reads, {place}", most, found, "µs", reason)


def _asked_of_remote() -> Asked:
    found = json.loads((RESULTS / "remote.json").read_text())
    ratio = found["settings"] / found["one call"]
    return Asked("a settings object of a new user over flagd RPC, of one call", 1.2, ratio, "×", _TWO_FLAGS)


def _asked_of_freshness() -> Iterable[Asked]:
    """A committed row, or one statement that changes all rows, until a service has the values."""
    limits = {"p50 (ms)": 30, "p99 (ms)": 150, "all reassigned (s)": 1.5}
    found = json.loads((RESULTS / "freshness.json").read_text())
    for size, figures in found["sizes"].items():
        for name, value in figures.items():
            what = _bare(name) if name.startswith("all") else f"row committed → value, {_bare(name)}"
            unit = name.rpartition("(")[2].rstrip(")")
            reason = f"beside other work, a load of {found['load']} on two cores"
            yield Asked(f"{size}: {what}", limits[name], value, unit, reason)


def _asked_of_ten_million() -> Iterable[Asked]:
    found = json.loads((RESULTS / "workers.json").read_text())
    size, worker = list(found["sizes"].items())[-1]
    for what, most, name, reason in (
        ("memory of a worker, at its peak", 400, "the same at its peak (MB)", ""),
        ("memory of a further worker", 30, "further worker, private memory after 62,000 users (MB)", ""),
        ("start of a further worker", 1, "further worker, start (s)", _STARTED.format(load=found["load"])),
        ("a fresh user", 3, "a fresh user (µs)", _MISSES),
    ):
        yield Asked(
            f"{int(size):,} assignments: {what}",
            most,
            worker[name],
            name.rpartition("(")[2].rstrip(")"),
            reason,
        )


def _asked_of_the_mirror() -> Iterable[Asked]:
    found, load = _mirror_of_ten_million()
    p50, p99 = _numbers(found[_FILE])
    file_first = _FILE_FIRST.format(load=load, p50=p50, p99=p99)
    for what, most, row, place, unit, reason in (
        ("first load of the mirror", 40, "first load, with the process's start", 0, "s", ""),
        ("memory of the mirror", 200, "first load, resident at most", 0, "MB", ""),
        ("row committed → value, p50", 80, _VALUE, 0, "ms", file_first),
        ("row committed → value, p99", 300, _VALUE, 1, "ms", file_first),
    ):
        yield Asked(f"10,000,000 assignments: {what}", most, _numbers(found[row])[place], unit, reason)


def _numbers(figures: str) -> list[float]:
    """The numbers of a cell, without what follows a colon."""
    return [float(each) for each in re.findall(r"\d+(?:\.\d+)?", figures.partition(":")[0])]


def _asked_of_writes() -> Iterable[Row]:
    durable = _tables("writes.md")[0].splitlines()
    with_mirror = next(line for line in durable if line.startswith("| triggers and a mirror"))
    for clients, ratio in zip((1, 4, 16, 64), re.findall(r"\(([\d.]+) ×\)", with_mirror), strict=True):
        what = f"changes a second by {clients} clients beside a mirror, of without triggers"
        said = "reached" if float(ratio) >= _WRITES_LEAST else f"missed: {_SECOND_ROW}"
        yield [what, f"≥ {_WRITES_LEAST} ×", f"{ratio} ×", said]


def growth() -> str:
    """The chart and its table."""
    found = json.loads((RESULTS / "growth.json").read_text())
    loads = sorted(curve["load"] for curve in found.values())
    said = f"The machine's load was {loads[0]} to {loads[-1]} meanwhile, on two cores."
    rows = table_rows(found)
    return (
        _GROWTH.format(loads=said)
        + table(["what grows", "cost", "least", "most", "slope"], rows)
        + _GROWTH_AFTER
    )


def concurrency(python: str) -> str:
    """Threads, tasks, classes, and a mirror that publishes."""
    found = json.loads((RESULTS / "concurrency.json").read_text())
    rows = [
        [part, ", ".join(f"{_bare(name)} {_amount(name, value)}" for name, value in figures.items())]
        for part, figures in found["parts"].items()
    ]
    return _CONCURRENCY.format(python=python, load=found["load"]) + table(["", "measured"], rows) + "\n"


def mirror() -> str:
    """What the mirror does up to a million assignments."""
    return _MIRROR + _tables("mirror.md")[0] + "\n"


def flagd() -> str:
    """A flagd server, by the number of assignments."""
    load = json.loads((RESULTS / "flagd_limits.json").read_text())["load"]
    return _FLAGD.format(load=load) + _by_size("flagd_limits.json") + _FLAGD_AFTER


def large_sets() -> str:
    """Whole sets, beside the stock providers."""
    measured = (RESULTS / "large_sets.md").read_text().split("\n\n")[1]
    return _LARGE_SETS.format(measured=measured) + _tables("large_sets.md")[0] + _LARGE_SETS_AFTER


def workers() -> str:
    """Workers of one host, by the number of assignments."""
    load = json.loads((RESULTS / "workers.json").read_text())["load"]
    found, mirror_load = _mirror_of_ten_million()
    of_mirror = _MIRROR_OF_TEN_MILLION.format(load=mirror_load) + table(
        ["", _rows_of_ten_million()[0][-1]], map(list, found.items())
    )
    return _WORKERS.format(load=load) + _by_size("workers.json") + of_mirror + _WORKERS_AFTER


def _mirror_of_ten_million() -> tuple[dict[str, str], str]:
    """What was found of the mirror, without the column of what was asked of a million, and the load."""
    _, *rows = _rows_of_ten_million()
    [loads] = re.findall(r"Load average (\S+) before and (\S+) after", (RESULTS / _TEN_MILLION).read_text())
    return {row[0]: row[-1] for row in rows}, " to ".join(sorted(loads, key=float))


def _rows_of_ten_million() -> list[Row]:
    """The cells of the first table, its head first."""
    head, _, *lines = _tables(_TEN_MILLION)[0].splitlines()
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in (head, *lines)]


def writes() -> str:
    """What triggers cost."""
    return _WRITES + "\n".join(_tables("writes.md")) + _WRITES_AFTER


def _tables(name: str) -> list[str]:
    """The tables of a result that is Markdown."""
    blocks = (RESULTS / name).read_text().split("\n\n")
    return [f"{block.strip()}\n" for block in blocks if block.startswith("|")]


def _by_size(name: str) -> str:
    sizes = json.loads((RESULTS / name).read_text())["sizes"]
    names = list(next(iter(sizes.values())))
    rows = [[_bare(each), *(_amount(each, figures[each]) for figures in sizes.values())] for each in names]
    return table(["", *(f"{int(size):,}" for size in sizes)], rows)


def _bare(name: str) -> str:
    """The name of a figure without its unit."""
    return name.partition(" (")[0]


def _amount(name: str, value: float) -> str:
    return amount(value, name.rpartition("(")[2].rstrip(")")) if "(" in name else f"{value:,.0f}"


def table(head: Row, rows: Iterable[Row]) -> str:
    """A Markdown table whose numbers are at the right."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
