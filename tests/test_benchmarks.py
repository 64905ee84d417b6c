"""docs/benchmarks.md shows the results that are kept beside the benchmark, and those are complete."""

import json

from bench.page import PAGE, RESULTS, WORKS, page
from bench.peers import PEERS

FOUND = json.loads(RESULTS.read_text())


def test_the_page_is_made_from_the_results():
    assert PAGE.read_text() == page(FOUND), "run `python -m bench.page`"


def test_every_peer_was_measured():
    measured = {name for works in FOUND["calls"].values() for name in works}
    assert (set(FOUND["calls"]), measured) == (set(WORKS), set(PEERS))
