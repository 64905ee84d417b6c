"""Mistakes that no tool tells before they serve, one by one: each is found with its code, at its line."""

import json
from datetime import date
from typing import Any

import pytest

from windsock.lint.linter import Finding, Level, LintOptions, lint

FLAG: dict[str, Any] = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
EMAIL = {"var": "email"}
KEY = {"cat": [{"var": "$flagd.flagKey"}, EMAIL]}
BY_EMAIL = {"in": [EMAIL, ["ada@example.org"]]}
SPLIT = [["on", 10], ["off", 90]]
ASKED = LintOptions(frozenset({"missing-owner", "weights-not-100"}), today=date(2026, 6, 1))


def flag(**changes: object) -> dict[str, Any]:
    kept = {name: value for name, value in (FLAG | changes).items() if value is not ...}
    return {"flags": {"f": kept}, "metadata": {"owner": "us"}}


def ruled(condition: object) -> dict[str, Any]:
    return flag(targeting={"if": [condition, "on", "off"]})


def shared(rules: dict[str, object]) -> dict[str, Any]:
    return ruled({"$ref": next(iter(rules))}) | {"$evaluators": rules}


def lists(*values: list[object]) -> dict[str, Any]:
    clauses = [part for each in values for part in ({"in": [EMAIL, each]}, "on")]
    return flag(targeting={"if": [*clauses, "off"]})


def owned(**metadata: object) -> dict[str, Any]:
    return {"flags": {"f": FLAG | {"metadata": metadata}}}


def numbers(*values: object) -> dict[str, Any]:
    return flag(variants=dict(zip(("on", "off"), values, strict=True)))


def deep() -> dict[str, Any]:
    value: dict[str, object] = {}
    for _ in range(40):
        value = {"x": value}
    return numbers(value, {})


E, W, N = Level.ERROR, Level.WARNING, Level.NOTE

MISTAKES = [
    # a flag and its variants
    ("a property typo: targeting is off in silence", flag(targetting={}), "unknown-property", E),
    ("an extra property: Python refuses the file", flag(description="x"), "unknown-property", E),
    ("a property in another case", flag(Variants={}), "unknown-property", E),
    ("no state: Python refuses the file", flag(state=...), "bad-state", E),
    ("a state in lower case", flag(state="enabled"), "bad-state", E),
    ("metadata that is an object", flag(metadata={"a": {}}), "metadata-value", E),
    ("no default", flag(defaultVariant=...), "missing-default", N),
    ("a null default: the OFREP provider's error", flag(defaultVariant=None), "missing-default", N),
    ("a default that is not a variant: Go refuses the file", flag(defaultVariant="of"), "default-not-variant", E),
    ("no variants: the file provider refuses the set", flag(variants={}), "no-variants", E),
    ("an unused variant", flag(targeting={"if": [BY_EMAIL, "off"]}), "unused-variant", N),
    ("whole and decimal variants", numbers(1, 1.5), "mixed-numbers", W),
    ("variants of two types", numbers(1, "1"), "mixed-types", E),
    ("a list as a variant", numbers([1], [2]), "null-variant", E),
    ("a number that every engine rounds", numbers({"n": 2**53 + 1}, {}), "big-number", W),
    ("a number that is infinite", numbers({"n": 1e400}, {}), "bad-value", E),
    ("an object too deep for gRPC", deep(), "deep-value", W),
    ("an object too large for a client", numbers({"t": "x" * 300_000}, {}), "large-value", W),
    ("$ref inside a value", numbers({"$ref": "x"}, {}), "reference-in-value", E),
    ("a variant's name that Go never finds", flag(variants=FLAG["variants"] | {"a&b": True}), "variant-characters", E),
    # rules
    ("an unknown variant in a rule", flag(targeting={"if": [BY_EMAIL, "onn"]}), "unknown-variant", E),
    ("an unknown variant in a bucket", flag(targeting={"fractional": [["onn", 1], ["off", 1]]}), "unknown-variant", E),
    ("a bare condition: `false` is not a variant", flag(targeting=BY_EMAIL), "unknown-variant", E),
    ("a branch behind one that always holds", flag(targeting={"if": [True, "on", "off"]}), "unreachable", W),
    ("a branch for users of an earlier one", lists(["a", "b"], ["b"]), "unreachable", W),
    ("a user in two lists", lists(["a", "b"], ["b", "c"]), "listed-twice", W),
    ("a user twice in a list", lists(["a", "b", "a"]), "listed-twice", W),
    ("a list inside a list", lists([["a"]]), "in-mixed-list", W),
    ("numbers and texts in a list", lists(["a", 1]), "in-mixed-list", W),
    ("two operators in one object", ruled({"==": [EMAIL, "a"], "!=": [EMAIL, "b"]}), "several-operators", E),
    ("an operator that is none", ruled({"equals": [EMAIL, "a"]}), "unknown-operator", E),
    ("milliseconds", ruled({">": [{"var": "$flagd.timestamp"}, 1_767_225_600_000]}), "millisecond-timestamp", E),
    ("an attribute typo", ruled({"==": [{"var": "targetingkey"}, "ada"]}), "attribute-typo", W),
    ("comparing with 0", ruled({"==": [{"var": "age"}, 0]}), "compare-with-zero", W),
    ("=== with a boolean", ruled({"===": [{"var": "beta"}, True]}), "strict-boolean", W),
    ("% of what may be negative", ruled({"==": [{"%": [{"var": "age"}, 3]}, 1]}), "modulo", W),
    ("missing", ruled({"missing": ["email"]}), "missing", W),
    ("a number as a result", flag(targeting={"if": [BY_EMAIL, 1]}, variants={"1": 1, "off": 0}), "number-result", W),
    ("`1.2` as a version", ruled({"sem_ver": [{"var": "v"}, ">", "1.2"]}), "version-literal", W),
    ("text as a version", ruled({"sem_ver": [{"var": "v"}, ">", "latest"]}), "operator-arguments", E),
    # buckets
    ("weights that miss 100", flag(targeting={"fractional": [["on", 10], ["off", 80]]}), "weights-not-100", W),
    ("decimal weights", flag(targeting={"fractional": [["on", 10.0], ["off", 90]]}), "fractional-weight", W),
    ("no weight at all", flag(targeting={"fractional": [["on", 0], ["off", 0]]}), "no-weight", E),
    ("a third element in a bucket", flag(targeting={"fractional": [["on", 1, 2], ["off", 1]]}), "operator-arguments", E),
    ("buckets in one list", flag(targeting={"fractional": [SPLIT]}), "nested-buckets", E),
    ("a key without the flag's", flag(targeting={"fractional": [EMAIL, *SPLIT]}), "bucketing-without-flag-key", W),
    ("a key that may be missing", flag(targeting={"fractional": [EMAIL, *SPLIT]}), "fractional-key", W),
    ("a literal as the key", flag(targeting={"fractional": ["email", *SPLIT]}), "constant-bucketing-key", E),
    # shared rules
    ("an unknown $ref", ruled({"$ref": "nobody"}), "unknown-reference", E),
    ("a $ref circle", shared({"a": {"!": [{"$ref": "a"}]}}), "reference-cycle", E),
    ("a $ref in a shared rule", shared({"a": {"!": [{"$ref": "b"}]}, "b": BY_EMAIL}), "nested-reference", E),
    ("an unused shared rule", flag() | {"$evaluators": {"a": BY_EMAIL}}, "unused-evaluator", N),
    ("a backslash in a shared rule", shared({"a": {"==": [EMAIL, "\\"]}}), "evaluator-characters", E),
    ("text outside ASCII in a shared rule", shared({"a": {"==": [EMAIL, "ü"]}}), "evaluator-characters", E),
    # upkeep
    ("an expired flag", owned(owner="us", expires="2026-05-31"), "expired", W),
    ("no owner", owned(), "missing-owner", W),
    # an overlay
    ("an overlay that is no `none: {}`", {"flags": {"t.profile": FLAG | {"metadata": {"owner": "us"}}}}, "overlay-default", W),
]  # fmt: skip


