"""Who moves: equal to evaluating every user one by one, and the classes of the findings' table."""

import json
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evaluator.wild_rules import VARIANTS, WildRules

from windsock.evaluator import FlagEvaluator
from windsock.flags import FlagSet, merge, read_document
from windsock.flags.model import same_json
from windsock.gitops.impact import Moved, PlanEffect, impacts
from windsock.gitops.population import Population, synthetic

AT = 1_800_000_000.0


def served(flags: dict[str, object]) -> FlagSet:
    return merge([read_document(json.dumps({"flags": flags}).encode(), "f.flagd.json")])


def split(*buckets: list[object]) -> dict[str, object]:
    return {
        "state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off",
        "targeting": {"fractional": list(buckets)},
    }  # fmt: skip


def brute_force(
    before: FlagSet, after: FlagSet, contexts: list[dict[str, object]]
) -> Counter[tuple[str, ...]]:
    """One user and one flag at a time, by the evaluator's public face."""
    old, new = FlagEvaluator(clock=lambda: AT), FlagEvaluator(clock=lambda: AT)
    old.load(before)
    new.load(after)
    moves: Counter[tuple[str, ...]] = Counter()
    for context in contexts:
        for key in before.flags.keys() | after.flags.keys():
            ends = [
                None if key not in each.compiled else each.compiled[key].evaluate(context)
                for each in (old, new)
            ]
            variants = [None if end is None else end.variant for end in ends]
            values = [None if end is None else end.value for end in ends]
            if variants[0] != variants[1] or not same_json(values[0], values[1]):
                reason = "REMOVED" if ends[1] is None else str(ends[1].reason)
                moves[key, variants[0], variants[1], reason] += 1
    return moves


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_the_counts_are_those_of_brute_force(seed: int) -> None:
    source = random.Random(seed)
    rules = WildRules(source)

    def flag() -> dict[str, object]:
        values = {name: source.choice((name, f"{name}!")) for name in VARIANTS}
        return {
            "state": source.choice(("ENABLED", "ENABLED", "DISABLED")), "variants": values,
            "defaultVariant": source.choice(("a", "b")), "targeting": rules.rule(),
        }  # fmt: skip

    kept = flag()
    before = served(
        {"kept": kept, "gone": flag(), "changed": flag(), "experiment": split(["on", 10], ["off", 90])}
    )
    after = served(
        {"kept": kept, "new": flag(), "changed": flag(), "experiment": split(["on", 20], ["off", 80])}
    )
    contexts = [rules.context() for _ in range(60)]
    population = Population("generated", lambda: iter([contexts[:7], contexts[7:]]))
    listed: list[Moved] = []
    found = impacts(before, after, population, at=AT, on_moved=listed.append)
    counted = {
        (impact.flag, move.before, move.after, move.reason): move.users
        for impact in found
        for move in impact.moves
    }
    assert counted == brute_force(before, after, contexts)
    assert Counter((each.flag, each.before, each.after, each.reason) for each in listed) == counted


@pytest.mark.parametrize(
    ("after", "effect", "share"),
    [
        ([["on", 20], ["off", 80]], PlanEffect.MOVES, 0.10),
        ([["off", 90], ["on", 10]], PlanEffect.RESHUFFLES, 0.198),
        ([["on", 1], ["off", 9]], PlanEffect.SAFE, 0.0),
        ([{"var": "targetingKey"}, ["on", 10], ["off", 90]], PlanEffect.RESHUFFLES, 0.179),
    ],
)
def test_the_shares_are_those_that_were_measured(after, effect, share):
    before, changed = served({"f": split(["on", 10], ["off", 90])}), served({"f": split(*after)})
    [impact] = impacts(before, changed, synthetic(20_000, "production"), at=AT)
    assert impact.effect is effect
    assert {len(set(move.samples)) for move in impact.moves} <= {5}
    assert impact.share == pytest.approx(share, abs=0.006)


def test_a_rule_sees_the_time_of_the_plan():
    rule = {"if": [{"<": [{"var": "$flagd.timestamp"}, int(AT)]}, "off", "on"]}
    before, after = served({"f": split(["off", 100])}), served({"f": split() | {"targeting": rule}})
    assert impacts(before, after, synthetic(10, "production"), at=AT - 1)[0].moved == 0
    assert impacts(before, after, synthetic(10, "production"), at=AT)[0].moved == 10


def test_users_of_a_running_experiment_who_lose_their_arm_are_counted():
    def experiment(*buckets: list[object]) -> dict[str, object]:
        return {
            "state": "ENABLED", "variants": {"none": {}, "a": {"x": 1}, "b": {"x": 2}}, "defaultVariant": "none",
            "targeting": {"fractional": list(buckets)},
        }  # fmt: skip

    def lost(key: str, after: dict[str, object]) -> int:
        before = served({key: experiment(["a", 10], ["b", 10], ["none", 80])})
        return impacts(before, served({key: after}), synthetic(1000, "production"), at=AT)[0].lost

    grown = experiment(["a", 10], ["b", 30], ["none", 60])
    assert lost("teacher.experiment", grown) == 0
    assert lost("teacher.experiment", experiment(["b", 10], ["a", 10], ["none", 80])) == pytest.approx(
        200, abs=40
    )
    assert lost("teacher", experiment(["b", 10], ["a", 10], ["none", 80])) == 0


@pytest.mark.parametrize("without", [{"state": "DISABLED"}, {"targeting": {}}])
def test_an_experiment_that_does_not_run_takes_no_arm_away(without):
    variants = {"none": {}, "a": {"x": 1}}
    rule = {"fractional": [["a", 50], ["none", 50]]}
    flag = {"state": "ENABLED", "variants": variants, "defaultVariant": "none", "targeting": rule}
    before, after = (
        {"teacher.experiment": each} for each in (flag | without, flag | {"defaultVariant": "a"})
    )
    [impact] = impacts(served(before), served(after), synthetic(100, "production"), at=AT)
    assert impact.moved > 0
    assert impact.lost == 0


def test_an_unchanged_set_evaluates_no_user():
    def batches():
        raise AssertionError

    flags = served({"f": split(["on", 10], ["off", 90])})
    assert impacts(flags, flags, Population("none", batches), at=AT) == ()
