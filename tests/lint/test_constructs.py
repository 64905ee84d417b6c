"""The list of constructs: its page in the documentation, and where it finds things in whole flags."""

import pytest
from tests.lint.portable_page import PAGE, page

from windsock.flags import read_document
from windsock.lint.portable import operators
from windsock.lint.portable.search import (
    BY_CODE,
    CONSTRUCTS,
    Construct,
    find_by_attribute,
    find_in_flag,
    find_in_rule,
)


def test_the_page_says_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.lint.portable_page"


def test_codes_are_unique() -> None:
    assert len(BY_CODE) == len(CONSTRUCTS)


def test_findings_in_a_flag_point_at_their_place() -> None:
    document = read_document(
        b'{"flags": {"a": {"variants": {"x&y": 1, "b": 2}, "targeting": {"if": [{"==": [{"var": "n"}, 0]}, "b"]}}}}',
        "a.flagd.json",
    )
    found = [(finding.construct.code, finding.pointer) for finding in find_in_flag(document.flags["a"])]
    assert found == [("variant-characters", "/variants/x&y"), ("compare-with-zero", "/targeting/if/0/==/1")]


@pytest.mark.parametrize(
    ("rule", "codes"),
    [
        ({"if": [{"in": [{"var": "x"}, ["a", "b"]]}, "a", None]}, []),
        ({"fractional": [["a", 50], ["b", 50]]}, []),
        ({"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "email"}]}, ["a", 1]]}, []),
        ({"in": [{"var": "x"}, []]}, []),
        ({"in": [1, ["a"]]}, ["in-mixed-list"]),
        ({"in": [{"var": "x"}, ["a", 1]]}, ["in-mixed-list"]),
        ({"in": {"var": "x"}}, ["in-mixed-list"]),
        ({"==": [{"var": "x"}]}, ["comparison-arguments"]),
        ({"<": [1, {"var": "x"}, 3]}, []),
        ({"<=": [{"var": "x"}, 0.0]}, ["compare-with-zero"]),
        ({"if": [{"!": {"var": "x"}}, "a"]}, ["negation-without-list"]),
        (
            {"fractional": [{"var": "x"}, ["a", 1.0], [], ["b", {"/": [4, 2]}]]},
            ["fractional-key"] + 3 * ["fractional-weight"],
        ),
        ({"if": [True, 1.0, 2]}, ["number-result", "number-result"]),
        ({"nonsense": []}, ["unknown-operator"]),
        ({"==": [{"var": "x"}, False]}, ["compare-with-zero"]),
        ({"==": [{"if": [{"var": "x"}, 0, 1]}, 0]}, []),
        ({"==": [{"if": [{"var": "x"}, 1]}, 0]}, ["compare-with-zero"]),
        ({"==": [{"var": "x"}, {"in": ["a", {"var": "y"}]}]}, ["compare-conditions"]),
        ({"<": ["a", 1]}, ["compare-types"]),
        ({"<": ["2", 1]}, []),
        ({"<": ["\U0001f600", {"var": "x"}]}, ["compare-types"]),
        ({"==": [{"-": [5, 1, 1]}, 3]}, ["argument-count"]),
        ({"all": [{"var": "x"}]}, ["argument-count"]),
        ({"starts_with": [{"var": "x"}, 1]}, ["argument-type"]),
        ({"<": [{"+": [{"var": "x"}, None]}, 3]}, ["argument-type"]),
        ({"cat": [{"var": "x"}, " b"]}, ["cat-space"]),
        ({"cat": ["", " b"]}, ["cat-space"]),
        ({"cat": ["a ", "b"]}, []),
        ({"cat": ["a", {"substr": [{"var": "x"}, 0, 3]}]}, ["cat-space"]),
        ({"==": [{"var": "x"}, None]}, ["compare-with-null"]),
        ({"===": [{"var": "x"}, None]}, []),
        ({">": [{"var": "x"}, {"if": [{"var": "y"}, 1, 2]}]}, ["compare-computed"]),
        ({"<": [{"if": [{"var": "y"}, 1, 2]}, {"var": "x"}]}, []),
        ({">": [{"var": "x"}, {"*": [{"var": "y"}, 2]}]}, []),
        ({"substr": [{"var": "x"}, 1]}, ["substr-start"]),
        ({"substr": [{"var": "x"}, -2, 1]}, ["substr-start"]),
        ({"substr": [{"var": "x"}, -2]}, []),
        ({"substr": [{"var": "x"}, 0, 3]}, []),
        ({"in": ["", {"var": "x"}]}, ["in-empty-text"]),
        ({"in": [{"if": [{"var": "y"}, "a", ""]}, {"var": "x"}]}, ["in-empty-text"]),
        ({"cat": ["v", 0.1]}, []),
        ({"cat": ["v", {"/": [{"var": "x"}, 3]}]}, ["cat-number"]),
        (
            {"filter": [{"var": "x"}, {"sem_ver": [{"var": ""}, ">", "1.0.0"]}]},
            ["list-result", "flagd-operator-in-list-condition"],
        ),
        ({"if": [{"!!": [{"merge": [{"var": "x"}, 1]}]}, "a"]}, ["negation-of-list"]),
        ({"fractional": [{"cat": ["ü", {"var": "x"}]}, ["a", 1]]}, ["fractional-non-ascii"]),
        ({"cat": [{"==": [1, 1]}]}, ["argument-type"]),
        ({"var": ["x", 2]}, ["number-result"]),
        ({"or": [{"merge": [["a"]]}, "b"]}, ["list-result"]),
        ({"if": [{}, "a"]}, ["object-as-condition"]),
        ({"some": [{"var": "x"}, {"fractional": [["a", 1]]}]}, ["variable-in-list-condition"]),
        ({"sem_ver": [{"var": "x"}, "==", "1.0.0"]}, ["argument-type"]),
        ({"sem_ver": [{"var": "x"}, "=", "1.0.0-20261121093000000"]}, ["version-literal"]),
        ({"cat": ["a", {"or": [{"var": "x"}, "b"]}]}, ["cat-condition"]),
        ({"cat": [{"or": [{"var": "x"}, "b"]}]}, ["cat-condition"]),
        ({"var": ["x", {"and": [{"var": "y"}, "b"]}]}, ["default-condition"]),
        ({"var": ["x", {"all": [{"var": "y"}, {"==": [{"var": ""}, 1]}]}]}, ["default-condition"]),
        ({"var": ["x", {"some": [{"var": "y"}, {"==": [{"var": ""}, 1]}]}]}, []),
        ({"var": ["x", {"if": [{"var": "y"}, {"or": [{"var": "z"}, "b"]}, "c"]}]}, []),
        ({"cat": ["a", {"if": [{"var": "y"}, {"or": [{"var": "x"}, "b"]}, "c"]}]}, []),
        ({"if": [{"reduce": [{"var": "x"}, {"in": ["a", ["a"]]}, 0]}, "a"]}, ["argument-type"]),
        ({"var": {"cat": ["user.", {"var": "x"}]}}, []),
        ({"var": {"!": [{"var": "x"}]}}, ["argument-type"]),
        ({"var": [{"merge": [{"var": "x"}]}, "a"]}, ["argument-type"]),
        ("on", ["rule-not-object"]),
    ],
)
def test_what_is_found_in_a_rule(rule: object, codes: list[str]) -> None:
    assert [finding.construct.code for finding in find_in_rule(rule)] == codes


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        (lambda choice: {"==": [{"cat": ["a", choice]}, "b"]}, "argument-type"),
        (lambda choice: {"==": [{"+": [1, choice]}, 2]}, "argument-type"),
        (lambda choice: {"==": [{"substr": [choice, 0, 1]}, "b"]}, "argument-type"),
        (lambda choice: {"in": ["a", choice]}, "argument-type"),
        (lambda choice: {"in": ["a", ["b", choice]]}, "in-mixed-list"),
        (lambda choice: {"some": [choice, {"==": [{"var": ""}, "a"]}]}, "argument-type"),
        (lambda choice: {"==": [choice, "a"]}, "compare-conditions"),
        (lambda choice: {"===": [choice, {"var": "y"}]}, "compare-conditions"),
        (lambda choice: {"var": choice}, "argument-type"),
    ],
)
def test_one_result_of_a_choice_is_enough(condition, code: str) -> None:
    """The other one is an attribute, which may be of any kind."""
    choice = {"if": [{"==": [{"var": "n"}, 1]}, {"var": "x"}, {"==": [{"var": "n"}, 2]}]}
    found = {each.construct.code for each in find_in_rule({"if": [condition(choice), "a", "b"]})}
    assert code in found
    assert not find_in_rule({"if": [condition({"var": "x"}), "a", "b"]})


