"""windsock beside the other evaluators: alike outside the portable list, like the server inside it."""

import itertools
import json
import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from json_logic.builtins import BUILTINS
from tests.evaluator.everywhere import answers
from tests.evaluator.explained import is_explained
from tests.evaluator.oracles import NpmCore, python_core, python_result, windsock_result
from tests.evaluator.ordinary_rules import VARIANTS as ORDINARY_VARIANTS
from tests.evaluator.ordinary_rules import OrdinaryRules
from tests.evaluator.portable_rules import PortableRules
from tests.evaluator.wild_rules import VARIANTS, WildRules
from tests.flagd_server import FlagdServer

from windsock.evaluator import FlagEvaluator
from windsock.flags.kinds import ARITHMETIC, LIST_OPERATORS
from windsock.flags.operations import operations
from windsock.lint.linter import Level, lint
from windsock.lint.portable.search import BY_CODE, CONSTRUCTS, Construct, find_by_attribute, find_in_rule

MORE_VARIANTS = {name: name for name in (*VARIANTS, "anull", "2.0", "a&", "ba")}
PORTABLE = {
    *("!", "!!", "and", "or", "if", "?:", "==", "!=", "===", "!==", "<", "<=", ">", ">="),
    *("in", "cat", "substr", "merge", "var", "starts_with", "ends_with", "sem_ver", "fractional"),
    *(set(ARITHMETIC) - {"%"}),
    *(set(LIST_OPERATORS) - {"reduce"}),
}
"""Operators that a rule may use and still agree everywhere."""

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


def test_what_the_list_does_not_explain_agrees_everywhere(npm: NpmCore, record_property) -> None:
    compared: set[str] = set()
    for seed in range(8):
        wild, ordinary = WildRules(random.Random(seed)), OrdinaryRules(random.Random(seed))
        rules = [wild.rule(wild.random.randint(1, 4)) for _ in range(2000)]
        plain = [rule for rule in rules if not find_in_rule(rule)]
        found = answers(npm, plain, VARIANTS, [wild.context() for _ in range(6)])
        rules = [ordinary.rule() for _ in range(1000)]
        plain = [rule for rule in rules if not find_in_rule(rule)]
        contexts = [context() for context in (ordinary.context, ordinary.odd_context) * 2]
        for each in itertools.chain(found, answers(npm, plain, ORDINARY_VARIANTS, contexts)):
            if not is_explained(each.rule, each.context):
                assert each.agree, each
                compared.add(json.dumps(each.rule))
    used = Counter(name for rule in compared for name in {name for name, _ in operations(json.loads(rule))})
    reading = used["var"]
    rarest = sorted(PORTABLE, key=used.__getitem__)[:3]
    fewest = ", ".join(f"{name} in {used[name]}" for name in rarest)
    said = f"{len(compared):,} rules compared, {reading:,} of them read attributes; {fewest}"
    record_property("compared", said)  # in the report: pytest --junit-xml
    assert len(compared) >= 2000, f"the guard explains too much away: {said}"
    assert reading >= 1000, f"the guard explains too much away: {said}"
    assert used[rarest[0]], f"the guard explains too much away: {said}"


def ordinary_rules(seed: int, count: int) -> tuple[OrdinaryRules, list[object]]:
    """Rules that lint clean, with the source that they came from."""
    source = OrdinaryRules(random.Random(seed))
    return source, list(itertools.islice(filter(is_clean, iter(source.rule, None)), count))


def is_clean(rule: object) -> bool:
    flag = {"state": "ENABLED", "variants": ORDINARY_VARIANTS, "defaultVariant": "c", "targeting": rule}
    found = lint(json.dumps({"flags": {"flag": flag}}).encode(), "f.flagd.json").findings
    return all(finding.level is Level.NOTE for finding in found)


def test_rules_that_lint_clean_agree_everywhere_for_ordinary_attributes(npm: NpmCore) -> None:
    """A small run of `python -m bench.portability`; the flagd server is asked too where there is one."""
    source, rules = ordinary_rules(20, 400)
    for found in answers(npm, rules, ORDINARY_VARIANTS, [source.context() for _ in range(6)]):
        assert found.agree, found


def test_for_odd_attributes_they_differ_only_where_the_list_says_so(npm: NpmCore) -> None:
    source, rules = ordinary_rules(21, 400)
    differ = 0
    for found in answers(npm, rules, ORDINARY_VARIANTS, [source.odd_context() for _ in range(6)]):
        differ += not found.agree
        assert found.agree or is_explained(found.rule, found.context), found
        assert found.agree or find_by_attribute(found.rule), found
    assert differ > 50, "odd attributes must be odd enough to tell the evaluators apart"


@settings(max_examples=300, deadline=None)
@given(randomness)
def test_every_rule_gives_a_variant_or_an_error_for_every_context(source: random.Random) -> None:
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
