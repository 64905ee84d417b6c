"""Users of one environment are counted together only where no rule can tell them apart."""

import json

import pytest

from windsock.flagfiles.files import FlagFile
from windsock.flagfiles.sets import flag_set
from windsock.gitops.impact import impacts
from windsock.gitops.population import Alike, Population
from windsock.gitops.who import asks_who

USERS = {
    "production": [f"p{number}" for number in range(40)],
    "development": ["d0", "d1", "d2"],
    None: ["n0"],
}


@pytest.mark.parametrize(
    ("rule", "asks"),
    [
        (None, False),
        ({"if": [{"==": [{"var": "environment"}, "development"]}, "a", "b"]}, False),
        ({"if": [{"in": [{"var": ["environment", "x"]}, ["x"]]}, "a"]}, False),
        ({"if": [{"<": [{"var": "$flagd.timestamp"}, 5]}, "a"]}, False),
        ({"fractional": [["a", 1], ["b", 1]]}, True),
        ({"if": [{"==": [{"var": "targetingKey"}, "u"]}, "a"]}, True),
        ({"if": [{"==": [{"var": ""}, "u"]}, "a"]}, True),
        ({"if": [{"in": ["ann", {"var": []}]}, "a"]}, True),
        ({"if": [{"missing": []}, "a"]}, False),
        ({"if": [{"==": [{"var": {"cat": ["targeting", "Key"]}}, "u"]}, "a"]}, True),
        ({"if": [{"missing": ["environment", "tier"]}, "a"]}, True),
        ({"if": [{"==": [{"var": "tier"}, "pro"]}, "a"]}, True),
        ({"if": [{"$ref": "pro"}, "a"]}, True),
    ],
)
def test_what_asks(rule, asks):
    assert asks_who(rule) is asks


def flags(rule, value):
    body = {"state": "ENABLED", "variants": {"a": value, "b": 2}, "defaultVariant": "b", "targeting": rule}
    return flag_set([FlagFile("f.flagd.json", json.dumps({"flags": {"tuned": body}}).encode())])


RULES = [
    {},
    {"if": [{"==": [{"var": "environment"}, "development"]}, "a", "b"]},
    {"if": [{"in": [{"var": "environment"}, ["production"]]}, "a", "b"]},
    {"if": [{"!": [{"var": "environment"}]}, "a", "b"]},
    {"if": [{">": [{"var": "$flagd.timestamp"}, 2_000_000_000]}, "a", "b"]},
    {"fractional": [["a", 30], ["b", 70]]},
]


@pytest.mark.parametrize("before", range(len(RULES)))
@pytest.mark.parametrize("after", range(len(RULES)))
def test_counting_and_asking_each_user_give_the_same(before, after):
    def batches():
        for where, ids in USERS.items():
            yield [{"targetingKey": user, "environment": where} for user in ids]

    counted = tuple(
        Alike({"targetingKey": ids[0], "environment": where}, len(ids), tuple(ids[:5]))
        for where, ids in USERS.items()
    )
    old, new = flags(RULES[before], 1), flags(RULES[after], 3)
    every = impacts(old, new, Population("each", batches), at=1_800_000_000)
    assert impacts(old, new, Population("counted", batches, counted), at=1_800_000_000) == every
    assert every
