"""Writes docs/benchmarks.md and its chart from bench/results: ``python -m bench.page``; a test compares."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench import growth_chart, scale_page
from bench.experiments_page import experiments

RESULTS = Path(__file__).parent / "results" / "evaluation.json"
READS = Path(__file__).parent / "results" / "reads.json"
GROWTH = Path(__file__).parent / "results" / "growth.json"
CONCURRENCY = Path(__file__).parent / "results" / "concurrency.json"
WORKERS = Path(__file__).parent / "results" / "workers.json"
FLAGD_LIMITS = Path(__file__).parent / "results" / "flagd_limits.json"
REMOTE = Path(__file__).parent / "results" / "remote.json"
FRESHNESS = Path(__file__).parent / "results" / "freshness.json"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
CHART = PAGE.parent / "_static" / "growth.svg"

Found = dict[str, Any]

STOCK = "OpenFeature + stock flagd provider"
WORKS = {
    "static": "static flag",
    "attribute": "attribute rule",
    "split": "50-50 split",
    "settings": "twenty typed parameters",
}

_INTRODUCTION = """\
# Benchmarks

<!-- Written by `python -m bench.page` from bench/results; a test compares them. -->

{asked}
## Asking for a flag

What it costs to ask for a flag, through each library's public API, with the same flags. One command measures
it and prints these tables:

<!-- not run: it installs the other libraries and measures for a long time -->
```sh
{command} --page
```

Read the ratios, not the nanoseconds. {noise}

### One evaluation

Nanoseconds per call: the minimum of {rounds} interleaved rounds, the median in brackets. `×` is the ratio to
windsock's minimum. *Static*, *attribute* and *split* are one boolean for one user (`windsock.feature`).
*Twenty typed parameters* is one settings object for one user (`Settings.for_user`: a base flag and a profile
that 100 users have) and its twenty values; for the other libraries it is twenty calls, or the call that
returns an object if there is one.

"""

_NOISE = """\
This ran on {cores} cores of a shared machine ({cpu}, {python}, {system}; load {load} before the run) beside
other work. Every round measures every line once, pinned to one core, so a disturbance hits all of them alike,
and the minimum over many rounds is nearly free of it. The gap between minimum and median shows how much
disturbance there was. Another run gives nanoseconds that differ by a fifth or more, and nearly the same
ratios. The other libraries are set up in their favour: flags in memory, no network, no events sent, user
objects made before the clock starts.
"""

_READS = """### Reading what was made

`windsock.Settings.for_user` and reads of its twenty fields: microseconds, the least of many rounds, written
by `python -m bench.reads`. A view starts with all values that users can share. In a recorded request and in
a healed call, each first read is remembered, because the record says what was used.

"""

_WITH_HOOK = """### With one hook

One hook with all four stages is registered; every contender calls it the same way. A static flag, ns.

"""

_MANY_IDS = """### A list of a million ids

The rule asks whether the user is in a list. A returning user is one of 100 who come back again and again; a
fresh user is drawn at random from all users, before the clock starts, and comes once. × is relative to a
returning user among 100 ids.

