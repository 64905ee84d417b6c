"""The part of docs/benchmarks.md on experiments: what was asked beside what was found; see `bench.page`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.scale_page import Row, table

RESULTS = Path(__file__).parent / "results"

_INTRODUCTION = """## Experiments

What was asked of the [statistics](experiments.md), beside what simulations and tests found. A simulation's
seeds are in its script and its numbers in `bench/results`. A bound is the upper end of an exact 95 % interval
of the simulated rate.

"""

_LOOKS = "`python bench/experiments_looks.py`"
_POWER = "`python bench/experiments_power.py`"
_CLOCKS = "`python bench/experiments_clocks.py`"
_PROMOTION = "`python bench/experiments_promotion.py`"
_DUCKDB = "`python bench/experiments_duckdb.py`"
_MOST_FALSE = 0.06
_MOST_HARM = 0.05
_NO_MARGIN = (
    "harm of a goal's own size may hide while the goal's verdict is early; the decision says that it isn't "
    "excluded, and a margin excludes it"
)
_TAILS = "a normal approximation needs a cap where a few units are worth thousands of others"
_BOUND = "exact upper bound 95 %"


def experiments() -> str:
    """The section."""
    rows = [
        *_false_positives(),
        *_until_a_date(),
        *_power(),
        *_harm(),
        *_promotion(),
        *_agreement(),
        *_speed(),
    ]
    return _INTRODUCTION + table(["", "asked", "found", "", "by"], rows) + "\n"


def _read(name: str) -> Any:
    return json.loads((RESULTS / f"experiments_{name}.json").read_text())


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _bounded(what: str, most: float, rate: float, bound: float, by: str) -> Row:
    verdict = "reached" if bound <= most else "missed"
    return [what, f"bound ≤ {100 * most:g} %", f"{_percent(rate)}, bound {_percent(bound)}", verdict, by]


def _false_positives() -> Iterator[Row]:
    found = _read("looks")
    for each in found["false positives"]:
        what = (
            f"A/A called at {found['looks']} looks, {each['metric']}, {each['allocation']}, {each['design']}"
        )
        row = _bounded(what, _MOST_FALSE, each["rate"], each[_BOUND], _LOOKS)
        yield [*row[:3], row[3] if row[3] == "reached" else f"missed: {_TAILS}", row[4]]


def _until_a_date() -> Iterator[Row]:
    """The worst way to arrive of each metric."""
    found = [
        each
        for each in _read("power")["runs"]
        if each["effect"] == "none" and each["maximum"].startswith("duration")
    ]
    for metric in dict.fromkeys(each["metric"] for each in found):
        worst = max((each for each in found if each["metric"] == metric), key=lambda each: each["called"])
        what = f"the same until a date, {metric}, the worst of seven ways to arrive"
        yield _bounded(what, _MOST_FALSE, worst["called"], worst["exact bounds 95 %"][1], _POWER)
    for each in _clocks("A/A"):
        what = f"a goal called in A/A beside a slower guardrail, {each['maximum']}"
        row = _bounded(what, _MOST_FALSE, each["goal called"]["rate"], each["goal called"][_BOUND], _CLOCKS)
        reason = f"missed: {each['runs']:,} runs leave the bound that wide"
        yield [*row[:3], row[3] if row[3] == "reached" else reason, row[4]]


def _power() -> Iterator[Row]:
    found = _read("looks")["power at 20 looks"]
    planned, ours, endless = found.values()
    gap = 100 * (planned - ours)
    verdict = "reached" if gap <= 10 else "missed"
    what = "power at 20 looks, behind O'Brien and Fleming's planned ones with the same maximum"
    shown = f"{gap:.1f} points ({_percent(ours)} and {_percent(planned)})"
    yield [what, "≤ 10 points", shown, verdict, _LOOKS]
    price = f"{100 * (planned - endless):.1f} points ({_percent(endless)})"
    yield ["the same without a maximum", "its price said", price, "said", _LOOKS]
    reached = [each for each in _read("power")["runs"] if each["effect"] != "none"]
    for arrivals in ("units", "duration, evenly", "duration, half of them on the last day"):
        rates = [each["called"] for each in reached if each["maximum"] == arrivals]
        shown = f"{_percent(min(rates))} to {_percent(max(rates))}"
        reason = "the formula expects units to arrive evenly" if "last day" in arrivals else ""
        yield [f"power where `power` says 80 %: {arrivals}", "80 %", shown, reason, _POWER]


def _harm() -> Iterator[Row]:
    """Wins of an arm whose guardrail is worse: without a margin, with one, and what its sentence excludes."""
    for truth in ("goal 12 % better, guardrail 24 % worse", "goal 12 % better, guardrail 12 % worse"):
        for without, with_margin in _in_groups(_clocks(truth), 2):
            excluded = without["won, and its true harm excluded"]
            for what, found in (
                ("won", without["won"]),
                (f"won with a margin of {100 * with_margin['margin']:g} %", with_margin["won"]),
                ("won, and the decision's sentence excludes the true harm", excluded),
            ):
                row = _bounded(
                    f"{truth}, {without['maximum']}: {what}",
                    _MOST_HARM,
                    found["rate"],
                    found[_BOUND],
                    _CLOCKS,
                )
                yield [*row[:3], row[3] if row[3] == "reached" else f"missed: {_NO_MARGIN}", row[4]]


def _in_groups(found: list[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    return (found[start : start + size] for start in range(0, len(found), size))


def _clocks(truth: str) -> list[dict[str, Any]]:
    names = {"units": "a maximum in units", "duration": "a maximum in days", "none": "open-ended"}
    found = sorted(
        (each for each in _read("clocks")["rows"] if each["truth"] == truth),
        key=lambda each: (list(names).index(each["maximum"]), each["margin"]),
    )
    if truth == "A/A":
        found = [each for each in found if not each["margin"]]
    return [each | {"maximum": names[each["maximum"]]} for each in found]


def _promotion() -> Iterator[Row]:
    for each in _read("promotion")["weeks"]:
        if not each["better by"]:
            what = f"false promotion in a week of hourly looks, {100 * each['disagreement']:g} % disagreement"
            rate, bound = each["promoted, always valid"], each[f"{_BOUND}, always valid"]
            yield _bounded(what, 0.01, rate, bound, _PROMOTION)


def _agreement() -> Iterator[Row]:
    for what, asked, test in (
        ("absolute effects of scipy and statsmodels, also at an offset of 1e8", "≤ 1e-9", "test_oracles.py"),
        ("the same on DuckDB, PostgreSQL and Spark, also at an offset of 1e8", "≤ 1e-9", "test_engines.py"),
        ("published answers, each with its source", "a test each", "test_published.py"),
    ):
        yield [what, asked, "asserted", "reached", f"`pytest tests/experiments/{test}`"]


def _speed() -> Iterator[Row]:
    found = _read("duckdb")
    rows = (
        f"{found['exposures']:,} exposures × {found['events']:,} events × {found['metrics']} metrics, CUPED"
    )
    verdict = "reached" if found["ratio"] <= 1.2 else "missed"
    yield [f"{rows}: time of SQL by hand", "≤ 1.2 ×", f"{found['ratio']} ×", verdict, _DUCKDB]
    memory = f"{found['peak RSS of the process, MB']:,} MB at a limit of {found['memory limit']}"
    yield ["memory of the process that did it", "stated", memory, "stated", _DUCKDB]
    usage = (RESULTS / "usage.md").read_text()
    for what, most in (("a unit that was seen", 5), ("a new unit", 20)):
        line = next(line for line in usage.splitlines() if line.startswith(f"| {what} |"))
        cost = line.rstrip("| ").rpartition("|")[2].strip()
        verdict = "reached" if float(cost) <= most else "missed"
        where = f"an exposure on the request's thread, {what}"
        yield [where, f"≤ {most} µs", f"{cost} µs", verdict, "`python bench/usage.py`"]
