"""The stock flagd provider runs on our evaluator in place of its own core: file, events and every type."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openfeature import _event_support, api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.contrib.provider.flagd.resolvers import in_process
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode
from tests.flagfiles import write_flags
from tests.waiting import eventually

from windsock.evaluator import FlagEvaluator

VALUES = {
    "text": "red",
    "whole": 3,
    "broken": 0.5,
    "yes": True,
    "settings": {"top_k": 25, "nested": [1, "x"]},
}


def flag(value: object, **more: object) -> dict[str, object]:
    return {"state": "ENABLED", "variants": {"it": value}, "defaultVariant": "it", **more}


def split(bucketing: str) -> dict[str, object]:
    rule = {"fractional": [["a", 50], ["b", 50]]}
    variants = {"a": "a", "b": "b"}
    return flag("a", variants=variants, defaultVariant="a", targeting=rule, metadata={"bucketing": bucketing})


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "a.flagd.json"
    write_flags(
        path, {key: flag(value) for key, value in VALUES.items()} | {"v2": split("v2"), "v3": split("v3")}
    )
    monkeypatch.setattr(in_process, "FlagdCore", FlagEvaluator)
    provider = FlagdProvider(
        resolver_type=ResolverType.FILE, offline_flag_source_path=str(path), deadline_ms=50
    )
    api.set_provider_and_wait(provider)
    yield path
    api.shutdown()
    _event_support.clear()
    api.clear_providers()


@pytest.mark.usefixtures("path")
def test_every_type_is_resolved() -> None:
    client = api.get_client()
    assert {
        "text": client.get_string_value("text", ""),
        "whole": client.get_integer_value("whole", 0),
        "broken": client.get_float_value("broken", 0.0),
        "yes": client.get_boolean_value("yes", default_value=False),
        "settings": client.get_object_value("settings", {}),
    } == VALUES
    assert client.get_integer_details("text", 7).error_code is ErrorCode.TYPE_MISMATCH
    assert client.get_integer_details("absent", 7).error_code is ErrorCode.FLAG_NOT_FOUND


@pytest.mark.usefixtures("path")
def test_users_are_bucketed_as_their_flag_says_and_not_as_the_core_does() -> None:
    client = api.get_client()
    users = [EvaluationContext(f"user-{number}") for number in range(200)]
    v2, v3 = ([client.get_string_value(key, "", user) for user in users] for key in ("v2", "v3"))
    assert set(v2) == set(v3) == {"a", "b"}
    assert v2 != v3


def test_a_change_of_the_file_is_reported_with_the_flags_that_changed(path: Path) -> None:
    changed: list[EventDetails] = []
    api.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, changed.append)
    flags = {key: flag(value) for key, value in VALUES.items()}
    write_flags(path, flags | {"text": flag("blue"), "v2": split("v2"), "v3": split("v3")})
    eventually(lambda: changed)
    assert changed[0].flags_changed == ["text"]
    assert api.get_client().get_string_value("text", "") == "blue"
