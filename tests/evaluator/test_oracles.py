"""windsock beside the other evaluators: alike outside the portable list, like the server inside it."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from json_logic.builtins import BUILTINS
from tests.evaluator.explained import is_explained
from tests.evaluator.oracles import NpmCore, python_core, python_result, windsock_result
from tests.evaluator.portable_rules import PortableRules
from tests.evaluator.wild_rules import VARIANTS, WildRules
from tests.flagd_server import FlagdServer

from windsock.evaluator import FlagEvaluator
from windsock.lint.portable.search import BY_CODE, CONSTRUCTS, Construct, find_in_rule

MORE_VARIANTS = {name: name for name in (*VARIANTS, "anull", "2.0", "a&", "ba")}
randomness = st.randoms(use_true_random=False)


def document(rule: object, bucketing: str) -> dict[str, object]:
    flag = {"state": "ENABLED", "variants": MORE_VARIANTS, "defaultVariant": "c", "targeting": rule}
    return {"flags": {"flag": flag}, "metadata": {"bucketing": bucketing}}


def serving(rule: object, bucketing: str) -> FlagEvaluator:
    evaluator = FlagEvaluator()
    evaluator.set_flags(document(rule, bucketing))
    assert evaluator.flag_set.problems == ()
    return evaluator


@settings(max_examples=300, deadline=None)
@given(randomness)
def test_portable_rules_are_found_portable_and_agree_with_the_python_core(source: random.Random) -> None:
    rules = PortableRules(source)
    rule = rules.rule()
    assert [finding.construct.code for finding in find_in_rule(rule)] == []
    evaluator, core = serving(rule, "v3"), python_core(document(rule, "v3"))
    for _ in range(5):
        context = rules.context()
        assert windsock_result(evaluator, "flag", context) == python_result(core, "flag", context), context


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(randomness)
def test_portable_rules_agree_with_the_npm_core(npm: NpmCore, source: random.Random) -> None:
    rules = PortableRules(source)
    rule = rules.rule()
    contexts = [rules.context() for _ in range(5)]
    evaluator = serving(rule, "v2")
    mine = [windsock_result(evaluator, "flag", context) for context in contexts]
    assert mine == [result["flag"] for result in npm.results(document(rule, "v2"), contexts)]


def plain_wild_rules(rules: WildRules) -> dict[str, dict[str, object]]:
    """Flags with those of some wild rules in which nothing of the list is found."""
    made = [rules.rule(rules.random.randint(1, 4)) for _ in range(100)]
    return {
        f"flag-{number}": {"state": "ENABLED", "variants": VARIANTS, "defaultVariant": "c", "targeting": rule}
        for number, rule in enumerate(made)
        if not find_in_rule(rule)
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_what_the_list_does_not_explain_agrees_with_both_cores(npm: NpmCore, seed: int) -> None:
    rules = WildRules(random.Random(seed))
    flags = plain_wild_rules(rules)
    contexts = [rules.context() for _ in range(3)]
    v2, v3 = ({"flags": flags, "metadata": {"bucketing": bucketing}} for bucketing in ("v2", "v3"))
    core, of_npm = python_core(v3), npm.results(v2, contexts)
    evaluators = FlagEvaluator(), FlagEvaluator()
    for evaluator, content in zip(evaluators, (v2, v3), strict=True):
        evaluator.set_flags(content)
    for key, flag in flags.items():
        for context, theirs in zip(contexts, of_npm, strict=True):
            if not is_explained(flag["targeting"], context):
                mine = [windsock_result(evaluator, key, context) for evaluator in evaluators]
                both = [theirs[key], python_result(core, key, context)]
                assert mine == both, (flag["targeting"], context)


@settings(max_examples=300, deadline=None)
@given(randomness)
def test_no_rule_and_no_context_raises_or_gives_what_is_no_variant(source: random.Random) -> None:
    rules = WildRules(source)
    evaluator = serving(rules.rule(5), source.choice(("v2", "v3")))
    for _ in range(3):
        outcome = evaluator.compiled["flag"].evaluate(rules.context())
        assert outcome.variant in MORE_VARIANTS if outcome.variant is not None else outcome.value is None


@pytest.mark.parametrize("construct", CONSTRUCTS, ids=lambda construct: construct.code)
def test_each_construct_is_a_disagreement_with_the_python_core(construct: Construct) -> None:
    evaluator = serving(construct.rule, "v3")
    core = python_core(document(construct.rule, "v3"))
    mine = windsock_result(evaluator, "flag", construct.context)
    theirs = python_result(core, "flag", construct.context)
    assert (mine != theirs) == ("python" in construct.dissenters), (mine, theirs)


@pytest.mark.parametrize("construct", CONSTRUCTS, ids=lambda construct: construct.code)
def test_each_construct_is_a_disagreement_with_the_npm_core(npm: NpmCore, construct: Construct) -> None:
    mine = windsock_result(serving(construct.rule, "v2"), "flag", construct.context)
    [theirs] = npm.results(document(construct.rule, "v2"), [construct.context])
    assert (mine != theirs["flag"]) == ("npm" in construct.dissenters), (mine, theirs)


@pytest.mark.parametrize("construct", CONSTRUCTS, ids=lambda construct: construct.code)
def test_a_construct_is_found_in_its_example_when_the_rule_shows_it(construct: Construct) -> None:
    codes = {finding.construct.code for finding in find_in_rule(construct.rule)}
    assert (construct.code in codes) == construct.in_rule


def test_operators_that_only_the_python_core_has_are_found_and_named() -> None:
    core = {name for name in BUILTINS if find_in_rule({name: ["a", 1]})}
    alone = {name for name in core if find_in_rule({name: ["a", 1]})[0].construct.code == "unknown-operator"}
    assert alone == {"log"}
    assert "Python alone `log`" in BY_CODE["unknown-operator"].explanation


@pytest.mark.flagd
def test_windsock_does_what_the_server_does(tmp_path) -> None:
    rules = WildRules(random.Random(7))
    flags = {
        f"wild-{number}": {"variants": VARIANTS, "defaultVariant": "c", "targeting": rules.rule()}
        for number in range(1000)
    }
    flags |= {
        f"construct-{construct.code}": {
            "variants": MORE_VARIANTS,
            "defaultVariant": "c",
            "targeting": construct.rule,
        }
        for construct in CONSTRUCTS
    }
    evaluator = FlagEvaluator()
    evaluator.set_flags({"flags": flags})
    contexts = [rules.context() for _ in range(4)] + [construct.context for construct in CONSTRUCTS]
    with FlagdServer.serving(tmp_path, {"flags": flags}) as server:
        for context in contexts:
            results = server.evaluate_all(context)
            for key in flags:
                theirs = results[key].get("errorCode") or results[key].get("variant")
                assert windsock_result(evaluator, key, context) == theirs, (flags[key]["targeting"], context)
