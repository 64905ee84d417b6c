"""Shared rules: replaced as structure, in any order; circles, unknown names and explosions named."""

import json

import pytest

from windsock.flags import Document, read_document


def read(rule: object, evaluators: object) -> Document:
    flag = {"variants": {"a": 1}, "targeting": rule}
    return read_document(
        json.dumps({"$evaluators": evaluators, "flags": {"f": flag}}).encode(), "a.flagd.json"
    )


def ref(name: str) -> dict[str, str]:
    return {"$ref": name}


def test_references_are_replaced_in_any_order_and_depth() -> None:
    evaluators = {
        "outer": {"and": [ref("inner"), True]},
        "inner": {"in": [{"var": "id"}, ref("ids")]},
        "ids": ["a", "b"],
    }
    document = read({"if": [ref("outer"), "a"]}, evaluators)
    assert document.problems == ()
    expected = {"if": [{"and": [{"in": [{"var": "id"}, ["a", "b"]]}, True]}, "a"]}
    assert document.flags["f"].targeting == expected


@pytest.mark.parametrize("text", ["\\1 \\g<0>", "line\nbreak", "ü日本", '{"$ref": "x"}', "\u2028"])
def test_no_text_is_substituted(text: str) -> None:
    document = read({"if": [ref("same"), "a"]}, {"same": {"==": [{"var": "t"}, text]}, "x": 1})
    assert document.flags["f"].targeting == {"if": [{"==": [{"var": "t"}, text]}, "a"]}


def test_variants_are_left_alone() -> None:
    text = b'{"$evaluators": {"x": 1}, "flags": {"f": {"variants": {"v": {"$ref": "x"}}}}}'
    assert read_document(text, "a.flagd.json").flags["f"].variants == {"v": {"$ref": "x"}}


def test_a_shared_rule_is_one_object_wherever_it_is_used() -> None:
    rule = (
        read({"if": [{"in": [1, ref("ids")]}, "a", {"in": [2, ref("ids")]}, "b"]}, {"ids": ["x"]})
        .flags["f"]
        .targeting
    )
    assert rule["if"][0]["in"][1] is rule["if"][2]["in"][1]


def test_an_unknown_name_stays_and_the_problem_lists_the_known_ones() -> None:
    document = read({"if": [ref("betta"), "a"]}, {"beta": True, "alpha": True})
    assert document.flags["f"].targeting == {"if": [ref("betta"), "a"]}
    [problem] = document.problems
    assert (problem.flag, problem.pointer) == ("f", "/flags/f/targeting/if/0")
    assert "no shared rule is named 'betta'; $evaluators has 'alpha', 'beta'" in problem.message


def test_a_circle_is_named() -> None:
    evaluators = {"a": {"!": [ref("b")]}, "b": {"!": [ref("c")]}, "c": {"!": [ref("a")]}}
    [problem] = read({"if": [ref("a"), "a"]}, evaluators).problems
    assert "circle: a → b → c → a" in problem.message


def test_an_evaluator_outside_a_cycle_still_serves() -> None:
    document = read({"if": [ref("good"), "a"]}, {"bad": ref("bad"), "good": {"==": [1, 1]}})
    assert document.problems == ()


def test_rules_that_double_each_other_are_refused() -> None:
    """Written out they are 2⁴⁰ nodes, which nobody would see the end of."""
    evaluators: dict[str, object] = {
        f"r{n}": {"and": [ref(f"r{n + 1}"), ref(f"r{n + 1}")]} for n in range(40)
    }
    evaluators["r40"] = {"==": [1, 1]}
    document = read({"if": [ref("r0"), "a"]}, evaluators)
    assert document.flags == {}
    assert "more than 100000" in document.problems[0].message


def test_a_dense_graph_of_circles_is_resolved() -> None:
    """It has more paths than anybody could follow."""
    names = [f"r{n}" for n in range(60)]
    evaluators = {name: {"or": [ref(other) for other in names]} for name in names}
    assert read({"if": [ref("r0"), "a"]}, evaluators).problems


def test_a_chain_of_rules_that_grows_too_deep_is_refused() -> None:
    evaluators: dict[str, object] = {f"r{n}": {"!": [ref(f"r{n + 1}")]} for n in range(400)}
    evaluators["r400"] = True
    document = read({"if": [ref("r0"), "a"]}, evaluators)
    assert document.flags == {}
    assert "nested more than 200 deep" in document.problems[0].message


def test_evaluators_that_are_not_an_object_are_a_problem() -> None:
    document = read({"if": [True, "a"]}, [])
    assert str(document.problems[0]).startswith(
        "a.flagd.json:1:17: /$evaluators: $evaluators must be an object"
    )
    assert list(document.flags) == ["f"]
