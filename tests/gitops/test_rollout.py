"""A rollout only ever adds users."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windsock.errors import ConfigurationError
from windsock.evaluator import CompiledFlag
from windsock.flags import Flag, read_document
from windsock.gitops.rollout import Rollout, parse_duration, parse_steps, rule_for
from windsock.lint.linter import lint

USERS = [f"user-{number}" for number in range(400)]
NOW = 1_800_000_000


def flag(targeting: object = None, bucketing: str = "v2", key: str = "f") -> Flag:
    variants = {"on": True, "off": False}
    body = {
        "state": "ENABLED",
        "variants": variants,
        "defaultVariant": "off",
        "metadata": {"bucketing": bucketing},
    }
    content = {"flags": {key: body | ({} if targeting is None else {"targeting": targeting})}}
    linted = lint(json.dumps(content).encode(), "f.flagd.json")
    assert linted.findings == (), "what a rollout writes lints clean"
    return read_document(json.dumps(content).encode(), "f.flagd.json").flags[key]


def on(of: Flag, at: int) -> set[str]:
    compiled = CompiledFlag(of, clock=lambda: at)
    return {user for user in USERS if compiled.evaluate({"targetingKey": user}).variant == "on"}


steps = st.sets(st.integers(1, 100), min_size=1, max_size=6).map(lambda found: tuple(sorted(found)))


keys = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8).filter(str.isprintable)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(steps, st.integers(60, 10**6), st.sampled_from(["v2", "v3"]), keys, st.data())
def test_users_are_only_ever_added(shares, every, bucketing, key, data):
    rolled = flag(rule_for(flag(key=key), Rollout("on", "off", shares, every, NOW), NOW), bucketing, key)
    moments = sorted(
        data.draw(st.lists(st.integers(NOW - 10, NOW + every * (len(shares) + 1)), min_size=2, max_size=6))
    )
    for earlier, later in pairwise(moments):
        assert on(rolled, earlier) <= on(rolled, later)
    assert on(rolled, NOW - 1) == set()
    assert len(on(rolled, NOW + every * len(shares))) == pytest.approx(4 * shares[-1], abs=45)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 60), steps)
def test_a_split_that_runs_keeps_its_users_or_is_refused(present, shares):
    before = flag({"fractional": [["on", present], ["off", 100 - present]]}) if present else flag()
    rollout = Rollout("on", "off", shares, 3600, NOW)
    if shares[0] < present:
        with pytest.raises(ConfigurationError, match=f"{present} % have 'on' already"):
            rule_for(before, rollout, NOW)
        return
    assert on(before, NOW) <= on(flag(rule_for(before, rollout, NOW)), NOW)


def test_a_rollout_can_be_continued_and_not_taken_back():
    first = flag(rule_for(flag(), Rollout("on", "off", (10, 50), 3600, NOW), NOW))
    assert on(first, NOW + 1) <= on(
        flag(rule_for(first, Rollout("on", "off", (20, 80), 60, NOW + 1), NOW + 1)), NOW + 1
    )
    for now in (NOW + 3600, NOW + 7200):  # the second step begins with its second
        with pytest.raises(ConfigurationError, match="50 % have 'on' already"):
            rule_for(first, Rollout("on", "off", (20, 80), 60, now), now)


def test_users_who_have_the_variant_now_do_not_wait_for_a_later_start():
    running = flag({"fractional": [["on", 10], ["off", 90]]})
    with pytest.raises(ConfigurationError, match="start now, with a first step of at least 10"):
        rule_for(running, Rollout("on", "off", (20,), 60, NOW + 1), NOW)


def test_a_default_variant_is_everybodys():
    with pytest.raises(ConfigurationError, match=r"100 % have 'off' already.*; make another variant"):
        rule_for(flag(), Rollout("off", "on", (20,), 60, NOW), NOW)


@pytest.mark.parametrize("more", [[], [NOW, NOW + 1]])
def test_a_comparison_of_the_time_that_no_rollout_wrote_is_a_condition_like_others(more):
    clauses = [{"<": [{"var": "$flagd.timestamp"}, *more]}, "on"]
    body = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    content = {"flags": {"f": body | {"targeting": {"if": [*clauses, "off"]}}}}
    read = read_document(json.dumps(content).encode(), "f").flags["f"]
    assert rule_for(read, Rollout("on", "off", (10,), 60, NOW), NOW)["if"][:2] == clauses


def test_a_rollout_has_two_variants():
    with pytest.raises(ConfigurationError, match="needs two variants"):
        rule_for(flag(), Rollout("on", "on", (20,), 60, NOW), NOW)


def test_the_last_step_has_a_date():
    every = parse_duration("99999w")
    with pytest.raises(ConfigurationError, match="after the year 9999; make --every shorter"):
        rule_for(flag(), Rollout("on", "off", (1, 5, 10, 25, 50, 100), every, NOW), NOW)
    assert rule_for(flag(), Rollout("on", "off", (1, 50, 100), every, NOW), NOW)


@pytest.mark.parametrize("otherwise", [[], ["off"], [{"fractional": [["on", 5], ["off", 95]]}]])
def test_conditions_before_it_stay(otherwise):
    condition = {"in": [{"var": "email"}, ["a@b.c"]]}
    rule = rule_for(flag({"if": [condition, "on", *otherwise]}), Rollout("on", "off", (10,), 60, NOW), NOW)
    assert rule["if"][:2] == [condition, "on"]
    assert CompiledFlag(flag(rule), clock=lambda: NOW - 5).evaluate({"email": "a@b.c"}).variant == "on"


@pytest.mark.parametrize(
    "rule",
    [
        {"fractional": [["off", 90], ["on", 10]]},
        {"fractional": [["on", 1], ["off", 2]]},
        {"in": [{"var": "email"}, ["a"]]},
    ],
)
def test_a_rule_that_would_be_lost_is_refused(rule):
    body = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
        "targeting": rule,
    }
    read = read_document(json.dumps({"flags": {"f": body}}).encode(), "f").flags["f"]
    with pytest.raises(ConfigurationError, match="take that out of the rule first"):
        rule_for(read, Rollout("on", "off", (10,), 60, NOW), NOW)


def test_what_people_write():
    assert parse_steps("1, 5%,50", 50) == (1, 5, 50)
    assert [parse_duration(text) for text in ("30m", "6h", "1d", "2w")] == [1800, 21600, 86400, 1209600]
    for text in ("5,1", "0,5", "5,101", "a", "5,5"):
        with pytest.raises(ConfigurationError):
            parse_steps(text, None)
    with pytest.raises(ConfigurationError, match="not the 60 % of --to"):
        parse_steps("1,50", 60)
    for text in ("1", "1y", "0d", "999999w"):
        with pytest.raises(ConfigurationError):
            parse_duration(text)
