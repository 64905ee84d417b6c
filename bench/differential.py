"""Compares windsock's evaluator with flagd's three: ``python -m bench.differential --cases 100000``.

A third of the cases are portable rules, compared with the Python core (v3), the npm core (v2) and a flagd
server (v2); a third are rules of any kind, compared with the server alone. A third are rules of any kind too,
in which nothing of the portable list is found, compared with the cores where the attributes bring nothing of
it either. FLAGD_BIN is the path of the server; an oracle that is not installed is left out and said to be.
Ends with status 1 when there is a difference.
"""

import argparse
import collections
import contextlib
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.evaluator.explained import is_explained
from tests.evaluator.oracles import (
    NpmCore,
    npm_core,
    npm_unavailable,
    python_core,
    python_result,
    windsock_result,
)
from tests.evaluator.portable_rules import PortableRules
from tests.evaluator.wild_rules import VARIANTS, WildRules
from tests.flagd_server import FlagdServer, flagd_binary

from windsock.evaluator import FlagEvaluator
from windsock.lint.portable.search import find_in_rule

CONTEXTS = 10
FLAGS = 1_000
SHOWN = 10
PORTABLE = "portable"


@dataclass
class Report:
    """What was compared."""

    cases: collections.Counter[str] = field(default_factory=collections.Counter)
    results: collections.Counter[str] = field(default_factory=collections.Counter)
    differences: list[tuple[str, Any, Mapping[str, Any], str | None, str | None]] = field(
        default_factory=list
    )

    def compare(
        self, oracle: str, rule: Any, context: Mapping[str, Any], mine: str | None, theirs: str | None
    ) -> None:
        """Count one case."""
        self.cases[oracle] += 1
        self.results["caller's default" if mine is None else mine if mine.isupper() else "a variant"] += 1
        if mine != theirs:
            self.differences.append((oracle, rule, context, mine, theirs))

    def show(self) -> None:
        """Print the totals and the first differences."""
        for oracle, count in sorted(self.cases.items()):
            wrong = sum(each[0] == oracle for each in self.differences)
            print(f"{oracle:28} {count:9,} cases  {wrong:6,} differences")
        print("results:", ", ".join(f"{name} {count:,}" for name, count in self.results.most_common()))
        for oracle, rule, context, mine, theirs in self.differences[:SHOWN]:
            print(
                f"\n{oracle}: windsock {mine}, oracle {theirs}\n  {json.dumps(rule)}\n  {json.dumps(context)}"
            )


def served(flags: Mapping[str, Any], bucketing: str) -> tuple[dict[str, Any], FlagEvaluator]:
    """A document with the flags, and windsock serving it."""
    document = {"flags": flags, "metadata": {"bucketing": bucketing}}
    evaluator = FlagEvaluator()
    evaluator.set_flags(document)
    return document, evaluator


def compare_server(report: Report, name: str, flags: Mapping[str, Any], contexts: Sequence[Any]) -> None:
    """Compare with a flagd server."""
    if flagd_binary() is None:
        return
    document, evaluator = served(flags, "v2")
    with tempfile.TemporaryDirectory() as folder, FlagdServer.serving(Path(folder), document) as server:
        for context in contexts:
            results = server.evaluate_all(context)
            for key, flag in flags.items():
                theirs = results[key].get("errorCode") or results[key].get("variant")
                report.compare(
                    name, flag["targeting"], context, windsock_result(evaluator, key, context), theirs
                )


def compare_cores(
    report: Report, npm: NpmCore | None, name: str, flags: Mapping[str, Any], contexts: Sequence[Any]
) -> None:
    """Compare with the Python core, and with the npm core where it is installed."""
    document, evaluator = served(flags, "v3")
    core = python_core(document)
    asked = [
        (context, key, flag["targeting"])
        for context in contexts
        for key, flag in flags.items()
        if name == PORTABLE or not is_explained(flag["targeting"], context)
    ]
    for context, key, rule in asked:
        mine, theirs = windsock_result(evaluator, key, context), python_result(core, key, context)
        report.compare(f"Python core, {name}", rule, context, mine, theirs)
    if npm is None:
        return
    document, evaluator = served(flags, "v2")
    of_npm = {
        id(context): results
        for context, results in zip(contexts, npm.results(document, contexts), strict=True)
    }
    for context, key, rule in asked:
        mine, theirs = windsock_result(evaluator, key, context), of_npm[id(context)][key]
        report.compare(f"npm core, {name}", rule, context, mine, theirs)


def batch(rules: PortableRules | WildRules, *, unlisted: bool = False) -> tuple[dict[str, Any], list[Any]]:
    """Flags with one generated rule each, and contexts."""
    made = iter(rules.rule, object())
    chosen = (rule for rule in made if not (unlisted and find_in_rule(rule)))
    flags = {
        f"flag-{number}": {"state": "ENABLED", "variants": VARIANTS, "defaultVariant": "c", "targeting": rule}
        for number, rule in enumerate(itertools.islice(chosen, FLAGS))
    }
    return flags, [rules.context() for _ in range(CONTEXTS)]


def main() -> int:
    """Run until every oracle has seen its share of the cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cases", type=int, default=30_000, help="rule and context pairs, a third of them portable"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    report, source = Report(), random.Random(options.seed)
    reasons = {
        "npm core": npm_unavailable(),
        "flagd server": None if flagd_binary() else "FLAGD_BIN is not set",
    }
    for oracle, reason in reasons.items():
        if reason:
            print(f"{oracle} left out: {reason}")
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        npm = None if reasons["npm core"] else stack.enter_context(npm_core())
        for _ in range(max(1, options.cases // (3 * FLAGS * CONTEXTS))):
            flags, contexts = batch(PortableRules(source))
            compare_cores(report, npm, PORTABLE, flags, contexts)
            compare_server(report, f"flagd server, {PORTABLE}", flags, contexts)
            compare_server(report, "flagd server, any rule", *batch(WildRules(source)))
            compare_cores(report, npm, "nothing listed found", *batch(WildRules(source), unlisted=True))
    report.show()
    print(f"seed {options.seed}, {time.monotonic() - began:.0f} s")
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
