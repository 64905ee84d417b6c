"""The direct path and OpenFeature's client give the same, whatever the contexts, the rules and the errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.hook import Hook
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from openfeature.transaction_context import ContextVarsTransactionContextPropagator
from tests.client.conftest import OBJECT_FLAGS, SWITCHES

import windsock
from windsock.client.evaluation import Evaluation
from windsock.providers import FilesProvider
from windsock.settings.process import process

VALUES = st.sampled_from(["red", "ann", "green", "1", 1, 2.5, True, None, ["red"], {"red": 1}])
NAMES = st.sampled_from(["colour", "environment", "tier", "targetingKey"])
USERS = st.none() | st.sampled_from(["ann", "bob", "", 7, 0])
CONTEXTS = st.builds(
    EvaluationContext,
    st.none() | st.sampled_from(["ann", "bob"]),
    st.dictionaries(NAMES, VALUES, max_size=2),
)
ATTRIBUTES = st.dictionaries(NAMES, VALUES, max_size=3)
EMPTY = EvaluationContext()


@contextmanager
def serving(provider: FilesProvider, outer, transaction, own) -> Iterator[Evaluation]:
    """The process's way to the flags, in these contexts."""
    api.set_provider_and_wait(provider)
    api.set_evaluation_context(outer)
    if transaction is not None:
        api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
        api.set_transaction_context(transaction)
    process.evaluation = Evaluation(environment="test")
    process.evaluation.client.context = own
    try:
        yield process.evaluation
    finally:
        process.evaluation = None
        api.set_transaction_context(EMPTY)  # the variable outlives the propagator
        api.clear_transaction_context_propagator()
        api.clear_evaluation_context()


def invocation(user: object, attributes: dict[str, object]) -> EvaluationContext:
    return EvaluationContext(None if user is None else str(user), attributes)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, deadline=None)
@given(
    flag=st.sampled_from([*OBJECT_FLAGS, "missing"]),
    outer=CONTEXTS,
    transaction=CONTEXTS | st.none(),
    own=CONTEXTS,
    user=USERS,
    attributes=ATTRIBUTES,
)
def test_both_paths_agree(  # noqa: PLR0917
    provider: FilesProvider, flag, outer, transaction, own, user, attributes
) -> None:
    with serving(provider, outer, transaction, own) as evaluation:
        assert evaluation.provider() is provider
        details = evaluation.client.get_object_details(flag, {}, invocation(user, attributes))
        compiled = provider.compiled.get(flag)
        if compiled is None:
            assert details.error_code is ErrorCode.FLAG_NOT_FOUND
            return
        direct = compiled.evaluate(evaluation.context(user, dict(attributes)))
        if isinstance(direct.value, str):
            assert details.error_code is ErrorCode.TYPE_MISMATCH
            return
        assert (direct.variant, direct.reason, direct.error_code) == (
            details.variant,
            details.reason,
            details.error_code,
        )
        assert ({} if direct.value is None else direct.value) == details.value
        ordinary = evaluation.object(flag, user, attributes)
        assert (ordinary.value, ordinary.variant, ordinary.reason) == (
            direct.value,
            direct.variant,
            direct.reason,
        )


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=600, deadline=None)
@given(
    flag=st.sampled_from([*SWITCHES, "missing"]),
    outer=CONTEXTS | st.just(EMPTY),
    transaction=CONTEXTS | st.none(),
    own=CONTEXTS | st.just(EMPTY),
    user=USERS,
    attributes=ATTRIBUTES,
    default=st.booleans(),
)
def test_a_feature_gives_what_the_client_gives(  # noqa: PLR0917
    provider: FilesProvider, flag, outer, transaction, own, user, attributes, *, default: bool
) -> None:
    feature = windsock.feature(flag, default=default)
    with serving(provider, outer, transaction, own) as evaluation:
        expected = evaluation.client.get_boolean_value(flag, default, invocation(user, attributes))
        assert feature(user, **attributes) is expected  # the provider is new to it
        assert feature(user, **attributes) is expected  # and known


def test_the_user_wins_over_an_attribute_of_that_name(provider: FilesProvider) -> None:
    with serving(provider, EMPTY, None, EMPTY):
        feature = windsock.feature("switch-user", default=False)
        assert (feature("ann"), feature("bob")) == (True, False)
        assert (feature("bob", targetingKey="ann"), feature(None, targetingKey="ann")) == (False, True)


@pytest.mark.parametrize("user", ["", None, 0, 7, "7", "ann"])
@pytest.mark.parametrize("flag", ["switch-nobody", "switch-no-user", "switch-prefix", "switch-user"])
def test_a_user_of_any_kind_is_the_client_s(provider: FilesProvider, flag: str, user: object) -> None:
    with serving(provider, EMPTY, None, EMPTY) as evaluation:
        feature = windsock.feature(flag, default=False)
        expected = evaluation.client.get_boolean_value(flag, False, invocation(user, {}))
        assert (feature(user), feature(user)) == (expected, expected)
        assert evaluation.context(user, {}).get("targetingKey") == (None if user in ("", None) else str(user))


