"""docs/benchmarks.md and docs/comparison.md show the results that are kept beside the benchmark, and those are complete."""

import json
import re

import pytest
from bench.growth_chart import chart, slope
from bench.page import CHART, GROWTH, PAGE, RESULTS, WORKS, page
from bench.peers import PEERS

FOUND = json.loads(RESULTS.read_text())


def test_the_page_is_made_from_the_results():
    assert PAGE.read_text() == page(FOUND), "run `python -m bench.page`"


def test_the_chart_is_made_from_the_results():
    assert CHART.read_text() == chart(json.loads(GROWTH.read_text())), "run `python -m bench.page`"


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_a_slope_is_the_exponent_of_the_growth(exponent: int):
    assert slope([(size, 3.0 * size**exponent) for size in (10, 100, 1_000, 10_000)]) == pytest.approx(
        exponent
    )


def test_every_peer_was_measured():
    measured = {name for works in FOUND["calls"].values() for name in works}
    assert (set(FOUND["calls"]), measured) == (set(WORKS), set(PEERS))


def test_the_comparison_shows_the_same_results():
    text = (PAGE.parent / "comparison.md").read_text()
    _, _, measured = text.partition("## Measured")
    assert f"measured on {FOUND['date']}" in measured.replace("\n", " ")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in measured.partition("\n## ")[0].splitlines()
        if line.startswith("| ")
    ][1:]
    assert len(rows) == 7
    for first, *cells in rows:
        [peer] = [name for name in FOUND["calls"]["static"] if name.split(" ")[0] == first.split(" ")[0]]
        assert set(re.findall(r"\d+\.\d+\.\d+", first)) <= set(FOUND["versions"].values())
        for work, cell in zip(WORKS, cells, strict=True):
            found, ours = FOUND["calls"][work].get(peer), FOUND["calls"][work]["windsock"]["min"]
            ratio = f" ({found['min'] / ours:.0f}×)" if found and peer != "windsock" else ""
            assert cell == (f"{found['min']:,.0f}{ratio}" if found else "-"), (peer, work)
