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
    "the record says which fields were used, so each first read calls Python, a quarter of a microsecond"
)
_SHARDS = "a file of 100,000 users is read anew"
_COPIES = "a worker that starts by itself has its own copy of the ids"
_MISSES = "the set of a shard isn't in the processor's cache"

_GROWTH = """## What grows with size

`python -m bench.growth` measures each cost at each size in a process of its own. A panel shows costs as
multiples of their least size; the dashed line is what grows as the size does. The slope is the exponent
of the larger half: 0 is flat, 1 is linear. {loads}

```{{image}} _static/growth.svg
:alt: Six panels with logarithmic axes, a line for each cost; the table has the same values
:width: 100%
```

"""

_GROWTH_AFTER = """
Loading grows with what is loaded, and nothing grows faster than that by more than measurements scatter. A
rule whose clauses ask for an attribute each is tried clause by clause, so it is linear, as in every
evaluator; clauses on one attribute, as profiles have them, are one lookup. A fresh user costs more among
millions because the processor's caches miss.

"""

_CONCURRENCY = """## Threads, tasks, many classes

`python -m bench.concurrency`. A call is `for_user` with four reads. CPython {python} runs one thread at a
time, so threads share what one alone does. In a request, two calls of one task. The free-threaded build
of CPython 3.14 was not measured: it could not be had where this ran.

"""

_WORKERS = """## Workers of one host

`python -m bench.workers`: a service on the files of a mirror, 100 of them. A worker that starts by itself
reads every file and has its own copy. One that is forked after `windsock.start`, as gunicorn does with
`--preload`, starts at once and shares its parent's memory; a file that changes is then each worker's own,
a hundredth of the whole.

"""

_TEN_MILLION = """## Ten million assignments

`python -m bench.mirror --sizes 1000000,10000000 --load-seconds 0 --out bench/results/mirror_10m.md`, on a
real PostgreSQL: the mirror, and a service that reads its files.

"""

_FLAGD = """## Where a flagd server stops

`FLAGD_BIN=… python -m bench.flagd_limits`: the same 100 files behind a flagd server 0.16.1. It parses the
rule at each evaluation, so latency and memory grow with the users of a shard, and more shards than 100
exceed the files that it can watch. Ten million users would take more than the 8 GB that this measurement
was allowed. Beyond a million users, services in Python read the files themselves; for other languages
assign by rule or by attribute, which needs no list: see [how to assign](assigning.md).

"""

_WRITES = """## The application's own writes

`python -m bench.writes`: one changed assignment a transaction, with the triggers and without. Asked were
0.8 of the throughput without them.

"""

_WRITES_AFTER = """
Missed, because a logged change is a second row: at 16 to 64 clients a trigger that does nothing leaves
0.90 to 0.93, one that inserts one plain row 0.53 to 0.70, so 0.8 is out of reach while each change is
logged, and a mirror that may miss no change needs the log. Leaving the history of assignments to the
mirror's cut of the log was measured at 0.62 to 0.77. It isn't done: a row that changes twice between two
cuts would have one row of history in place of two.
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
    rows = [each.row() for each in (*_asked_of_reads(reads), *_asked_of_ten_million())]
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


def _asked_of_ten_million() -> Iterable[Asked]:
    mirror = {
        cells[0]: [float(number) for number in re.findall(r"[\d.]+", cells[-1])]
        for cells in (
            [cell.strip() for cell in line.strip("|").split("|")] for line in _lines("mirror_10m.md")
        )
    }
    worker = json.loads((RESULTS / "workers.json").read_text())["sizes"]["10000000"]
    half, most = mirror["row committed → value in a service (p50 / p99)"]
    of_ten = "10M assignments: "
    first_load, resident = "first load, with the process's start", "first load, resident at most"
    yield Asked(f"{of_ten}the mirror's first load", 40, mirror[first_load][0], "s")
    yield Asked(f"{of_ten}the mirror, resident at most", 200, mirror[resident][0], "MB")
    yield Asked(f"{of_ten}row committed → value, p50", 80, half, "ms", _SHARDS)
    yield Asked(f"{of_ten}row committed → value, p99", 300, most, "ms", _SHARDS)
    yield Asked(f"{of_ten}bytes written per change", 1, mirror["bytes written per change"][0], "%")
    for what, most, name, reason in (
        ("memory of a worker", 400, "memory above the process (MB)", _COPIES),
        ("memory of a forked worker", 30, "forked worker, private memory (MB)", ""),
        ("start of a forked worker", 1, "forked worker, first value (s)", ""),
        ("a fresh user", 3, "a fresh user (µs)", _MISSES),
    ):
        yield Asked(of_ten + what, most, worker[name], name.rpartition("(")[2].rstrip(")"), reason)


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
        [
            part,
            ", ".join(f"{name.partition(' (')[0]} {_amount(name, value)}" for name, value in figures.items()),
        ]
        for part, figures in found["parts"].items()
    ]
    return _CONCURRENCY.format(python=python) + table(["", "measured"], rows) + "\n"


def workers() -> str:
    """Workers of one host, by the number of assignments."""
    return _WORKERS + _by_size("workers.json") + "\n"


def flagd() -> str:
    """A flagd server, by the number of assignments."""
    return _FLAGD + _by_size("flagd_limits.json") + "\n"


def ten_million() -> str:
    """What the mirror does at ten million."""
    return _TEN_MILLION + _tables("mirror_10m.md")[0] + "\n"


def writes() -> str:
    """What triggers cost."""
    return _WRITES + "\n".join(_tables("writes.md")) + _WRITES_AFTER


def _tables(name: str) -> list[str]:
    """The tables of a result that is Markdown."""
    blocks = (RESULTS / name).read_text().split("\n\n")
    return [f"{block.strip()}\n" for block in blocks if block.startswith("|")]


def _lines(name: str) -> list[str]:
    return [line for text in _tables(name) for line in text.splitlines()]


def _by_size(name: str) -> str:
    sizes = json.loads((RESULTS / name).read_text())["sizes"]
    names = list(next(iter(sizes.values())))
    rows = [
        [each.partition(" (")[0], *(_amount(each, figures[each]) for figures in sizes.values())]
        for each in names
    ]
    return table(["", *(f"{int(size):,}" for size in sizes)], rows)


def _cells(line: str) -> Row:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _bare(name: str) -> str:
    """The name of a figure without its unit."""
    return name.partition(" (")[0]


def _amount(name: str, value: float) -> str:
    return amount(value, name.rpartition("(")[2].rstrip(")")) if "(" in name else f"{value:,.0f}"


def table(head: Row, rows: Iterable[Row]) -> str:
    """A Markdown table whose numbers are at the right."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
