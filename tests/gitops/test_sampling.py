"""A plan for made-up users evaluates fewer of them where rules are long, and says how many."""

import pytest
from tests.gitops.test_impact import served

from windsock.flags import FlagSet
from windsock.gitops.population import MADE_UP, made_up, synthetic
from windsock.gitops.sampling import fitting

NOW = 1_800_000_000.0


def flags(rule: object) -> FlagSet:
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    return served({"sampled": flag | ({"targeting": rule} if rule is not None else {})})


def clauses(number: int) -> object:
    return {"if": [{"or": [{"==": [{"var": f"a{each}"}, each]} for each in range(number)]}, "on", "off"]}


LISTED = list(range(200))
LONG = {"some": [LISTED, {"some": [LISTED, {"==": [{"var": ""}, 999]}]}]}
RULES = {
    "short": (clauses(1), MADE_UP),
    "2,500 clauses": (clauses(2_500), 599),
    "100 moments": ({"if": [{"or": [{">": [{"var": "$flagd.timestamp"}, NOW + each]} for each in range(1, 101)]}, "on", "off"]}, 147),
    "lists in lists": ({"if": [LONG, "on", "off"]}, 18),
    "lists in lists, and a result that names no variant": ({"if": [LONG, "on", {"var": "targetingKey"}]}, 18),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "users"), RULES.values(), ids=RULES)
def test_fewer_users_where_a_rule_takes_long(rule, users) -> None:
    found = fitting(made_up("test"), flags(None), flags(rule), NOW)
    assert sum(map(len, found.batches())) == users
    assert found.description.startswith(f"{users:,} made-up users without attributes, in test")
    assert ("too long for 10,000" in found.description) == (users < MADE_UP)


def test_what_was_evaluated_before_costs_nothing() -> None:
    for rule, users in ({"if": [LONG, "on", "off"]}, 18), (clauses(1), MADE_UP):
        found = fitting(made_up("test"), flags(None), flags(rule), NOW)
        assert sum(map(len, found.batches())) == users


def test_fewer_users_where_many_flags_without_a_rule_change() -> None:
    flag = {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}
    many = served({f"f{number}": flag for number in range(3_000)})
    found = fitting(made_up("test"), flags(None), many, NOW)
    assert sum(map(len, found.batches())) == 999, "the flag that goes counts, too"


def test_a_number_that_was_asked_for_stays() -> None:
    asked = synthetic(3_000, "test")
    assert fitting(asked, flags(None), flags(clauses(2_500)), NOW) is asked


def test_nothing_changed_costs_nothing() -> None:
    same = flags(clauses(2_500))
    assert sum(map(len, fitting(made_up("test"), same, same, NOW).batches())) == MADE_UP
