"""Which bucketing an evaluator uses, told from its answers."""

import json
from collections.abc import Mapping

import pytest
from tests.flagfiles import split

from windsock.doctor.evaluators import installed
from windsock.doctor.probes import SAMPLE, answered, buckets, probes
from windsock.evaluator import CompiledFlag
from windsock.flags import Flag, read_document


def flag(written: dict[str, object], key: str = "f") -> Flag:
    return read_document(json.dumps({"flags": {key: written}}).encode(), "test").flags[key]


@pytest.mark.parametrize("bucketing", ["v2", "v3"])
@pytest.mark.parametrize("first", [50, 1])
def test_probes_tell_the_two_apart(bucketing: str, first: int) -> None:
    asked = flag(split(bucketing, first))
    compiled = CompiledFlag(asked)
    probed = probes(asked, {})
    assert probed

    def ask(_: Flag, context: Mapping[str, object]) -> str | None:
        return compiled.evaluate(context).variant

    assert answered(asked, probed, ask) == bucketing
    assert answered(asked, probed, lambda _, __: "off") == "neither"


def test_a_split_behind_an_attribute_is_probed_where_it_is_given() -> None:
    asked = flag(split(when="gold"))
    assert buckets(asked)
    assert probes(asked, {}) == ()
    assert probes(asked, {"tier": "gold"})


def test_a_flag_without_a_split_is_not_probed() -> None:
    assert not buckets(flag({"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}))
    assert not buckets(flag(split() | {"state": "DISABLED"}))


def test_the_installed_core_is_found_out() -> None:
    found = installed()
    assert found is not None
    assert (found.name.split()[0], found.bucketing) == ("openfeature-flagd-core", "v3")
    assert buckets(SAMPLE)
