"""Which layer wins, what falls with what, and how `explain` tells it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Discriminator, Field, Tag, field_validator, model_validator
from tests.flagfiles import object_flag, profile_flag, write_flags

import windsock
from windsock.providers.files import FilesProvider
from windsock.settings.layers import Layer, Origin
from windsock.settings.laying import merge_layers
from windsock.settings.process import process

CONFIG = "3f0c2f5e-3a53-4a3f-9d6c-0b6f6f6d0001"
Serve = Callable[..., Path]


class Limits(BaseModel):
    per_hour: int = Field(15, ge=0)
    per_day: int = 100


UNSPEAKABLE = 13


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise KeyError("no text")


class Loop(BaseModel):
    seconds: float = 300


class Job(windsock.Settings, flag="job"):
    temperature: float = 0.7
    top_k: int = 10
    limits: Limits | None = Limits()
    loops: dict[int, Loop] = {}

    @field_validator("top_k")
    @classmethod
    def known(cls, top_k: int) -> int:
        if top_k == UNSPEAKABLE:
            raise UnspeakableError
        return {1: 1, 10: 10}[top_k]


def above_the_code(values: dict[str, object]):
    return merge_layers(Job.__windsock__.declaration, [Layer(Origin("profile"), values)])


def test_an_experiment_is_above_the_environment(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB_TEMPERATURE", "0.1")
    serve({"job.experiment": object_flag({"warm": {"temperature": 1.1}}, "warm")})
    explained = windsock.explain(Job.for_user("ann"))["temperature"]
    assert (explained.value, explained.layer) == (1.1, "experiment")
    assert explained.shadowed == ("environment",)


def test_a_profile_with_a_field_of_another_arm_leaves_the_experiment_too(serve: Serve) -> None:
    arms = object_flag({"control": {}, "warm": {"temperature": 1.1}}, "control")
    profile = profile_flag({CONFIG: {"temperature": 0.2}}, {"ann": CONFIG})
    serve({"job.experiment": arms, "job.profile": profile})
    assert windsock.explain(Job.for_user("ann")).excluded
    assert not windsock.explain(Job.for_user("bob")).excluded


@pytest.mark.parametrize(
    ("top_k", "message"),
    [
        (5, "KeyError: 5"),
        (UNSPEAKABLE, "UnspeakableError: <UnspeakableError whose text raised KeyError>"),
    ],
)
def test_a_validator_that_raises_anything_does_not_fail_the_request(top_k: int, message: str) -> None:
    resolved = above_the_code({"top_k": top_k})
    assert resolved.values["top_k"] == 10
    assert [refusal.message for refusal in resolved.refusals] == [message]


def test_what_is_refused_takes_its_content_along_and_is_reported_once() -> None:
    resolved = above_the_code({"loops": {"first": {"seconds": "long"}, "2": {"seconds": 2}}})
    assert [refusal.path for refusal in resolved.refusals] == [("loops", "first")]
    assert resolved.values["loops"] == {2: Loop(seconds=2)}


LONG_KEYS = "the keys that lead to a list or an object in it have more than 1,000 characters"


class Tagged(windsock.Settings, flag="tagged", extra="allow"):
    tags: dict[str, list[int]] = {}
    free: Any = None
    inner: Limits = Limits()
    count: int = 1
    __pydantic_extra__: dict[str, list[int]]


@pytest.mark.parametrize(
    "values",
    [
        {"tags": {"k" * 997: [1]}},
        {"tags": {"k" * 500: {"l" * 500: {}}}},
        {"free": [{"k" * 500: [[{"l" * 500: []}]]}]},
        {"inner": {"k" * 996: {}}},
        {"k" * 1_001: [1]},
    ],
    ids=["a mapping", "two keys", "anything", "a model", "an extra field"],
)
def test_a_field_with_too_long_keys_above_a_list_falls_as_a_whole(values: dict[str, object]) -> None:
    declaration = Tagged.__windsock__.declaration
    merged = merge_layers(declaration, [Layer(Origin("base"), {**values, "count": 7})])
    (field,) = values
    assert [(refusal.path, refusal.message) for refusal in merged.refusals] == [((field,), LONG_KEYS)]
    assert merged.values["count"] == 7


@pytest.mark.parametrize(
    "values",
    [{"tags": {"k" * 996: [1]}}, {"free": {"k" * 9_000: 1}}, {"k" * 1_000: [1]}],
    ids=["the longest", "above a number", "an extra field"],
)
def test_keys_up_to_the_bound_and_those_of_plain_values_are_accepted(values: dict[str, object]) -> None:
    assert not merge_layers(Tagged.__windsock__.declaration, [Layer(Origin("base"), values)]).refusals


READS_BELOW_A_LONG_KEY = """
import resource, sys
import windsock

class Tagged(windsock.Settings, flag="tagged"):
    tags: dict[str, list[int]] = {"ours": [1]}
    count: int = 1

