"""Compiled flags: shared outcomes, one look-up for many ids, the clock, and contexts that misbehave."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from uuid import UUID

import pytest
from openfeature.exception import ErrorCode

from windsock.evaluator import CompiledFlag
from windsock.evaluator.variant_names import variant_name
from windsock.flags import read_document


def compiled(rule: object, clock: Callable[[], float] = time.time, **flag: object) -> CompiledFlag:
    body = {"variants": {"a": "A", "b": "B", "c": "C"}, "defaultVariant": "c", "targeting": rule, **flag}
    document = read_document(json.dumps({"flags": {"f": body}}).encode(), "app.flagd.json")
    assert document.problems == ()
    return CompiledFlag(document.flags["f"], clock=clock)


def variant(rule: object, context: Mapping[str, object]) -> str | None:
    return compiled(rule).evaluate(context).variant


def test_outcomes_are_shared_by_variant_and_reason() -> None:
    flag = compiled({"if": [{"==": [{"var": "x"}, "a"]}, "a", {"==": [{"var": "x"}, "b"]}, "a"]})
    first, second = flag.evaluate({"x": "a"}), flag.evaluate({"x": "b"})
    assert first is second
    assert flag.evaluate({}) is flag.evaluate({"x": "z"})
    assert (first.value, first.reason, flag.evaluate({}).reason) == ("A", "TARGETING_MATCH", "DEFAULT")


@pytest.mark.parametrize("nested", [True, False])
def test_a_chain_of_id_lists_is_one_look_up_and_the_first_list_wins(nested: bool) -> None:
    lists = [(["u1", "u2"], "a"), (["u2", "u3"], "b"), (["7"], "b")]
    rule: object = "c"
    flat: list[object] = []
    for ids, name in lists:
        flat += [{"in": [{"var": "targetingKey"}, ids]}, name]
    for ids, name in reversed(lists):
        rule = {"if": [{"in": [{"var": "targetingKey"}, ids]}, name, rule]}
    flag = compiled(rule if nested else {"if": [*flat, "c"]})
    keys = ["u1", "u2", "u3", "7", "u4", None, 7, 0, True, ["u1"], {}]
    # 7 reads as "7"; 0 is what text that is not a number reads as, in the first list
    assert "".join(flag.evaluate({"targetingKey": key}).variant or "" for key in keys) == "aabbccbaccc"
    assert flag.evaluate({}).variant == "c"


@pytest.mark.parametrize(
    ("literal", "value", "expected"),
    [("5", 5, "a"), ("5.0", 5, "a"), (" ", 0, "a"), ("", 0, "a"), ("x", 0, "c"), ("1e3", "1000", "c")],
)
@pytest.mark.parametrize("literal_first", [True, False])
def test_text_that_is_a_number_equals_the_number(
    literal: str, value: object, expected: str, literal_first: bool
) -> None:
    attribute = {"var": "n"}
    both = [literal, attribute] if literal_first else [attribute, literal]
    assert variant({"if": [{"==": both}, "a", "c"]}, {"n": value}) == expected
    assert variant({"if": [{"==": both}, "a", {"==": [attribute, "y"]}, "b", "c"]}, {"n": value}) == expected


@pytest.mark.parametrize("every", [1, 2, 3], ids=["no look-ups", "every second", "every third"])
def test_a_rule_of_thousands_of_clauses_on_different_attributes_is_evaluated(every: int) -> None:
    clauses: list[object] = []
    for number in range(5_000):
        operator = "==" if every > 1 and number % every == 0 else ">"
        clauses += [{operator: [{"var": f"n{number}"}, "x" if operator == "==" else 10]}, "a"]
    last = {">": [{"var": "last"}, 10]}
    flag = compiled({"if": [*clauses, last, "b", "c"]})
    assert flag.evaluate({"last": 11}).variant == "b"
    assert flag.evaluate({"n4998": 11 if every == 1 else "x", "last": 11}).variant == "a"
    assert flag.evaluate({"last": 10}).variant == "c"


def test_a_chain_keeps_its_order_between_attributes() -> None:
    rule = {
        "if": [
            {"==": [{"var": "tier"}, "pro"]},
            "a",
            {"in": [{"var": "id"}, ["u1"]]},
            "b",
            {"==": ["free", {"var": "tier"}]},
            {"if": [{"var": "beta"}, "a", "b"]},
        ]
    }
    contexts: list[dict[str, object]] = [
        {"tier": "pro", "id": "u1"},
        {"tier": "free", "id": "u1"},
        {"tier": "free", "beta": True},
        {"tier": "free"},
        {"tier": "x"},
    ]
    assert [variant(rule, context) for context in contexts] == ["a", "b", "a", "b", "c"]


def test_the_timestamp_is_the_clocks_and_the_flag_key_the_flags() -> None:
    flag = compiled({"if": [{">": [{"var": "$flagd.timestamp"}, 1000]}, "a", "b"]}, clock=lambda: 1000.9)
    assert flag.evaluate({}).variant == "b"
    flag = compiled({"if": [{">": [{"var": "$flagd.timestamp"}, 1000]}, "a", "b"]}, clock=lambda: 1001.0)
    assert flag.evaluate({"$flagd": {"timestamp": 0}}).variant == "a"
    assert (
        variant({"if": [{"==": [{"var": "$flagd.flagKey"}, "f"]}, "a"]}, {"$flagd": {"flagKey": "g"}}) == "a"
    )
    assert variant({"if": [{"==": [{"var": {"cat": ["$flagd", ".flagKey"]}}, "f"]}, "a"]}, {}) == "a"


def test_the_clock_is_not_read_without_need() -> None:
    def clock() -> float:
        raise AssertionError("read")

    flag = compiled({"if": [{"==": [{"var": "$flagd.flagKey"}, "f"]}, "a"]}, clock=clock)
    assert flag.evaluate({}).variant == "a"


class Tier(str, Enum):  # noqa: UP042 - what older code has
    PRO = "pro"


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (Tier.PRO, "pro"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (Decimal("1.5"), 1.5),
    ],
)
def test_attributes_of_other_types_count_as_their_json(value: object, literal: object) -> None:
    assert variant({"if": [{"==": [{"var": "x"}, literal]}, "a", "b"]}, {"x": value}) == "a"
    assert variant({"if": [{"in": [{"var": "x"}, [literal]]}, "a", "b"]}, {"x": value}) == "a"
    assert (
        variant({"if": [{"==": [{"var": "o.x"}, literal]}, "a", "b"]}, {"o": MappingProxyType({"x": value})})
        == "a"
    )


@pytest.mark.parametrize("value", [Tier.PRO, UUID(int=1), datetime(2026, 1, 2, tzinfo=UTC)])
def test_attributes_of_other_types_in_a_list_count_as_their_json(value: object) -> None:
    literal = value.value if isinstance(value, Enum) else str(value).replace(" ", "T")
    tests = (
        {"in": [literal, {"var": "x"}]},
        {"in": [{"var": "y"}, {"var": "x"}]},
        {"some": [{"var": "x"}, {"==": [{"var": ""}, literal]}]},
        {"contains_any": [{"var": "x"}, [literal]]},
        {"contains_any": [[literal], {"var": "x"}]},
    )
    for test in tests:
        assert variant({"if": [test, "a", "b"]}, {"x": ["other", value], "y": value}) == "a", test


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no")


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise SystemExit("not even its error can be written")


class Unspeakable:
    def __str__(self) -> str:
        raise UnspeakableError


def deep(depth: int = 100_000) -> list[object]:
    inner: list[object] = []
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize("value", [Hostile(), Unspeakable(), (deep(), 1), [Unspeakable()], deep()], ids=type)
@pytest.mark.parametrize(
    "rule", [{"var": "x.0"}, {"if": [{"in": [{"var": "x"}, ["a"]]}, "a"]}, {"cat": [{"var": "x"}, "a"]}]
)
def test_no_attribute_makes_an_evaluation_raise(rule: object, value: object) -> None:
    outcome = compiled(rule).evaluate({"x": value})
    assert (outcome.error_code is None) == (outcome.error_message is None)


@pytest.mark.parametrize("value", [Hostile(), Unspeakable()], ids=type)
@pytest.mark.parametrize(
    "rule", [{"var": "x"}, {"if": [{"==": [{"var": "x"}, "a"]}, "a"]}, {"cat": [{"var": "x"}, "a"]}]
)
def test_an_attribute_that_raises_becomes_an_error(rule: object, value: object) -> None:
    outcome = compiled(rule).evaluate({"x": value})
    assert (outcome.value, outcome.error_code, outcome.reason) == (None, ErrorCode.PARSE_ERROR, "ERROR")
    assert outcome.error_message is not None
    assert outcome.error_message.startswith("flag 'f' (app.flagd.json:1): ")


def test_a_list_that_holds_itself_becomes_an_error() -> None:
    loop: list[object] = []
    loop.append(loop)
    outcome = compiled({"var": "x"}).evaluate({"x": loop})
    assert outcome.error_code is ErrorCode.PARSE_ERROR


def test_an_unknown_variant_lists_those_of_the_flag() -> None:
    outcome = compiled({"if": [True, "z"]}).evaluate({})
    assert outcome.error_code is ErrorCode.GENERAL
    assert "the rule gives 'z', which is not a variant; the variants are: 'a', 'b', 'c'" in str(
        outcome.error_message
    )


def test_a_null_variant_is_a_type_mismatch() -> None:
    outcome = compiled({"if": [True, "a"]}, variants={"a": None, "c": 1}).evaluate({})
    assert (outcome.error_code, outcome.value) == (ErrorCode.TYPE_MISMATCH, None)


@pytest.mark.parametrize(
    ("result", "name"),
    [
        (5e-7, "5e-7"),
        (1e-6, "0.000001"),
        (1.5e-9, "1.5e-9"),
        (2.5e-12, "2.5e-12"),
        (-1e21, "-1e+21"),
        (1.5e22, "1.5e+22"),
        (123456789012345680000, "123456789012345680000"),
        (2.0, "2"),
        ([True, 1.0, "x"], "[true,1,x]"),
        ({"b": 1, "a": [None]}, "{a:[null],b:1}"),
    ],
)
def test_the_variant_that_a_result_of_another_type_selects(result: object, name: str) -> None:
    assert variant_name(result) == name


def test_a_rule_that_counts_as_false_is_a_rule() -> None:
    variants = {"0": "zero", "false": "no", "c": "C"}
    assert compiled(0, variants=variants).evaluate({}).variant == "0"
    assert compiled(False, variants=variants).evaluate({}).variant == "false"
    assert compiled("", variants=variants).evaluate({}).error_code is ErrorCode.GENERAL


@pytest.mark.parametrize("rule", [None, {}])
def test_no_rule_is_static(rule: object) -> None:
    outcome = compiled(rule).evaluate({})
    assert (outcome.value, outcome.variant, outcome.reason) == ("C", "c", "STATIC")


def test_a_deep_rule_is_evaluated_and_a_hostile_depth_is_not_read() -> None:
    rule: object = "a"
    for _ in range(60):
        rule = {"if": [{"!": [{"var": "none"}]}, rule]}
    assert variant(rule, {}) == "a"


def test_rules_nested_in_every_operator_compile() -> None:
    """Compiling each operand twice would take 2⁴⁵ steps."""
    rule: object = {"var": "x"}
    for _ in range(45):
        rule = {"cat": [{"fractional": [rule, ["a", 1]]}, ""]}
    assert compiled(rule).evaluate({"x": "u"}).variant == "a"