def found(content: object, options: LintOptions = ASKED) -> tuple[Finding, ...]:
    return lint(json.dumps(content, indent=1).encode(), "f.flagd.json", options).findings


@pytest.mark.parametrize(
    ("content", "code", "level"), [each[1:] for each in MISTAKES], ids=[each[0] for each in MISTAKES]
)
def test_a_mistake_is_found_and_placed(content, code, level):
    [*hits] = [finding for finding in found(content) if finding.code == code]
    assert hits
    assert {finding.level for finding in hits} == {level}
    assert all(finding.line > 1 and finding.column > 0 and finding.message for finding in hits)


def test_a_misspelt_bucketing_attribute_is_found_where_the_project_declares_its_attributes():
    content = flag(targeting={"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "emial"}]}, *SPLIT]})
    [finding] = found(content, LintOptions(attributes=frozenset({"email"})))
    assert (finding.code, finding.flag) == ("unknown-attribute", "f")
    assert "did you mean 'email'?" in finding.message


def test_a_duplicate_key_is_found_at_the_second():
    text = b'{"flags": {\n"f": {"state": "ENABLED", "variants": {"on": true,\n"on": false}, "defaultVariant": "on"}}}'
    [finding] = lint(text, "f.flagd.json").findings
    assert (finding.code, finding.line, finding.column) == ("bad-value", 3, 1)


def test_a_set_too_large_for_the_stream_is_one_finding():
    users = [f"user-{number:040d}" for number in range(90_000)]
    [finding] = found(lists(users))
    assert (finding.code, finding.level, finding.flag) == ("large-file", W, None)


@pytest.mark.parametrize(
    ("shape", "content"),
    [
        ("an object flag by environment", flag(variants={"on": {"a": 1}, "off": {"a": 2}}, targeting={"if": [{"==": [{"var": "environment"}, "staging"]}, "on"]})),
        ("an overlay without an else", {"flags": {"t.profile": flag(variants={"none": {}, "p1": {"a": 1}}, defaultVariant="none", targeting={"if": [{"in": [{"var": "targetingKey"}, ["ada"]]}, "p1"]})["flags"]["f"]}, "metadata": {"owner": "us"}}),
        ("a split in percent", flag(targeting={"fractional": SPLIT})),
        ("a split by an attribute and the flag's key", flag(targeting={"fractional": [KEY, *SPLIT]})),
        ("`v1.0.0` as a version, which the official schema refuses", ruled({"sem_ver": [{"var": "v"}, ">=", "v1.0.0"]})),
        ("a boolean flag by a bare condition", flag(variants={"true": True, "false": False}, defaultVariant="false", targeting=BY_EMAIL)),
    ],
)  # fmt: skip
def test_a_shape_that_every_route_serves_is_clean(shape, content):
    assert found(content) == (), shape
