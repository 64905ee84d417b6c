"""What can go, and what must stay."""

import json
from dataclasses import replace
from datetime import date

import pytest

from windsock.code.stale import Why, only_variant, stale
from windsock.code.uses import Code, FoundClass, Reference
from windsock.flags import Flag, read_document

IN = {"in": [{"var": "email"}, ["a"]]}


def flag(key: str = "f", targeting: object = None, **metadata: object) -> Flag:
    body = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
        "metadata": metadata,
    }
    content = {"flags": {key: body | ({"targeting": targeting} if targeting is not None else {})}}
    return read_document(json.dumps(content).encode(), "f.flagd.json").flags[key]


@pytest.mark.parametrize(
    ("targeting", "only"),
    [
        (None, "off"),
        ({"if": [IN, "on", "on"]}, "on"),
        ({"if": [IN, "on"]}, None),
        ({"if": [IN, "off"]}, "off"),
        # who has no targeting key is not bucketed, which a full rollout leaves out of account
        ({"fractional": [["on", 100], ["off", 0]]}, "on"),
        ({"if": [True, {"fractional": [["on", 100], ["off", 0]]}, "on"]}, "on"),
        ({"fractional": [["on", 99], ["off", 1]]}, None),
        ({"if": [IN, {"var": "x"}, "on"]}, None),
        # where no condition of an inner rule holds, and where a branch gives null, the default serves
        ({"if": [IN, {"if": [IN, "on"]}, "on"]}, None),
        ({"if": [IN, "on", {"if": [IN, "on"]}]}, None),
        ({"if": [IN, {"if": [IN, "on", "on"]}, "on"]}, "on"),
        ({"if": [IN, None, "on"]}, None),
        ({"if": [IN, None, "off"]}, "off"),
    ],
)
def test_the_one_variant_that_everybody_gets(targeting, only):
    assert only_variant(flag(targeting=targeting)) == only


def test_a_flag_that_is_switched_off_gives_no_variant():
    switched_off = replace(flag(targeting={"if": [IN, "on", "on"]}), enabled=False)
    assert only_variant(switched_off) is None


def test_each_reason():
    code = Code(
        uses=[
            Reference("used", None, "a.py", 1, 1, "feature"),
            Reference("teacher", "read", "a.py", 2, 1, "read"),
        ],
        classes=[FoundClass("Teacher", "teacher", ("read", "never"), "a.py", 1)],
    )
    code.uses.append(Reference("teacher", None, "a.py", 1, 1, "class"))
    flags = [
        flag("used", {"if": [IN, "on", "on"]}, owner="us"),
        flag("unused", owner="us"),
        flag("teacher", {"if": [IN, "on", "on"]}, owner="us", expires="2026-06-01"),
        flag("teacher.profile.3", owner="us", expires="2026-05-31"),
        flag("teacher.experiment"),
    ]
    found = [
        (each.flag, each.why) for each in stale({each.key: each for each in flags}, code, date(2026, 6, 1))
    ]
    assert found == [
        ("used", Why.ROLLED_OUT),
        ("unused", Why.UNUSED),
        ("teacher.profile.3", Why.EXPIRED),
        ("teacher.experiment", Why.UNOWNED),
        ("teacher", Why.UNUSED_FIELD),
    ]
