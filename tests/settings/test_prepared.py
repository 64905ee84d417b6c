"""What a user is given doesn't depend on the way it was found: prepared rules, or all three flags asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.hook import Hook
from tests.flagfiles import object_flag, write_flags
from tests.settings.teacher import Serve

import windsock
from windsock.settings.process import process


class Prepared(windsock.Settings, flag="prepared"):
    base: str = "code"
    arm: str = "code"
    profile: str = "code"


STAGING = {"if": [{"==": [{"var": "environment"}, "staging"]}, "staging"]}
BASES = {
    "no base": None,
    "no rule": object_flag({"on": {"base": "on"}}, "on"),
    "by environment": object_flag({"on": {"base": "on"}, "staging": {"base": "staging"}}, "on", STAGING),
    "by tier": object_flag(
        {"on": {"base": "on"}, "pro": {"base": "pro"}},
        "on",
        {"if": [{"==": [{"var": "tier"}, "pro"]}, "pro"]},
    ),
    "one that fails": object_flag(
        {"on": {"base": "on"}}, "on", {"if": [{"==": [{"var": "environment"}, "test"]}, "lost"]}
    ),
}
EXPERIMENTS = {
    "no experiment": None,
    "a split": object_flag(
        {"a": {"arm": "a"}, "b": {"arm": "b"}}, "a", {"fractional": [["a", 50], ["b", 50]]}
    ),
}
PROFILES = {
    "no profile": None,
    "by user": object_flag(
        {"none": {}, "p": {"profile": "p"}}, "none", {"if": [{"in": [{"var": "targetingKey"}, ["ann"]]}, "p"]}
    ),
    "by user and environment": object_flag(
        {"none": {}, "p": {"profile": "p"}},
        "none",
        {"if": [{"and": [{"==": [{"var": "targetingKey"}, "ann"]}, STAGING["if"][0]]}, "p"]},
    ),
    "one that raises": object_flag(
        {"none": {}, "p": {"profile": "p"}}, "none", {"if": [{"<": [{"var": "tier"}, 3]}, "p"]}
    ),
}
USERS = st.sampled_from([None, "", "ann", "bob", 7])
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["tier", "environment", "targetingKey"]),
    st.sampled_from(["pro", "staging", "ann", 1]),
    max_size=2,
)
OUTER = st.builds(EvaluationContext, st.sampled_from([None, "ann"]), ATTRIBUTES) | st.just(
    EvaluationContext()
)


@pytest.fixture(autouse=True)
def no_hooks() -> Iterator[None]:
    yield
    api.clear_hooks()
    api.clear_evaluation_context()


def asked(user: object, attributes: dict[str, Any]) -> list[tuple[str, str]]:
    """What a user is given, and from which layer."""
    view = Prepared.for_user(user, **attributes)
    return [(getattr(view, name), windsock.explain(view)[name].layer) for name in Prepared.model_fields]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    base=st.sampled_from(list(BASES)),
    experiment=st.sampled_from(list(EXPERIMENTS)),
    profile=st.sampled_from(list(PROFILES)),
    environment=st.sampled_from(["test", "staging"]),
    questions=st.lists(st.tuples(OUTER, USERS, ATTRIBUTES), min_size=1, max_size=6),
)
def test_a_hook_that_does_nothing_changes_nothing(  # noqa: PLR0917
    serve: Serve, base: str, experiment: str, profile: str, environment: str, questions: list[Any]
) -> None:
    flags = {
        "prepared": BASES[base],
        "prepared.experiment": EXPERIMENTS[experiment],
        "prepared.profile": PROFILES[profile],
    }
    serve({key: flag for key, flag in flags.items() if flag}, environment=environment)
    for outer, user, attributes in questions * 2:
        api.set_evaluation_context(outer)
        directly = asked(user, attributes)
        api.add_hooks([Hook()])
        through_the_client = asked(user, attributes)
        api.clear_hooks()
        assert directly == through_the_client
    windsock.stop()


def test_the_environment_of_a_call_wins_over_the_deployment_s(serve: Serve) -> None:
    serve({"prepared": BASES["by environment"]}, environment="test")
    assert Prepared.for_user("ann").base == "on"
    assert Prepared.for_user("ann", environment="staging").base == "staging"
    assert Prepared.for_user("ann").base == "on"
    process.evaluating().environment = "staging"
    assert Prepared.for_user("ann").base == "staging"


def test_only_the_rule_that_tells_users_apart_is_called(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve({"prepared": BASES["by environment"], "prepared.profile": PROFILES["by user"]}, environment="test")
    assert [Prepared.for_user(user).profile for user in ("ann", "ann", "bob")] == ["p", "p", "code"]
    resolver = Prepared.__windsock__
    assert len(resolver._prepared.served) == 2
    assert all(type(chosen) is not tuple for chosen in resolver._prepared.served)


def test_memory_for_distinct_errors_is_bounded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("windsock.settings.prepared._SERVED_MAX", 10)
    lost = object_flag({"on": {"base": "on"}}, "on", {"var": "tier"})
    serve({"prepared": lost, "prepared.profile": PROFILES["by user"]})
    for number in range(50):
        assert Prepared.for_user("ann", tier=f"lost-{number}").base == "code"
    assert len(Prepared.__windsock__._prepared.served) <= 10


def test_a_set_that_is_published_is_seen_at_once(serve: Serve) -> None:
    folder: Path = serve({"prepared": BASES["no rule"]})
    assert Prepared.for_user("ann").base == "on"
    write_flags(folder / "test.flagd.json", {"prepared": object_flag({"on": {"base": "new"}}, "on")})
    windsock.reload()
    assert Prepared.for_user("ann").base == "new"
