"""Scenarios of our own for what flagd's specification says of a flag, through the protocol that providers use.

Operators, bucketing and shared rules have their clauses in test_operators, test_bucketing and
tests/flags/test_references; selectors are a server's affair and are in tests/providers/test_selectors.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, OpenFeatureError
from openfeature.flag_evaluation import FlagResolutionDetails

from windsock.evaluator import FlagEvaluator

BY_TIER = {"if": [{"==": [{"var": "tier"}, "gold"]}, "high"]}


def flag(
    variants: dict[str, Any], default: str | None = None, rule: Any = None, **more: Any
) -> dict[str, Any]:
    made: dict[str, Any] = {"state": "ENABLED", "variants": variants, **more}
    if default is not None:
        made["defaultVariant"] = default
    return made if rule is None else made | {"targeting": rule}


ZERO = {"boolean": False, "string": "", "integer": 0, "float": 0.0, "object": {}}
FULL = {"boolean": True, "string": "hi", "integer": 10, "float": 0.5, "object": {"a": [1, None, {"b": "ü"}]}}

DOCUMENT = {
    "metadata": {"owner": "set", "limit": 3, "ratio": 1.5, "beta": True},
    "$evaluators": {"gold": {"==": [{"var": "tier"}, "gold"]}},
    "flags": {
        **{f"full-{kind}": flag({"it": value}, "it") for kind, value in FULL.items()},
        **{f"zero-{kind}": flag({"it": value, "no": FULL[kind]}, "it") for kind, value in ZERO.items()},
        **{
            f"targeted-zero-{kind}": flag({"high": value, "no": FULL[kind]}, "no", BY_TIER)
            for kind, value in ZERO.items()
        },
        "disabled": flag({"it": "x"}, "it") | {"state": "DISABLED"},
        "disabled-rule": flag({"high": "x"}, "high", BY_TIER) | {"state": "DISABLED"},
        "no-default": flag({"high": "x"}),
        "null-default": flag({"high": "x"}) | {"defaultVariant": None},
        "no-default-rule": flag({"high": "x"}, None, BY_TIER),
        "empty-rule": flag({"it": "x"}, "it", {}),
        "rule": flag({"high": "x", "low": "y"}, "low", BY_TIER),
        "null-rule": flag({"high": "x", "low": "y"}, "low", {"if": [True, None, "high"]}),
        "boolean-rule": flag({"true": "x", "false": "y"}, "false", {"==": [{"var": "tier"}, "gold"]}),
        "number-rule": flag({"1": "x", "2": "y"}, "2", {"var": "number"}),
        "shared-rule": flag({"high": "x", "low": "y"}, "low", {"if": [{"$ref": "gold"}, "high"]}),
        "missing-shared-rule": flag({"high": "x"}, "high", {"if": [{"$ref": "nobody"}, "high"]}),
        "unknown-variant": flag({"high": "x"}, "high", {"if": [True, "nowhere"]}),
        "key": flag({"key": "x", "no": "y"}, "no", {"var": "$flagd.flagKey"}),
        "time": flag(
            {"on": "x", "off": "y"}, "off", {"if": [{">": [{"var": "$flagd.timestamp"}, 999]}, "on"]}
        ),
        "targeting-key": flag({"ann": "x", "no": "y"}, "no", {"var": "targetingKey"}),
        "nested": flag({"eu": "x", "no": "y"}, "no", {"var": "company.region"}),
        "own-metadata": flag({"it": "x"}, "it", metadata={"owner": "flag", "note": "n"}),
    },
}


@dataclass(frozen=True)
class Expected:
    """What a caller gets; no value means the caller's default."""

    value: Any = None
    variant: str | None = None
    reason: str | None = None
    error: ErrorCode | None = None
    kind: str = "string"
    context: dict[str, Any] = field(default_factory=dict)


