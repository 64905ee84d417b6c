"""What lints clean means the same in every engine; what is meant to be linted does lint clean."""

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.evaluator.oracles import NpmCore, python_core, python_result, windsock_result
from tests.evaluator.portable_rules import PortableRules
from tests.evaluator.wild_rules import WildRules
from tests.flagd_server import FlagdServer

from windsock.evaluator import FlagEvaluator
from windsock.lint.linter import Level, lint

VARIANTS = {name: name for name in "abc"}


def document(rules: list[object], bucketing: str = "v3") -> dict[str, object]:
    flags = {
        f"flag_{number}": {"state": "ENABLED", "variants": VARIANTS, "defaultVariant": "c", "targeting": rule}
        for number, rule in enumerate(rules)
    }
    return {"flags": flags, "metadata": {"bucketing": bucketing}}


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


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_rules_that_lint_clean_agree_with_the_npm_core(npm: NpmCore, source: random.Random) -> None:
    rules = PortableRules(source)
    content = document([rule for rule in (rules.rule() for _ in range(4)) if clean(document([rule]))], "v2")
    contexts = [rules.context() for _ in range(5)]
    evaluator = FlagEvaluator()
    evaluator.set_flags(content)
    mine = [
        {key: windsock_result(evaluator, key, context) for key in content["flags"]} for context in contexts
    ]
    assert mine == npm.results(content, contexts)


@pytest.mark.flagd
def test_rules_that_lint_clean_agree_with_the_server(tmp_path) -> None:
    rules = PortableRules(random.Random(11))
    content = document([rule for rule in (rules.rule() for _ in range(400)) if clean(document([rule]))], "v2")
    assert clean(content)
    evaluator = FlagEvaluator()
    evaluator.set_flags(content)
    with FlagdServer.serving(tmp_path, content) as server:
        for _ in range(5):
            context = rules.context()
            theirs = server.evaluate_all(context)
            for key in content["flags"]:
                given = theirs[key].get("errorCode") or theirs[key].get("variant")
                assert windsock_result(evaluator, key, context) == given, (key, context)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_any_rule_can_be_linted_and_every_finding_has_its_place(seed: int) -> None:
    rules = WildRules(random.Random(seed))
    content = document([rules.rule(5) for _ in range(3)]) | {"$evaluators": {"shared": rules.rule(2)}}
    text = json.dumps(content, indent=1).encode()
    for finding in lint(text, "f.flagd.json").findings:
        assert 1 <= finding.line <= text.count(b"\n") + 1
        assert finding.column >= 1


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
    assert set().union(*codes) <= {
        "unreachable",
        "listed-twice",
        "bucketing-without-flag-key",
        "constant-bucketing-key",
    }
