"""Every operator of flagd, clause by clause of its specification and of JSONLogic's."""

import pytest

from windsock.evaluator.expressions import Compiler, RuleScope
from windsock.evaluator.fractional import hashing_for
from windsock.evaluator.membership import LiteralSets
from windsock.evaluator.semver import compare_versions, parse_version
from windsock.evaluator.values import RuleError

DATA = {
    "name": "ada",
    "age": 36,
    "score": 0.5,
    "empty": "",
    "none": None,
    "tags": ["a", "b"],
    "people": [{"age": 3}, {"age": 30}],
    "nested": {"deep": {"x": "y"}, "list": [1, [2, 3]]},
    "version": "1.2.3",
}


def evaluate(rule: object) -> object:
    return Compiler(RuleScope.of("v2", "flag"), LiteralSets()).compile(rule)(DATA)


def var(name: object) -> dict[str, object]:
    return {"var": name}


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (var("name"), "ada"),
        (var(["name"]), "ada"),
        (var("nested.deep.x"), "y"),
        (var("nested.list.1.0"), 2),
        (var("nested.list.9"), None),
        (var("name.x"), None),
        (var(["nope", 5]), 5),
        (var(["none", 5]), 5),
        (var([{"cat": ["no", "pe"]}, 5]), 5),
        (var("nested..list.0"), 1),
        (var("nested.list.-1"), None),
        (var("nested.list.x"), 1),
        (var("nope"), None),
        ({"missing": ["name", "nope", "none", "empty"]}, ["nope", "none"]),
        ({"missing": "nope"}, ["nope"]),
        ({"missing_some": [1, ["name", "nope"]]}, []),
        ({"missing_some": [2, ["name", "nope"]]}, ["nope"]),
        ({"==": [1, 1.0]}, True),
        ({"==": ["1", 1]}, True),
        ({"==": [None, 0]}, False),
        ({"==": [None, None]}, True),
        ({"==": ["", 0]}, True),
        ({"===": [1, "1"]}, False),
        ({"===": ["a", "a"]}, True),
        ({"!=": [1, 2]}, True),
        ({"!==": [1, "1"]}, True),
        ({"<": [1, 2]}, True),
        ({"<": [1, 2, 3]}, True),
        ({"<": [1, 3, 2]}, False),
        ({"<=": [1, 1, 2]}, True),
        ({">": [3, 2, 1]}, True),
        ({">=": [2, 2]}, True),
        ({"<": ["a", "b"]}, True),
        ({"<": ["10", 9]}, False),
        ({"<": [var("nope"), 1]}, True),
        ({"<": ["x", 1]}, False),
        ({"!": [0]}, True),
        ({"!": [[]]}, True),
        ({"!!": [var("name")]}, True),
        ({"and": [1, "a", 0, "b"]}, 0),
        ({"and": [1, "a"]}, "a"),
        ({"and": []}, None),
        ({"or": [0, "", "x", 1]}, "x"),
        ({"or": [0, ""]}, ""),
        ({"if": [False, 1, True, 2, 3]}, 2),
        ({"if": [False, 1, 3]}, 3),
        ({"if": [False, 1]}, None),
        ({"if": ["x"]}, "x"),
        ({"if": []}, None),
        ({"?:": [True, "y", "n"]}, "y"),
        ({"in": ["a", var("tags")]}, True),
        ({"in": ["da", var("name")]}, True),
        ({"in": [var("age"), [1, 36]]}, True),
        ({"in": [36, ["36"]]}, True),
        ({"in": [5, [[1, 9]]]}, True),
        ({"in": ["x", None]}, False),
        ({"cat": ["v", 1, "-", 1.5, None]}, "v1-1.5"),
        ({"cat": [" a", "b "]}, "ab"),
        ({"cat": [1e21]}, "1000000000000000000000"),
        ({"substr": ["jsonlogic", 4]}, "logic"),
        ({"substr": ["jsonlogic", -5]}, "logic"),
        ({"substr": ["jsonlogic", 0, 4]}, "json"),
        ({"substr": ["jsonlogic", 4, -2]}, "log"),
        ({"substr": ["üöä", 1, 1]}, "ö"),
        ({"merge": [[1, 2], 3, [[4]]]}, [1, 2, 3, [4]]),
        ({"+": [1, "2", 3.5]}, 6.5),
        ({"+": ["3"]}, 3.0),
        ({"+": [0.1, 0.2, 0.3]}, 0.6000000000000001),
        ({"+": [1e308, 1e308, -1e308]}, float("inf")),
        ({"-": [5, 2, 1]}, 2.0),
        ({"-": [5]}, -5.0),
        ({"*": [2, 3]}, 6.0),
        ({"/": [7, 2]}, 3.5),
        ({"/": [1, 0]}, float("inf")),
        ({"/": [1, -0.0]}, float("-inf")),
        ({"/": [-1, -0.0]}, float("inf")),
        ({"/": [1, "-0"]}, float("-inf")),
        ({"%": [-7, 3]}, -1.0),
        ({"min": [3, 1, 2]}, 1.0),
        ({"max": [3, "10"]}, 10.0),
        ({"abs": [-1]}, 1.0),
        ({"filter": [var("tags"), {"==": [var(""), "a"]}]}, ["a"]),
        ({"map": [var("people"), {"+": [var("age"), 1]}]}, [4.0, 31.0]),
        ({"reduce": [[1, 2, 3], {"+": [var("current"), var("accumulator")]}, 0]}, 6.0),
        ({"all": [var("tags"), {"in": [var(""), ["a", "b"]]}]}, True),
        ({"all": [[], True]}, False),
        ({"all": [[]]}, False),
        ({"some": ["text"]}, False),
        ({"none": [var("nope")]}, True),
        ({"in": [True, {"merge": [1, 0]}]}, False),
        ({"in": ["1", {"merge": [1]}]}, False),
        ({">": [{"/": [0, 0]}, 1]}, False),
        ({"<=": [1, {"/": [0, 0]}]}, False),
        ({"<=": [0, None]}, False),
        ({"===": [9007199254740993, 9007199254740992]}, True),
        ({"==": [" \t\u00a0", 0]}, True),
        ({"==": ["\x1c", 0]}, False),
        ({"cat": ["\x1c", "a"]}, "\x1ca"),
        ({"cat": [{"/": [1, 0]}]}, "+Inf"),
        ({"cat": [123456789012345680000]}, "123456789012345680000"),
        ({"cat": [1e22]}, "10000000000000000000000"),
        ({"reduce": [[1, None, 2], {"+": [var("current"), var("accumulator")]}, 0]}, 3.0),
        ({"reduce": [["a", "b"], {"cat": [var("accumulator"), var("current")]}, ""]}, "ab"),
        ({"reduce": [[1, 2], {"cat": [var("current")]}, 0]}, 2.0),
        ({"reduce": [var("nope"), {"+": [1, 1]}, "x"]}, 0.0),
        # the context hides a property of the element, in some list operators
        ({"filter": [var("people"), {"==": [var("age"), 36]}]}, [{"age": 3}, {"age": 30}]),
        ({"some": [var("people"), {"==": [var("age"), 36]}]}, True),
        ({"map": [var("people"), var("age")]}, [3, 30]),
        ({"!": [["a", 0]]}, False),
        ({"!": [0, 1]}, True),
        # what flagd reads from text: a minus zero, and no number where no double holds it
        ({"cat": [{"*": ["-0", 1]}]}, "-0"),
        ({"<": [0, "1e400"]}, False),
        ({"<": [0, "Infinity"]}, True),
        ({">": [{"+": ["1e400"]}, 0]}, True),
        ({"<": [0, "\u0131nf\u0131nity"]}, False),
        ({"in": [0, ["\u0130nf"]]}, True),
        ({"substr": ["abc", 1e25]}, "abc"),
        # an element that is not an object is not bucketed
        ({"some": [var("tags"), {"fractional": ["salt", ["a", 1]]}]}, False),
        ({"some": [var("people"), {"fractional": ["salt", ["a", 1]]}]}, True),
        ({"some": [var("tags"), {"==": [var(""), "b"]}]}, True),
        ({"none": [var("tags"), {"==": [var(""), "z"]}]}, True),
        ({"none": [[], True]}, True),
        ({"starts_with": [var("name"), "ad"]}, True),
        ({"ends_with": [var("name"), "ad"]}, False),
        ({"starts_with": [var("age"), "3"]}, None),
        ({"ends_with": ["abc", "c", "x"]}, None),
        ({"sem_ver": [var("version"), "^", "1.0.0"]}, True),
        ({"sem_ver": [var("nope"), "=", "1.0.0"]}, None),
        ({"sem_ver": ["1.0.0", "="]}, None),
        ({"set": [var("people.0"), "name", "Zoë"]}, {"age": 3, "name": "Zoë"}),
        ({"set": [var("people.0"), "age", {"+": [1, 1]}]}, {"age": 2.0}),
        (
            {"set": [{"set": [var("people.0"), "x", 1]}, "y", var("tags")]},
            {"age": 3, "x": 1, "y": ["a", "b"]},
        ),
        ({"set": [var("name"), "x", 1]}, "ada"),
        ({"set": [var("people.0"), "x"]}, {"age": 3}),
        ({"set": []}, None),
        ({"map": [var("people"), {"set": [var(""), "x", 1]}]}, [{"age": 3, "x": 1}, {"age": 30, "x": 1}]),
        ({"contains_any": [var("tags"), ["z", "b"]]}, True),
        ({"contains_all": [var("tags"), ["z", "b"]]}, False),
        ({"contains_none": [var("tags"), ["z"]]}, True),
        (var("$flagd.flagKey"), "flag"),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}),
        ({}, {}),
        ([{"+": [1, 1]}, "x"], [2.0, "x"]),
    ],
)
def test_what_an_operator_gives(rule: object, value: object) -> None:
    result = evaluate(rule)
    assert result == value
    assert isinstance(result, bool) == isinstance(value, bool)