windsock.start(flags=sys.argv[1], usage=False)
size = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (size * 1024 + (64 << 20),) * 2)
read = Tagged.for_user("ann")
print(read.tags, read.count)
windsock.stop()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="its limits of memory")
def test_no_long_key_in_a_flag_file_is_copied_for_each_wrong_value_below_it(tmp_path: Path) -> None:
    values = {"tags": {"k" * 20_000: ["x"] * 5_000}, "count": 7}
    write_flags(tmp_path / "a.flagd.json", {"tagged": object_flag({"all": values}, "all")})
    done = subprocess.run(
        [sys.executable, "-c", READS_BELOW_A_LONG_KEY, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "{'ours': [1]} 7\n", done.stderr[-500:]
    assert done.stderr.count(LONG_KEYS) == 1


def test_a_layer_of_which_nothing_counts_is_not_applied() -> None:
    resolved = above_the_code({"limits": {"per_hour": -1}})
    assert [layer.origin.layer for layer in resolved.applied] == ["default"]
    assert resolved.origins["limits"].layer == "default"


def test_shadowed_are_the_weaker_layers_that_say_the_same_leaf(serve: Serve) -> None:
    serve(
        {
            "job": object_flag({"base": {"limits": {"per_day": 50}}}, "base"),
            "job.profile": profile_flag({CONFIG: {"limits": {"per_hour": 1}}}, {"ann": CONFIG}),
        }
    )
    explained = windsock.explain(Job.for_user("ann"))
    assert [
        (each, explained[each].layer, explained[each].shadowed)
        for each in ("limits.per_hour", "limits.per_day")
    ] == [
        ("limits.per_hour", "profile", ()),
        ("limits.per_day", "base", ()),
    ]


def test_a_mapping_over_a_null_shadows_it(serve: Serve) -> None:
    profile = profile_flag({CONFIG: {"limits": {"per_hour": 1}}}, {"ann": CONFIG})
    serve({"job": object_flag({"base": {"limits": None}}, "base"), "job.profile": profile})
    assert windsock.explain(Job.for_user("ann"))["limits.per_hour"].shadowed == ("base",)


def test_a_field_that_another_arm_sets_from_now_on_excludes_from_now_on(serve: Serve) -> None:
    def flags(arm: dict[str, object]) -> dict[str, object]:
        profile = profile_flag({CONFIG: {"temperature": 0.2}}, {"ann": CONFIG})
        return {
            "job.experiment": object_flag({"control": {}, "warm": arm}, "control"),
            "job.profile": profile,
        }

    folder = serve(flags({"top_k": 1}))
    assert not windsock.explain(Job.for_user("ann")).excluded
    write_flags(folder / "test.flagd.json", flags({"temperature": 1.1}))
    provider = process.evaluating().provider()
    assert isinstance(provider, FilesProvider)
    provider.refresh()
    assert windsock.explain(Job.for_user("ann")).excluded


def test_a_configuration_that_changes_nothing_is_one_all_the_same(serve: Serve) -> None:
    serve({"job.profile": profile_flag({CONFIG: {}}, {"ann": CONFIG})})
    assert windsock.explain(Job.for_user("ann")).config_id == CONFIG
    assert windsock.explain(Job.for_user("bob")).config_id is None


def test_before_a_start_no_user_has_a_configuration() -> None:
    """OpenFeature's own provider names a variant with the caller's default, `Passed in default`."""
    assert windsock.explain(Job.for_user("ann")).config_id is None


def exits(value: int) -> int:
    if value == UNSPEAKABLE:
        sys.exit("not configured")
    return value


def exits_at_a_kind(value: Any) -> str:
    kind = value["kind"] if isinstance(value, dict) else value.kind
    return str(exits(kind))


class OfKind(BaseModel):
    kind: int = 1


class OfOtherKind(BaseModel):
    kind: int = 2


class Exiting(windsock.Settings, flag="exiting"):
    """Its validators end the process, as a script's do at its start."""

    by_field: int = 1
    by_model: int = 1
    kind: Annotated[
        Annotated[OfKind, Tag("1")] | Annotated[OfOtherKind, Tag("2")], Discriminator(exits_at_a_kind)
    ] = OfKind()
    other: int = 1

    @field_validator("by_field")
    @classmethod
    def one(cls, value: int) -> int:
        return exits(value)

    @model_validator(mode="after")
    def all(self) -> "Exiting":
        exits(self.by_model)
        return self


@pytest.mark.parametrize("field", ["by_field", "by_model", "kind"])
def test_a_validator_that_exits_does_not_end_the_service(serve: Serve, field: str) -> None:
    bad = {"kind": UNSPEAKABLE} if field == "kind" else UNSPEAKABLE
    serve({"exiting": object_flag({"base": {field: bad, "other": 2}}, "base")})
    settings = Exiting.for_user("ann")
    assert (getattr(settings, field), settings.other) == (Exiting.model_fields[field].default, 2)
    assert getattr(Exiting.live(), field) == Exiting.model_fields[field].default
    assert "not configured" in str(windsock.explain(settings))
    assert windsock.health().ready
    with pytest.raises(SystemExit):
        Exiting(**{field: bad})