"""


def tables(found: Found) -> str:
    """The tables of one run of `bench.evaluation`, as Markdown that a terminal shows well enough."""
    reads = _READS + reads_table(json.loads(READS.read_text()))
    return "\n".join([_calls(found["calls"]), reads, _hook(found["hook"]), _ids(found), _rest(found)])


def scale(python: str) -> str:
    """What size and concurrency cost."""
    parts = (scale_page.mirror(), scale_page.flagd(), scale_page.large_sets(), scale_page.workers())
    rest = (scale_page.growth(), scale_page.concurrency(python), scale_page.writes())
    return "\n".join([*parts, *rest, experiments()])


def page(found: Found) -> str:
    """The whole page."""
    machine = found["machine"]
    noise = _NOISE.format(
        cores=machine["cores"],
        cpu=machine["cpu"],
        python=machine["python"],
        system=machine["system"],
        load=machine["load_before"][0],
    ).strip()
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    asked = scale_page.asked(json.loads(READS.read_text()))
    head = _INTRODUCTION.format(asked=asked, command=found["command"], noise=noise, rounds=found["rounds"])
    tail = f"### Versions\n\nMeasured on {found['date']} with {versions}; seed {found['seed']}.\n"
    return f"{head}{tables(found)}\n{tail}\n{scale(machine['python'])}"


def _calls(calls: Found) -> str:
    names = dict.fromkeys(name for work in calls.values() for name in work)
    rows = []
    for name in names:
        cells = []
        for work in WORKS:
            figures, ours = calls[work].get(name), calls[work]["windsock"]["min"]
            ratio = f" {_ratio(figures['min'] / ours)}" if figures and name != "windsock" else ""
            cells.append(f"{_ns(figures)}{ratio}" if figures else "-")
        rows.append([name, *cells])
    return _table(["", *WORKS.values()], rows)


def _hook(hook: Found) -> str:
    ours = hook["windsock"]["min"]
    rows = [
        [name, _ns(figures), "" if name == "windsock" else _ratio(figures["min"] / ours)]
        for name, figures in hook.items()
    ]
    return _WITH_HOOK + _table(["", "ns", "×"], rows)


def _ids(found: Found) -> str:
    rows = []
    for work, figures in found["ids"].items():
        kind = work.partition(",")[0]
        base = found["ids"][f"{kind}, returning user"]["100 ids"]["min"]
        for name, each in figures.items():
            rows.append([work, name, _ns(each), _ratio(each["min"] / base)])
    return _MANY_IDS + _table(["", "list", "ns", "×"], rows)


def _rest(found: Found) -> str:
    load, replace, imports = found["load"], found["replace"], found["import"]["seconds"]
    quiet, busy = replace["quiet"], replace["replacing"]
    ours, theirs = imports.values()
    rows = [
        [
            f"load a file of 1M ids ({load['file_mb']} MB)",
            f"{load['seconds']:.2f} s ({load['cpu_seconds']:.2f} s of CPU)",
        ],
        ["memory above the process before", f"{load['mb_above_before']:.0f} MB"],
        ["the same at its peak, while loading", f"{load['peak_mb_above_before']:.0f} MB"],
        [
            f"a read while shards of 1M ids are replaced, {replace['replacements']} of 100 one after another",
            f"p50 {busy['p50'] * 1000:.1f} µs, p99.9 {busy['p99.9']:.2f} ms, max {busy['max']:.0f} ms",
        ],
        [
            "a read while nothing is replaced",
            f"p50 {quiet['p50'] * 1000:.1f} µs, p99.9 {quiet['p99.9']:.2f} ms, max {quiet['max']:.0f} ms",
        ],
        ["`import windsock`, CPU", f"{ours * 1000:.0f} ms"],
        ["importing pydantic-settings and openfeature alone, CPU", f"{theirs * 1000:.0f} ms"],
        ["`import windsock` against that", f"{ours / theirs:.2f} ×"],
        ["gRPC loaded by `import windsock`", "yes" if found["import"]["grpc_loaded"] else "no"],
    ]
    return "### Loading, replacing, importing\n\n" + _table(["", ""], rows)


def reads_table(found: Found) -> str:
    """Microseconds by place and number of reads."""
    counts = next(iter(found.values()))
    rows = [
        [place, *(f"{each['min'] / 1000:.2f}" for each in figures.values())]
        for place, figures in found.items()
    ]
    return _table(["`for_user` and", *(f"{count} reads" for count in counts)], rows)


def _ns(figures: dict[str, float]) -> str:
    return f"{figures['min']:,.0f} ({figures['median']:,.0f})"


def _ratio(value: float) -> str:
    return f"**{value:.0f}×**" if value >= 10 else f"**{value:.1f}×**"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(RESULTS.read_text())))
    CHART.write_text(growth_chart.chart(json.loads(GROWTH.read_text())))
