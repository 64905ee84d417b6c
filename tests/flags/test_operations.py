"""Walking through a rule."""

from windsock.flags.operations import operations


def test_operators_come_in_the_order_in_which_they_are_written():
    rule = {
        "if": [
            {
                "and": [
                    {"==": [{"var": "tier"}, "pro"]},
                    {"in": [{"var": ["plan", {"var": "trial"}]}, ["a", "b"]]},
                ]
            },
            "on",
            {"fractional": [["on", 1], ["off", {"+": [1, 2]}]]},
        ]
    }
    assert [name for name, _ in operations(rule)] == [
        "if",
        "and",
        "==",
        "var",
        "in",
        "var",
        "var",
        "fractional",
        "+",
    ]
    assert dict(operations(rule))["+"] == [1, 2]


def test_no_rule_is_too_deep():
    rule = "on"
    for _ in range(100_000):
        rule = {"!": [rule]}
    assert sum(1 for _ in operations(rule)) == 100_000


def test_a_value_that_is_not_a_rule_has_none():
    assert [list(operations(value)) for value in (None, "on", 1, [], [1, [2]])] == [[]] * 5