def test_a_long_cat_looks_at_each_part_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(operators, "_may_be_blank", lambda part: not seen.append(part))
    rule = {"if": [{"==": [{"cat": [{"var": "x"}] * 500}, "a"]}, "b"]}
    assert not find_in_rule(rule)
    assert len(seen) == 500


def test_an_attribute_in_a_list_or_as_a_name_is_found_by_attributes() -> None:
    for rule, code in (
        ({"if": [{"in": ["a", ["b", {"var": "x"}]]}, "a"]}, "in-mixed-list"),
        ({"if": [{"var": {"var": "x"}}, "a"]}, "argument-type"),
    ):
        assert code in {each.construct.code for each in find_by_attribute(rule)}


@pytest.mark.parametrize(
    "construct", [each for each in CONSTRUCTS if not each.in_rule], ids=lambda construct: construct.code
)
def test_what_depends_on_attributes_is_found_by_them(construct: Construct) -> None:
    found = {finding.construct.code for finding in find_by_attribute(construct.rule)}
    assert construct.code in found


@pytest.mark.parametrize(
    "rule",
    [
        {"if": [{"fractional": [["a", 1], ["b", 1]]}, "a", "b"]},
        {"if": [{"===": ["pro", {"cat": ["a", "b"]}]}, "a", "b"]},
        {"if": [{">": [{"var": "$flagd.timestamp"}, 1_000]}, "a", "b"]},
    ],
    ids=str,
)
def test_a_rule_that_reads_no_attribute_depends_on_none(rule: object) -> None:
    assert {finding.construct.code for finding in find_by_attribute(rule)} <= {"targeting-key-non-ascii"}