GOLD = {"tier": "gold"}
SCENARIOS = [
    *((f"full-{kind}", Expected(value, "it", "STATIC", kind=kind)) for kind, value in FULL.items()),
    *((f"zero-{kind}", Expected(value, "it", "STATIC", kind=kind)) for kind, value in ZERO.items()),
    *(
        (f"targeted-zero-{kind}", Expected(value, "high", "TARGETING_MATCH", kind=kind, context=GOLD))
        for kind, value in ZERO.items()
    ),
    *((f"targeted-zero-{kind}", Expected(value, "no", "DEFAULT", kind=kind)) for kind, value in FULL.items()),
    ("full-integer", Expected(10.0, "it", "STATIC", kind="float")),
    ("full-string", Expected(error=ErrorCode.TYPE_MISMATCH, kind="boolean")),
    ("full-float", Expected(error=ErrorCode.TYPE_MISMATCH, kind="integer")),
    ("nowhere", Expected(error=ErrorCode.FLAG_NOT_FOUND)),
    ("disabled", Expected(reason="DISABLED")),
    ("disabled", Expected(reason="DISABLED", kind="integer")),
    ("disabled-rule", Expected(reason="DISABLED", context=GOLD)),
    ("no-default", Expected(reason="DEFAULT")),
    ("null-default", Expected(reason="DEFAULT")),
    ("no-default-rule", Expected(reason="DEFAULT")),
    ("no-default-rule", Expected("x", "high", "TARGETING_MATCH", context=GOLD)),
    ("empty-rule", Expected("x", "it", "STATIC")),
    ("rule", Expected("x", "high", "TARGETING_MATCH", context=GOLD)),
    ("rule", Expected("y", "low", "DEFAULT")),
    ("null-rule", Expected("y", "low", "DEFAULT")),
    ("boolean-rule", Expected("x", "true", "TARGETING_MATCH", context=GOLD)),
    ("boolean-rule", Expected("y", "false", "TARGETING_MATCH")),
    ("number-rule", Expected("x", "1", "TARGETING_MATCH", context={"number": 1.0})),
    ("number-rule", Expected("y", "2", "DEFAULT")),
    ("shared-rule", Expected("x", "high", "TARGETING_MATCH", context=GOLD)),
    ("missing-shared-rule", Expected(error=ErrorCode.PARSE_ERROR)),
    ("unknown-variant", Expected(error=ErrorCode.GENERAL)),
    ("key", Expected("x", "key", "TARGETING_MATCH")),
    ("time", Expected("x", "on", "TARGETING_MATCH")),
    ("targeting-key", Expected("x", "ann", "TARGETING_MATCH")),
    ("nested", Expected("x", "eu", "TARGETING_MATCH", context={"company": {"region": "eu"}})),
    ("nested", Expected("y", "no", "DEFAULT")),
]
DEFAULTS: dict[str, Any] = {
    "boolean": True,
    "string": "default",
    "integer": -1,
    "float": -0.25,
    "object": {"default": 1},
}


@pytest.fixture(scope="module")
def evaluator() -> FlagEvaluator:
    evaluator = FlagEvaluator(clock=lambda: 1000.9)
    evaluator.set_flags(DOCUMENT)
    return evaluator


def resolve(
    evaluator: FlagEvaluator, key: str, kind: str, context: dict[str, Any]
) -> FlagResolutionDetails[Any]:
    ask = getattr(evaluator, f"resolve_{kind}_value")
    return ask(key, DEFAULTS[kind], EvaluationContext("ann", context))


@pytest.mark.parametrize(
    ("key", "expected"), SCENARIOS, ids=[f"{number}-{key}" for number, (key, _) in enumerate(SCENARIOS)]
)
def test_what_a_caller_gets(evaluator: FlagEvaluator, key: str, expected: Expected) -> None:
    if expected.error is not None:
        with pytest.raises(OpenFeatureError) as raised:
            resolve(evaluator, key, expected.kind, expected.context)
        assert raised.value.error_code is expected.error
        assert key in str(raised.value.error_message)
        return
    details = resolve(evaluator, key, expected.kind, expected.context)
    wanted = DEFAULTS[expected.kind] if expected.value is None else expected.value
    assert (details.value, type(details.value)) == (wanted, type(wanted))
    assert (details.variant, str(details.reason)) == (expected.variant, expected.reason)


@pytest.mark.parametrize("key", ["rule", "disabled", "no-default", "empty-rule"])
def test_the_set_s_metadata_is_every_flag_s(evaluator: FlagEvaluator, key: str) -> None:
    assert resolve(evaluator, key, "string", {}).flag_metadata == DOCUMENT["metadata"]


def test_a_flag_s_own_metadata_wins(evaluator: FlagEvaluator) -> None:
    given = resolve(evaluator, "own-metadata", "string", {}).flag_metadata
    assert given == {**DOCUMENT["metadata"], "owner": "flag", "note": "n"}  # type: ignore[dict-item]
    assert evaluator.get_flag_set_metadata() == DOCUMENT["metadata"]


def test_without_metadata_it_is_empty() -> None:
    evaluator = FlagEvaluator()
    evaluator.set_flags({"flags": {"it": flag({"a": "x"}, "a")}})
    assert resolve(evaluator, "it", "string", {}).flag_metadata == {}
    assert evaluator.get_flag_set_metadata() == {}