@pytest.mark.parametrize("where", ["api", "transaction", "client"])
@pytest.mark.parametrize(
    "more",
    [EvaluationContext("ann"), EvaluationContext(None, {"colour": "red", "tier": 1})],
    ids=["user", "attributes"],
)
def test_a_context_that_is_set_later_is_seen(
    provider: FilesProvider, where: str, more: EvaluationContext
) -> None:
    features = [
        windsock.feature(flag, default=False) for flag in ("switch-user", "switch-colour", "switch-two")
    ]
    transaction = EMPTY if where == "transaction" else None
    with serving(provider, EMPTY, transaction, EMPTY) as evaluation:
        assert [feature() for feature in features] == [False] * 3
        assert evaluation.context(None, {}) == {"environment": "test"}  # twice: it remembers what is empty
        if where == "api":
            api.set_evaluation_context(more)
        elif where == "transaction":
            api.set_transaction_context(more)
        else:
            evaluation.client.context = more
        by_user = more.targeting_key is not None
        assert [feature() for feature in features] == [by_user, not by_user, not by_user]


def test_the_call_s_own_user_and_attributes_win(provider: FilesProvider) -> None:
    outer = EvaluationContext("bob", {"colour": "green"})
    with serving(provider, outer, outer, outer) as evaluation:
        seen = evaluation.context("ann", {"colour": "red"})
        assert seen == {"targetingKey": "ann", "colour": "red", "environment": "test"}


def test_a_rule_that_fails_gives_the_code_defaults(provider: FilesProvider) -> None:
    class Broken(windsock.Settings, flag="broken"):
        x: int = 7

    with serving(provider, EMPTY, None, EMPTY):
        assert Broken.for_user("ann").x == 7


class Unreadable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("flag", ["switch-colour", "switch-colours", "switch-number", "switch-fails"])
def test_a_value_that_cannot_be_read_gives_the_default(provider: FilesProvider, flag: str) -> None:
    with serving(provider, EMPTY, None, EMPTY):
        for default in (True, False):
            assert windsock.feature(flag, default=default)("ann", colour=Unreadable()) is default


@pytest.mark.parametrize("event", ["PROVIDER_STALE", "PROVIDER_ERROR", "PROVIDER_READY"])
def test_every_status_that_serves_is_served_directly(provider: FilesProvider, event: str) -> None:
    api.set_provider_and_wait(provider)
    provider.emit(ProviderEvent[event], ProviderEventDetails(error_code=ErrorCode.GENERAL))
    evaluation = Evaluation(environment="test")
    assert evaluation.provider() is provider
    assert evaluation.client.get_object_details("static", {}).variant == "red"


@pytest.mark.parametrize("code", [ErrorCode.PROVIDER_FATAL])
def test_a_fatal_provider_is_left_to_the_client(provider: FilesProvider, code: ErrorCode) -> None:
    api.set_provider_and_wait(provider)
    provider.emit(ProviderEvent.PROVIDER_ERROR, ProviderEventDetails(error_code=code))
    evaluation = Evaluation(environment="test")
    assert evaluation.provider() is None
    assert evaluation.object("static", "ann", {}).error_code is ErrorCode.PROVIDER_FATAL


def test_another_provider_is_asked_through_the_client_and_interned() -> None:
    api.set_provider_and_wait(InMemoryProvider({"flag": InMemoryFlag("on", {"on": {"x": 1}})}))
    evaluation = Evaluation(environment="test")
    assert evaluation.provider() is None
    first, second = evaluation.object("flag", "ann", {}), evaluation.object("flag", "bob", {})
    assert first is second
    assert (first.value, first.variant, first.reason) == ({"x": 1}, "on", Reason.STATIC)


def test_a_provider_that_is_replaced_is_seen_at_once(provider: FilesProvider) -> None:
    evaluation = Evaluation(environment="test")
    assert evaluation.provider() is None
    api.set_provider_and_wait(provider)
    assert evaluation.provider() is provider
    api.set_provider_and_wait(InMemoryProvider({}))
    assert evaluation.provider() is None


def test_a_domain_has_its_own_provider(provider: FilesProvider) -> None:
    api.set_provider_and_wait(provider, "teaching")
    assert Evaluation("teaching", "test").provider() is provider
    assert Evaluation(None, "test").provider() is None


def test_a_feature_follows_its_provider(provider: FilesProvider) -> None:
    feature = windsock.feature("switch-static", default=False)
    assert feature() is False
    api.set_provider_and_wait(provider)
    assert feature() is True
    api.set_provider_and_wait(InMemoryProvider({"switch-static": InMemoryFlag("off", {"off": False})}))
    assert feature() is False
    api.set_provider_and_wait(provider)
    assert feature() is True
    provider.emit(ProviderEvent.PROVIDER_ERROR, ProviderEventDetails(error_code=ErrorCode.PROVIDER_FATAL))
    assert feature() is False


def test_a_feature_of_a_domain_asks_the_domain_s_provider(provider: FilesProvider) -> None:
    feature = windsock.feature("switch-static", default=False)
    process.evaluation = Evaluation("teaching", "test")
    api.set_provider_and_wait(provider)
    assert feature() is True  # a domain without a provider has the default one
    off = InMemoryProvider({"switch-static": InMemoryFlag("off", {"off": False})})
    api.set_provider_and_wait(off, "teaching")
    assert feature() is False
    api.set_provider_and_wait(InMemoryProvider({}))
    api.set_provider_and_wait(provider, "teaching")
    assert feature() is True


def test_a_provider_with_its_own_hooks_is_left_to_the_client(provider: FilesProvider) -> None:
    calls: list[object] = []

    class Counting(Hook):
        def before(self, hook_context, hints):
            calls.append(hook_context.flag_key)

    class Hooked(FilesProvider):
        def get_provider_hooks(self) -> list[Hook]:
            return [Counting()]

    hooked = Hooked(provider.serving.source, {"environment": "test"})
    hooked.refresh()
    api.set_provider_and_wait(hooked)
    feature = windsock.feature("switch-static", default=False)
    assert (feature(), feature(), calls) == (True, True, ["switch-static"] * 2)
