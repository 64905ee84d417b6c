"""Linting 500 flags, and planning 20 changed flags for a million users: CPU seconds of this process.

Run: ``python bench/flags_as_code.py``. Promised are 0.1 s and 30 s.
"""

import json
import time

from windsock.flags import FlagSet, merge, read_document
from windsock.gitops.impact import impacts
from windsock.gitops.population import synthetic
from windsock.lint.linter import lint


def document(count: int, weight: int) -> bytes:
    """Flags with a list and a split each."""
    rule = {
        "if": [
            {"in": [{"var": "targetingKey"}, ["user-1", "user-2"]]},
            "on",
            {"fractional": [["on", weight], ["off", 100 - weight]]},
        ]
    }
    flag = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
        "targeting": rule,
    }
    return json.dumps({"flags": {f"flag_{number}": flag for number in range(count)}}, indent=2).encode()


def main() -> None:
    """Print both figures."""
    data = document(500, 10)
    rounds = []
    for _ in range(5):
        began = time.process_time()
        findings = lint(data, "f.flagd.json").findings
        rounds.append(time.process_time() - began)
    print(f"lint: 500 flags, {len(data):,} bytes, {len(findings)} findings: {min(rounds) * 1000:.0f} ms")

    def served(weight: int) -> FlagSet:
        return merge([read_document(document(20, weight), "f.flagd.json")])

    began = time.process_time()
    found = impacts(served(10), served(20), synthetic(1_000_000, "production"), at=time.time())
    took = time.process_time() - began
    print(f"plan: 20 flags, 1,000,000 users, {found[0].share:.2%} move in the first: {took:.1f} s")


if __name__ == "__main__":
    main()
