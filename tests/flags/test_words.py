"""Rules in words: each operator's, what has none, and what changed between two rules."""

import json
import random

import pytest
from tests.evaluator.ordinary_rules import OrdinaryRules
from tests.evaluator.wild_rules import WildRules

from windsock.flags import Flag, merge, read_document
from windsock.flags.words import condition_in_words, rule_in_words
from windsock.gitops.changes import flag_changes

TIME = {"var": "$flagd.timestamp"}
PRO = {"==": [{"var": "tier"}, "pro"]}


def flag(targeting: object, default: str | None = "off") -> Flag:
    content = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False, "a b": True},
        "targeting": targeting,
    }
    document = {"flags": {"f": content | ({"defaultVariant": default} if default else {})}}
    return merge([read_document(json.dumps(document).encode(), "f.flagd.json")]).flags["f"]


def split(share: int, *key: object) -> object:
    return {"fractional": [*key, ["on", share], ["off", 100 - share]]}


def lines(before: object, after: object) -> list[str]:
    return [
        line.removeprefix("~ f/targeting  ").removeprefix("+ f/targeting  ").removeprefix("- f/targeting  ")
        for change in flag_changes("f", flag(before), flag(after))
        for line in change.lines()
    ]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (PRO, 'tier is "pro"'),
        ({"!==": [{"var": "tier"}, None]}, "tier is not null"),
        ({"and": [PRO, {"!": {"var": "beta"}}]}, 'tier is "pro" and not (beta)'),
        ({"or": [PRO, {"and": [PRO, {">=": [{"var": "age"}, 18]}]}]}, 'tier is "pro" or (tier is "pro" and age ≥ 18)'),
        ({"<": [1, {"var": "age"}, 9]}, "1 < age < 9"),
        ({"in": [{"var": "targetingKey"}, ["a", "b"]]}, 'targetingKey is one of "a", "b"'),
        ({"in": [{"var": "targetingKey"}, list("abcdefgh")]}, 'targetingKey is one of "a", "b", "c", "d", "e" and 3 more'),
        ({"in": ["@example.org", {"var": "email"}]}, 'email contains "@example.org"'),
        ({"ends_with": [{"var": "email"}, "@example.org"]}, 'email ends with "@example.org"'),
        ({"sem_ver": [{"var": "version"}, ">=", "2.0.0"]}, 'version ≥ "2.0.0" (semantic version)'),
        ({"==": [{"%": [{"var": "number"}, 2]}, 0]}, "(number % 2) is 0"),
        ({"==": [{"var": ["tier", "free"]}, "pro"]}, 'tier (else "free") is "pro"'),
        ({"<": [TIME, 1793491200]}, "before 2026-11-01 00:00 UTC"),
        ({">": [1793491201, TIME]}, "before 2026-11-01 00:00:01 UTC"),
        ({"<=": [1793491200, TIME, 1793577600]}, "from 2026-11-01 00:00 UTC, until 2026-11-02 00:00 UTC"),
        ({"<": [TIME, 10**30]}, f"before second {10**30}"),
        ({"==": [{"var": 'a" or b'}, 1]}, '"a\\" or b" is 1'),
        ({"missing": ["tier"]}, '{"missing": ["tier"]}'),
    ],
)  # fmt: skip
def test_conditions(rule, words):
    assert condition_in_words(rule) == words


def test_a_rule_is_a_line_for_each_branch():
    rule = {
        "if": [
            {"<": [TIME, 1793491200]},
            "off",
            PRO,
            {"if": [{"var": "beta"}, "a b"]},
            split(12, {"var": "company"}),
        ]
    }
    assert rule_in_words(rule, "off") == (
        "before 2026-11-01 00:00 UTC: off",
        'if tier is "pro":',
        '  if beta: "a b"',
        "  otherwise: off by default",
        "otherwise: on 12 %, off 88 % by company",
    )
    assert rule_in_words(None, None) == ("the caller's default",)
    assert rule_in_words({"if": [PRO, "on"]}, None)[-1] == "otherwise: the caller's default"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (split(10), split(20), ["on: 10 % → 20 %"]),
        ({"if": [PRO, split(10)]}, {"if": [PRO, split(25)]}, ['if tier is "pro", on: 10 % → 25 %']),
        ({"if": [PRO, "on", split(10)]}, {"if": [PRO, "on", split(20)]}, ["otherwise, on: 10 % → 20 %"]),
        ("off", split(10), ["off → on 10 %, off 90 %"]),
        ({"if": [PRO, "on"]}, {"if": [PRO, "off"]}, ['if tier is "pro", on → off']),
        (None, {"if": [PRO, "on"]}, ['added: if tier is "pro": on']),
        ({"if": [PRO, "on"]}, None, ['removed: if tier is "pro": on']),
        (
            {"if": [{"in": [{"var": "k"}, ["a", "b"]]}, "on"]},
            {"if": [{"in": [{"var": "k"}, ["b", "c"]]}, "on"]},
            ['on: k is one of "a", "b", now with "c" and without "a"'],
        ),
        (
            {"if": [{"<": [TIME, 1793491200]}, "on"]},
            {"if": [{"<": [TIME, 1793577600]}, "on"]},
            ["on: before 2026-11-01 00:00 UTC → before 2026-11-02 00:00 UTC"],
        ),
        (
            {"if": [{"===": [{"var": "tier"}, "pro"]}, "on"]},
            {"if": [PRO, "on"]},
            ['on: [{"===": [{"var": "tier"}, "pro"]}] → [{"==": [{"var": "tier"}, "pro"]}]'],
        ),
        (split(10), split(10, {"var": "company"}), ["on 10 %, off 90 % → on 10 %, off 90 % by company"]),
    ],
)  # fmt: skip
def test_what_changed_in_a_rule(before, after, told):
    assert lines(before, after) == told


def test_hundreds_of_branches_that_differ_are_counted_and_thousands_take_no_time():
    def rule(name: str, count: int) -> object:
        return {"if": [each for n in range(count) for each in ({"==": [{"var": name}, n]}, "on")]}

    told = lines(rule("a", 100), rule("b", 100))
    assert (len(told), told[-1]) == (51, "and 50 more")
    [whole] = lines(rule("a", 5_000), rule("b", 5_000))
    assert len(whole) < 500


@pytest.mark.parametrize("make", [OrdinaryRules, WildRules])
def test_words_for_any_rule_and_never_silence_about_a_difference(make):
    rules = make(random.Random(7))
    before = None
    for _ in range(500):
        after = rules.rule()
        try:
            old, new = flag(before), flag(after)
        except KeyError:  # the document's reader leaves out what nothing can serve
            continue
        assert all(rule_in_words(new.targeting, "off"))
        if not old.same_as(new):
            told = [line for change in flag_changes("f", old, new) for line in change.lines()]
            assert told
            for line in told:
                one, arrow, other = line.partition("  ")[2].partition(" → ")
                assert not arrow or one != other, line
        before = after
