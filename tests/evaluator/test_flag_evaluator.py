"""The official evaluator protocol: types, errors, copies, and what stays when a load fails."""

import pytest
from openfeature.contrib.tools.flagd.api import Evaluator
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import (
    FlagNotFoundError,
    GeneralError,
    ParseError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import Reason

from windsock.evaluator import FlagEvaluator
from windsock.flags import merge, read_document


def serving(**flags: dict[str, object]) -> FlagEvaluator:
    evaluator = FlagEvaluator()
    evaluator.set_flags({"flags": flags, "metadata": {"team": "core"}})
    return evaluator


def test_it_is_the_protocol() -> None:
    evaluator: Evaluator = FlagEvaluator()
    assert evaluator.get_flag_set_metadata() == {}


def test_a_static_flag_gives_its_default_variant() -> None:
    details = serving(a={"variants": {"on": True}, "defaultVariant": "on"}).resolve_boolean_value("a", False)
    assert (details.value, details.variant, details.reason) == (True, "on", Reason.STATIC)
    assert details.flag_metadata == {"team": "core"}


def test_a_disabled_flag_gives_the_callers_default() -> None:
    evaluator = serving(a={"state": "DISABLED", "variants": {"on": True}, "defaultVariant": "on"})
    details = evaluator.resolve_boolean_value("a", False)
    assert (details.value, details.variant, details.reason) == (False, None, Reason.DISABLED)


def test_a_null_default_gives_the_callers_default() -> None:
    evaluator = serving(a={"variants": {"x": 1}, "defaultVariant": None})
    details = evaluator.resolve_integer_value("a", 7)
    assert (details.value, details.variant, details.reason) == (7, None, Reason.DEFAULT)


def test_an_unknown_flag_is_named() -> None:
    with pytest.raises(FlagNotFoundError, match="'nope'"):
        serving().resolve_string_value("nope", "")


@pytest.mark.parametrize(
    ("method", "value", "default"),
    [
        ("boolean", 1, False),
        ("boolean", "true", False),
        ("string", 1, ""),
        ("integer", True, 0),
        ("integer", "1", 0),
        ("integer", 1.5, 0),
        ("float", True, 0.0),
        ("float", "1", 0.0),
        ("object", "x", {}),
        ("object", 1, {}),
    ],
)
def test_a_value_of_another_type_is_refused_and_named(method: str, value: object, default: object) -> None:
    evaluator = serving(a={"variants": {"v": value}, "defaultVariant": "v"})
    with pytest.raises(TypeMismatchError, match="flag 'a': variant 'v'"):
        getattr(evaluator, f"resolve_{method}_value")("a", default)


def test_whole_floats_are_integers_and_integers_are_floats() -> None:
    evaluator = serving(
        whole={"variants": {"v": 1e3}, "defaultVariant": "v"},
        big={"variants": {"v": 2**63}, "defaultVariant": "v"},
    )
    assert evaluator.resolve_integer_value("whole", 0).value == 1000
    assert evaluator.resolve_integer_value("big", 0).value == 2**63
    value = evaluator.resolve_float_value("big", 0.0).value
    assert (value, type(value)) == (float(2**63), float)


def test_a_caller_gets_its_own_copy() -> None:
    evaluator = serving(
        a={"variants": {"v": {"list": [1, {"k": 1}]}}, "defaultVariant": "v", "metadata": {"m": 1}}
    )
    first = evaluator.resolve_object_value("a", {})
    first.value["list"][1]["k"] = "changed"
    first.value["new"] = 1
    first.flag_metadata["m"] = 2
    second = evaluator.resolve_object_value("a", {})
    assert second.value == {"list": [1, {"k": 1}]}
    assert second.flag_metadata == {"team": "core", "m": 1}


def test_an_unknown_variant_lists_the_known_ones() -> None:
    evaluator = serving(a={"variants": {"on": True}, "targeting": {"if": [True, "none-such"]}})
    with pytest.raises(GeneralError, match=r"'none-such'.*'on'"):
        evaluator.resolve_boolean_value("a", False)


def test_a_rule_that_cannot_be_evaluated_is_a_parse_error() -> None:
    evaluator = serving(a={"variants": {"on": True}, "targeting": {"no_such_operator": [1]}})
    with pytest.raises(ParseError, match="no_such_operator"):
        evaluator.resolve_boolean_value("a", False)


def test_the_targeting_key_is_an_attribute() -> None:
    rule = {"if": [{"==": [{"var": "targetingKey"}, "ada"]}, "on"]}
    evaluator = serving(
        a={"variants": {"on": True, "off": False}, "defaultVariant": "off", "targeting": rule}
    )
    assert evaluator.resolve_boolean_value("a", False, EvaluationContext("ada")).variant == "on"
    assert evaluator.resolve_boolean_value("a", False, EvaluationContext("bob")).variant == "off"
    assert evaluator.resolve_boolean_value("a", False, EvaluationContext(None)).variant == "off"
    assert evaluator.resolve_boolean_value("a", False).variant == "off"


@pytest.mark.parametrize(
    "broken", ["", "{", "[]", "{}", '{"flags": 1}', '{"flags": {}, "metadata": {"bucketing": 4}}']
)
def test_a_load_that_fails_keeps_the_last_good_set(broken: str) -> None:
    evaluator = serving(a={"variants": {"on": True}, "defaultVariant": "on"})
    with pytest.raises(ParseError, match="flags"):
        evaluator.set_flags(broken)
    assert evaluator.resolve_boolean_value("a", False).value is True


def test_objects_that_json_cannot_write_are_refused() -> None:
    with pytest.raises(ParseError, match="JSON"):
        FlagEvaluator().set_flags({"flags": {"a": {"variants": {"x": object()}}}})


def test_changed_keys_are_those_added_removed_or_changed() -> None:
    evaluator = serving(
        same={"variants": {"x": 1}, "defaultVariant": "x"},
        changed={"variants": {"x": 1}, "defaultVariant": "x"},
        gone={"variants": {}},
    )
    keys = evaluator.set_flags_and_get_changed_keys(
        {
            "metadata": {"team": "core"},
            "flags": {
                "new": {"variants": {}},
                "changed": {"variants": {"x": True}, "defaultVariant": "x"},
                "same": {"variants": {"x": 1}, "defaultVariant": "x"},
            },
        }
    )
    assert keys == ["changed", "gone", "new"]


def test_a_flag_that_stays_keeps_its_compiled_form() -> None:
    evaluator = FlagEvaluator()
    text = b'{"flags": {"a": {"variants": {"x": 1}, "defaultVariant": "x"}}}'
    evaluator.load(merge([read_document(text, "one.flagd.json")]))
    kept = evaluator.compiled["a"]
    assert evaluator.load(merge([read_document(b"\n\n" + text, "two.flagd.json")])) == frozenset()
    assert evaluator.compiled["a"] is kept


def test_one_bad_flag_leaves_the_others() -> None:
    evaluator = serving(
        bad={"variants": {"on": True}, "defaultVariant": "off"},
        good={"variants": {"on": True}, "defaultVariant": "on"},
    )
    assert evaluator.resolve_boolean_value("good", False).value is True
    assert [problem.flag for problem in evaluator.flag_set.problems] == ["bad"]
    with pytest.raises(FlagNotFoundError):
        evaluator.resolve_boolean_value("bad", False)
