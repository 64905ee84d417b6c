"""When a rule changes what it gives by itself, and what a plan says of it."""

import json

import pytest
from tests.cli.conftest import boolean

from windsock.flagfiles.files import FlagFile
from windsock.flags import FlagSet, merge, read_document
from windsock.gitops.impact import PlanEffect, impacts
from windsock.gitops.moments import MOST, moments
from windsock.gitops.plan import Limits, PlanRequest, dump, load, make
from windsock.gitops.population import synthetic

NOW = 1_800_000_000
DAY = 86_400
TIME = {"var": "$flagd.timestamp"}
SPLIT = {"fractional": [["on", 50], ["off", 50]]}


def flags(targeting: object) -> FlagSet:
    return merge([read_document(json.dumps({"flags": {"f": boolean(targeting)}}).encode(), "f.flagd.json")])


def found(rule: object) -> tuple[tuple[int, ...], bool]:
    each = moments((None, flags(rule).flags["f"]), NOW)
    return each.times, each.computed


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "==", "!=", "===", "!=="])
@pytest.mark.parametrize("turned", [False, True])
def test_every_comparison_flips_at_a_moment_that_is_found(operator, turned):
    boundary = NOW + DAY
    rule = {"if": [{operator: [boundary, TIME] if turned else [TIME, boundary]}, "on", "off"]}
    times, computed = found(rule)
    assert not computed

    def given(at: int) -> object:
        return impacts(flags(None), flags(rule), synthetic(1, "test"), at=at)[0].moved

    for at in range(boundary - 2, boundary + 3):
        if given(at) != given(at - 1):
            assert at in times


def test_past_moments_and_those_after_the_year_9999_do_not_count():
    rule = {"if": [{"<": [TIME, NOW - 1]}, "on", {"<": [TIME, 1e300]}, "off", "on"]}
    assert found(rule) == ((), False)


@pytest.mark.parametrize(
    "hidden",
    [
        {"-": [TIME, DAY]},
        {"%": [{"var": ["$flagd.timestamp", 0]}, 2]},
        {"var": {"cat": ["$flagd", ".timestamp"]}},
        {"var": "$flagd..timestamp"},
        {"var": "$flagd"},
        {"var": ""},
        {"missing": ["$flagd.timestamp"]},
    ],
)
def test_a_rule_that_computes_with_the_time_is_recognised(hidden):
    assert found({"if": [{">": [hidden, NOW]}, "on", "off"]})[1]


@pytest.mark.parametrize(
    "rule",
    [
        {"if": [{"==": [{"var": "tier"}, 5]}, "on", "off"]},
        {"if": [{"some": [{"var": "teams"}, {"==": [{"var": ""}, "a"]}]}, "on", "off"]},
        {"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "tier"}]}, ["on", 1], ["off", 1]]},
    ],
)
def test_a_rule_without_the_time_has_no_moments(rule):
    assert found(rule) == ((), False)


def test_more_moments_than_are_looked_at_count_as_computed():
    clauses = [part for each in range(MOST + 1) for part in ({"==": [TIME, NOW + DAY * each]}, "on")]
    times, computed = found({"if": [*clauses, "off"]})
    assert len(times) == MOST
    assert computed


def test_a_rollout_that_moves_users_later_is_not_safe():
    rule = {"if": [{"<": [TIME, NOW + DAY]}, "off", {"<": [TIME, NOW + 2 * DAY]}, SPLIT, "on"]}
    [impact] = impacts(flags(None), flags(rule), synthetic(1000, "test"), at=NOW)
    assert impact.moved == 0
    assert impact.effect is PlanEffect.MOVES
    assert [(stage.at, stage.moved) for stage in impact.later] == [
        (NOW + DAY, pytest.approx(500, abs=60)),
        (NOW + 2 * DAY, 1000),
    ]
    assert impact.most_moved == 1000


def test_the_limit_sees_what_happens_later():
    rule = {"if": [{"<": [TIME, NOW + DAY]}, "off", "on"]}
    plan = make(request(None, rule, Limits(max_moved=0.02)))
    assert [
        finding for finding in plan.findings if "100.00% of the population, by itself and later" in finding
    ]
    assert load(dump(plan).encode(), "plan.json") == plan


def test_the_limit_refuses_a_move_that_cannot_be_counted():
    rule = {"if": [{">": [{"-": [TIME, DAY]}, NOW]}, "on", "off"]}
    assert "computes with the time" in make(request(None, rule, Limits(max_moved=0.02))).findings[0]
    assert make(request(None, rule, Limits())).effect is PlanEffect.MOVES


def test_a_moment_that_the_flag_already_had_is_not_a_change():
    rule = {"if": [{"<": [TIME, NOW + DAY]}, "off", "on"]}
    assert make(request(rule, {"if": [*rule["if"]]}, Limits(max_moved=0.0))).findings == ()


def request(before: object, after: object, limits: Limits) -> PlanRequest:
    def files(rule: object) -> list[FlagFile]:
        return [FlagFile("flagd/f.flagd.json", json.dumps({"flags": {"f": boolean(rule)}}).encode())]

    return PlanRequest("0" * 40, files(before), files(after), synthetic(100, "test"), (), limits, NOW)
