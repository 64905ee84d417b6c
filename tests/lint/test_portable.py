"""What lints clean means the same in every engine; what is meant to be linted does lint clean."""

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evaluator.generated import PortableRules
from tests.evaluator.oracles import python_core, python_result, windsock_result

from windsock.evaluator import FlagEvaluator
from windsock.flags.lint import Level, lint

VARIANTS = {name: name for name in "abc"}


def document(rules: list[object]) -> dict[str, object]:
    flags = {
        f"flag_{number}": {"state": "ENABLED", "variants": VARIANTS, "defaultVariant": "c", "targeting": rule}
        for number, rule in enumerate(rules)
    }
    return {"flags": flags, "metadata": {"bucketing": "v3"}}


def clean(content: dict[str, object]) -> bool:
    findings = lint(json.dumps(content).encode(), "f.flagd.json").findings
    return all(finding.level is Level.NOTE for finding in findings)


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_rules_that_lint_clean_agree_with_the_python_core(source: random.Random) -> None:
    rules = PortableRules(source)
    kept = [rule for rule in (rules.rule() for _ in range(4)) if clean(document([rule]))]
    content = document(kept)
    assert clean(content)
    evaluator, core = FlagEvaluator(), python_core(content)
    evaluator.set_flags(content)
    for _ in range(5):
        context = rules.context()
        for key in content["flags"]:
            mine, theirs = windsock_result(evaluator, key, context), python_result(core, key, context)
            assert mine == theirs, (key, context)


def test_only_rules_with_a_dead_branch_are_not_clean() -> None:
    """Generated at random, one rule in some repeats a condition; nothing else may be found."""
    rules = PortableRules(random.Random(3))
    generated = [rules.rule() for _ in range(300)]
    codes = [
        {finding.code for finding in lint(json.dumps(document([rule])).encode(), "f.flagd.json").findings}
        - {"unused-variant"}
        for rule in generated
    ]
    assert sum(not each for each in codes) > 200
    assert set().union(*codes) <= {"unreachable", "listed-twice", "bucketing-without-flag-key"}
