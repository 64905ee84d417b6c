"""The attribute that alone decides a rule: named only where nothing else in the context can change the result."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evaluator.portable_rules import PortableRules
from tests.evaluator.wild_rules import VARIANTS, WildRules

from windsock.evaluator import CompiledFlag, FlagEvaluator
from windsock.evaluator.reads import deciding_attribute

TIER = {"var": "tier"}
PRO = {"==": [TIER, "pro"]}


@pytest.mark.parametrize(
    ("rule", "attribute"),
    [
        (PRO, "tier"),
        ({"var": ["tier"]}, "tier"),
        ({"if": [PRO, "a"]}, "tier"),
        ({"if": [PRO, "a", {"if": [{"in": [TIER, ["x"]]}, "b", None]}]}, "tier"),
        (
            {
                "if": [
                    {"and": [{"sem_ver": [TIER, ">", "1.0.0"]}, {"!": [{"starts_with": [TIER, "9"]}]}]},
                    "a",
                ]
            },
            "tier",
        ),
        ({"fractional": [["a", 1], ["b", 1]]}, "targetingKey"),
        (
            {"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "targetingKey"}]}, ["a", 1]]},
            "targetingKey",
        ),
        (
            {"if": [{"in": [{"var": "targetingKey"}, ["u1"]]}, {"fractional": [["a", 1]]}, "b"]},
            "targetingKey",
        ),
    ],
)
def test_a_rule_on_one_attribute_is_decided_by_it(rule: object, attribute: str) -> None:
    assert deciding_attribute(rule) == attribute


@pytest.mark.parametrize(
    "rule",
    [
        None,
        "a",
        {"if": [True, "a"]},
        {"and": [PRO, {"var": "country"}]},
        {"if": [PRO, {"fractional": [["a", 1]]}]},
        {"fractional": [TIER, ["a", 1]]},  # v2: for a value other than text the targeting key decides
        {"var": "tier.name"},
        {"var": ["tier", "free"]},
        {"var": TIER},
        {"var": ""},
        {"if": [{">": [{"var": "$flagd.timestamp"}, 1]}, "a"]},
        {"if": [PRO, {"var": "tier"}]},  # an object is a rule once more
        {"if": [{"==": [{"if": [PRO, TIER]}, 1]}, "a"]},
        {"if": [PRO, {"x": 1, "y": 2}]},
        {"missing": ["tier"]},
        {"missing_some": [1, ["tier"]]},
        {"some": [TIER, {"==": [{"var": ""}, "x"]}]},
        {"map": [TIER, {"var": "x"}]},
        {"no_such_operator": [TIER]},
    ],
)
def test_any_other_rule_has_no_deciding_attribute(rule: object) -> None:
    assert deciding_attribute(rule) is None


def test_a_rule_too_deep_to_walk_has_no_deciding_attribute() -> None:
    rule: object = TIER
    for _ in range(20_000):
        rule = {"!": [rule]}
    assert deciding_attribute(rule) is None


def compiled(rule: object, bucketing: str) -> CompiledFlag:
    evaluator = FlagEvaluator()
    flag = {"state": "ENABLED", "variants": VARIANTS, "defaultVariant": "c", "targeting": rule}
    evaluator.set_flags({"flags": {"flag": flag}, "metadata": {"bucketing": bucketing}})
    return evaluator.compiled["flag"]


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(source=st.randoms(use_true_random=False), wild=st.booleans())
def test_the_rest_of_the_context_changes_nothing(source: random.Random, *, wild: bool) -> None:
    """Nearly every attribute is renamed to one, because rules on one attribute are rare otherwise."""
    rules: WildRules | PortableRules = WildRules(source) if wild else PortableRules(source)
    only = source.choice(("tier", "targetingKey", "age"))
    flag = compiled(_on(only, rules.rule(2), source), source.choice(("v2", "v3")))
    if flag.decided_by is None:
        return
    for _ in range(3):
        value = rules.context().get(source.choice(("tier", "age", "roles", "company")))
        alone, among = {flag.decided_by: value}, {**rules.context(), flag.decided_by: value}
        first, second = flag.evaluate(alone), flag.evaluate(among)
        assert first is second or (first.error_message, first.error_code) == (
            second.error_message,
            second.error_code,
        )


def _on(only: str, rule: object, source: random.Random) -> object:
    if isinstance(rule, list):
        return [_on(only, item, source) for item in rule]
    if not isinstance(rule, dict):
        return rule
    if set(rule) == {"var"} and source.random() < 0.95:
        return {"var": only}
    return {name: _on(only, item, source) for name, item in rule.items()}


@pytest.mark.parametrize("value", [object(), ["x"], {"var": "country"}, float("nan"), 10**400])
def test_rule_and_evaluate_differ_in_failures_only(value: object) -> None:
    flag = compiled({"if": [{"cat": [TIER, "x"]}, "a", "b"]}, "v2")
    try:
        outcome = flag.rule({"tier": value})
    except Exception:  # noqa: BLE001 - that is the difference
        assert flag.evaluate({"tier": value}).reason == "ERROR"
    else:
        assert flag.evaluate({"tier": value}) is outcome