@pytest.mark.parametrize(
    "rule",
    [
        {"nonsense": []},
        {"and": True},
        {"if": "x"},
        {"==": 1},
        {"in": []},
        {"in": [None, "text"]},
        {"in": [1, [True]]},
        {"+": [None]},
        {"+": [True, 1]},
        {"%": [1]},
        {"cat": [True, "x"]},
        {"cat": [["a"], "x"]},
        {"substr": ["abc", 2, -2]},
        {"var": [5]},
        {"var": True},
        {"all": [["a"], "text"]},
        {"all": []},
        {"some": [["a"]]},
        {"none": [{"in": ["a", "abc"]}]},
        {"filter": [{"var": "name"}, True]},
        {"reduce": [[1], {"var": "current"}, None]},
        {"reduce": [[True], {"var": "current"}, 0]},
        {"set": "x"},
        {"set": [var("nested"), 3, 1]},
        {"missing": 5},
        {"missing_some": ["x"]},
    ],
)
def test_what_an_operator_refuses(rule: object) -> None:
    with pytest.raises(RuleError):
        evaluate(rule)


@pytest.mark.parametrize(
    ("left", "relation", "right", "holds"),
    [
        ("1.0.0", "=", "1.0.0", True),
        ("1.0.0", "=", "v1.0.0", True),
        ("V1.0.0", "=", "1.0.0", True),
        ("1.0.0", "!=", "1.0.1", True),
        ("1.0.0", "<", "1.0.1", True),
        ("1.0.0", "<=", "1.0.0", True),
        ("1.10.0", ">", "1.9.0", True),
        ("1.0.0", ">=", "1.0.1", False),
        ("1.9.9", "^", "1.0.0", True),
        ("2.0.0", "^", "1.9.9", False),
        ("1.2.9", "~", "1.2.0", True),
        ("1.3.0", "~", "1.2.9", False),
        ("1.2.0", "~", "1.2.9", True),
        ("1.0.0", "^", "1.9.9", True),
        ("vv1.0.0", "=", "1.0.0", None),
        ("1.0.0-alpha", "<", "1.0.0", True),
        ("1.0.0-alpha.1", "<", "1.0.0-alpha.beta", True),
        ("1.0.0-alpha", "<", "1.0.0-alpha.1", True),
        ("1.0.0-2", "<", "1.0.0-10", True),
        ("1.0.0-rc.1", ">", "1.0.0-beta.11", True),
        ("1.0.0+build", "=", "1.0.0", True),
        ("1", "=", "1.0.0", True),
        ("1.2", "=", "1.2.0", True),
        (1, "=", "1.0.0", True),
        (1.5, "=", "1.5.0", True),
        (999_999, ">", "1.0.0", True),
        (1_000_000, ">", "1.0.0", None),
        ("1.2-rc.1", "<", "1.2.0", None),
        ("01.2.3", "=", "1.2.3", None),
        ("1.2.3-01", "=", "1.2.3", None),
        ("1.2.3.4", "=", "1.2.3", None),
        (" 1.2.3", "=", "1.2.3", None),
        ("", "=", "1.2.3", None),
        (None, "=", "1.2.3", None),
        (True, "=", "1.2.3", None),
        ("1.2.3", "==", "1.2.3", None),
        ("1.2.3", None, "1.2.3", None),
    ],
)
def test_versions(left: object, relation: object, right: object, holds: bool | None) -> None:
    assert compare_versions(left, relation, right) is holds


def test_an_enormous_version_is_invalid() -> None:
    assert parse_version("1." * 100_000) is None


def test_hashing_is_the_flags() -> None:
    assert hashing_for("v2", "a").key("u") != hashing_for("v2", "b").key("u")
