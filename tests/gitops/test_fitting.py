"""What is laid over what, when flag files are checked against their settings class."""

import json

from pydantic import model_validator

import windsock
from windsock.flags import merge, read_document
from windsock.gitops.misfits import misfits


class Range(windsock.Settings, flag="range"):
    low: int = 1
    high: int = 10

    @model_validator(mode="after")
    def ordered(self):
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self


def refused(**flags: dict[str, object]) -> list[tuple[str, tuple[str | int, ...]]]:
    content = {
        f"range.{name}": {"state": "ENABLED", "variants": {"none": {}, "v": values}, "defaultVariant": "none"}
        for name, values in flags.items()
    }
    document = read_document(json.dumps({"flags": content}).encode(), "f.flagd.json")
    found = misfits(merge([document]), [Range.__windsock__.declaration])
    return [(misfit.flag.key, misfit.tokens) for misfit in found]


def test_an_arm_and_a_profile_that_exclude_each_other_are_not_laid_over_each_other():
    assert refused(experiment={"low": 5, "high": 7}, profile={"high": 4}) == []
    assert refused(experiment={"low": 5}, profile={"high": 4}) == [
        ("range.profile", ("variants", "v", "high"))
    ]


def test_profiles_in_several_files_are_checked_too():
    assert refused(**{"profile.3": {"low": 11}}) == [("range.profile.3", ("variants", "v", "low"))]
