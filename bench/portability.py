"""Asks all of flagd's evaluators about rules that lint clean: ``python -m bench.portability --rules 10000``.

The rules are those of ``tests/evaluator/ordinary_rules.py``, as far as the linter finds nothing in them. With
ordinary attributes no evaluator may differ; with missing and odd ones, every difference must be one that
docs/portable-rules.md names, in a rule in which `windsock lint --attributes` finds something. FLAGD_BIN is
the path of a flagd server; without one it is left out. Ends with status 1 when there is a difference that
must not be.
"""

import argparse
import itertools
import json
import platform
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.evaluator.everywhere import Answers, answers
from tests.evaluator.explained import is_explained
from tests.evaluator.oracles import NpmCore, npm_core, npm_unavailable
from tests.evaluator.ordinary_rules import VARIANTS, OrdinaryRules
from tests.flagd_server import flagd_binary

from windsock.lint.linter import Level, lint
from windsock.lint.portable.search import find_by_attribute

FLAGS = 1_000
CONTEXTS = 6
SHOWN = 10


@dataclass
class Report:
    """What was found in one run."""

    generated: int = 0
    rules: int = 0
    ordinary: int = 0
    odd: int = 0
    different: list[Answers] = field(default_factory=list)
    explained: int = 0
    unexplained: list[Answers] = field(default_factory=list)

    def page(self, options: argparse.Namespace, seconds: float) -> str:
        """The account that is committed."""
        server = "flagd server 0.16" if flagd_binary() else "no flagd server"
        counts = f"{self.generated:,} generated rules, of which {self.rules:,} lint clean"
        return f"""# Rules that lint clean, in every evaluator

```sh
FLAGD_BIN=… python -m bench.portability --rules {options.rules} --seed {options.seed}
```

{counts}. Each is evaluated for {CONTEXTS} contexts of ordinary
attributes, and for {CONTEXTS} with missing and odd ones. Compared: windsock, {server},
`@openfeature/flagd-core` 4.0.1, `openfeature-flagd-core` {version("openfeature-flagd-core")}.

| attributes | cases | differ | of them not found by `lint --attributes` or not on the page |
|---|--:|--:|--:|
| ordinary | {self.ordinary:,} | {len(self.different):,} | {len(self.different):,} |
| missing and odd | {self.odd:,} | {self.explained + len(self.unexplained):,} | {len(self.unexplained):,} |

{time.strftime("%Y-%m-%d")}, CPython {platform.python_version()}, {seconds:.0f} s.
"""


def is_clean(rule: Any) -> bool:
    """Whether the linter has no error and no warning for a flag with the rule."""
    flag = {"state": "ENABLED", "variants": VARIANTS, "defaultVariant": "c", "targeting": rule}
    found = lint(json.dumps({"flags": {"flag": flag}}).encode(), "f.flagd.json").findings
    return all(finding.level is Level.NOTE for finding in found)


def clean_rules(source: OrdinaryRules, report: Report) -> Iterator[Any]:
    """Rules that lint clean, without end."""
    for rule in iter(source.rule, None):
        report.generated += 1
        if is_clean(rule):
            report.rules += 1
            yield rule


def compare(npm: NpmCore, source: OrdinaryRules, rules: list[Any], report: Report) -> None:
    """Ask everybody about some rules."""
    for found in answers(npm, rules, VARIANTS, [source.context() for _ in range(CONTEXTS)]):
        report.ordinary += 1
        if not found.agree:
            report.different.append(found)
    for found in answers(npm, rules, VARIANTS, [source.odd_context() for _ in range(CONTEXTS)]):
        report.odd += 1
        if not found.agree and find_by_attribute(found.rule) and is_explained(found.rule, found.context):
            report.explained += 1
        elif not found.agree:
            report.unexplained.append(found)


def main() -> int:
    """Compare as many rules as were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=10_000, help="rules that lint clean")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if reason := npm_unavailable():
        parser.error(f"the npm core is needed: {reason}")
    report, source, began = Report(), OrdinaryRules(random.Random(options.seed)), time.monotonic()
    clean = itertools.islice(clean_rules(source, report), options.rules)
    with npm_core() as npm:
        while rules := list(itertools.islice(clean, FLAGS)):
            compare(npm, source, rules, report)
    text = report.page(options, time.monotonic() - began)
    print(text)
    wrong = [*report.different, *report.unexplained]
    for found in sorted(wrong, key=lambda each: len(json.dumps(each.rule)))[:SHOWN]:
        print(json.dumps(found.rule, ensure_ascii=False), json.dumps(found.context, ensure_ascii=False))
        print("   ", found.v2, found.v3)
    if options.out is not None:
        options.out.write_text(text)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
