"""The direct path and OpenFeature's client give the same, whatever the contexts, the rules and the errors."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.hook import Hook, HookContext
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from openfeature.transaction_context import ContextVarsTransactionContextPropagator
from tests.flagfiles import object_flag, write_flags

import windsock
from windsock.evaluation import Evaluation, missing
from windsock.providers import FilesProvider

VALUES = st.sampled_from(["red", "green", 1, True])
CONTEXTS = st.builds(
    EvaluationContext,
    st.none() | st.sampled_from(["ann", "bob"]),
    st.dictionaries(st.sampled_from(["colour", "environment", "tier"]), VALUES, max_size=2),
)
VARIANTS = {"none": {}, "red": {"x": 1}, "green": {"x": 2}, "true": {"x": 3}, "list": [1], "text": "t"}
FLAGS = {
    "static": object_flag(VARIANTS, "red"),
    "null-default": object_flag(VARIANTS, None),
    "disabled": {**object_flag(VARIANTS, "red"), "state": "DISABLED"},
    "attribute": object_flag(VARIANTS, "none", {"var": "colour"}),
    "environment": object_flag(VARIANTS, "none", {"if": [{"==": [{"var": "environment"}, "red"]}, "red"]}),
    "user": object_flag(VARIANTS, "none", {"if": [{"in": [{"var": "targetingKey"}, ["ann"]]}, "green"]}),
    "split": object_flag(VARIANTS, "none", {"fractional": [["red", 50], ["green", 50]]}),
    "no-such-variant": object_flag(VARIANTS, "none", "blue"),
    "switch": {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
        "targeting": {"if": [{"==": [{"var": "colour"}, "red"]}, "on"]},
    },
    "a-list": object_flag(VARIANTS, "list"),
    "a-text": object_flag(VARIANTS, "text"),
}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilesProvider]:
    folder = tmp_path_factory.mktemp("flags")
    write_flags(folder / "all.flagd.json", FLAGS)
    provider = FilesProvider(folder, {"environment": "test"})
    provider.refresh()
    return provider


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    windsock.stop()
    api.shutdown()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, deadline=None)
@given(
    flag=st.sampled_from([*FLAGS, "missing"]),
    outer=CONTEXTS,
    transaction=CONTEXTS | st.none(),
    own=CONTEXTS,
    user=st.none() | st.sampled_from(["ann", "bob", ""]),
    attributes=st.dictionaries(st.sampled_from(["colour", "environment"]), VALUES, max_size=2),
)
def test_both_paths_agree(  # noqa: PLR0917
    provider: FilesProvider, flag, outer, transaction, own, user, attributes
) -> None:
    api.set_provider_and_wait(provider)
    api.set_evaluation_context(outer)
    if transaction is not None:
        api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
        api.set_transaction_context(transaction)
    try:
        evaluation = Evaluation(environment="test")
        evaluation.client.context = own
        assert evaluation.provider() is provider
        compiled = provider.compiled.get(flag)
        context = EvaluationContext(user, attributes)
        details = evaluation.client.get_object_details(flag, {}, context)
        if compiled is None:
            assert details.error_code is ErrorCode.FLAG_NOT_FOUND
            assert evaluation.outcome(flag, user, dict(attributes)) is missing(flag)
            return
        direct = compiled.evaluate(evaluation.context(user, dict(attributes)))
        assert evaluation.outcome(flag, user, dict(attributes)) is direct or direct.error_code
        if isinstance(direct.value, (str, bool)):
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
    finally:
        api.clear_transaction_context_propagator()
        api.clear_evaluation_context()


class Recorder(Hook):
    """A hook of four stages, that may change the context or fail."""

    def __init__(self, name: str, calls: list[object], fails: str | None, colour: str | None) -> None:
        self.name, self.calls, self.fails, self.colour = name, calls, fails, colour

    def _stage(self, stage: str, hook_context: HookContext, *seen: object) -> None:
        context = hook_context.evaluation_context
        about = {
            **vars(hook_context),
            "evaluation_context": (context.targeting_key, dict(context.attributes)),
        }
        shown = [(type(each), str(each)) if isinstance(each, Exception) else repr(each) for each in seen]
        self.calls.append((self.name, stage, about, *shown))
        hook_context.hook_data[stage] = self.name
        if self.fails == stage:
            raise ValueError(f"{self.name} fails in {stage}")

    def supports_flag_value_type(self, flag_type):
        self.calls.append((self.name, "supports", flag_type))
        return self.fails != "supports"

    def before(self, hook_context, hints):
        self._stage("before", hook_context, hints)
        return EvaluationContext(attributes={"colour": self.colour}) if self.colour else None

    def after(self, hook_context, details, hints):
        self._stage("after", hook_context, details, hints)

    def error(self, hook_context, exception, hints):
        self._stage("error", hook_context, exception, hints)

    def finally_after(self, hook_context, details, hints):
        self._stage("finally", hook_context, details, hints)


HOOKS = st.lists(
    st.tuples(
        st.sampled_from(["api", "client"]),
        st.none() | st.sampled_from(["before", "after", "error", "finally", "supports"]),
        st.none() | st.sampled_from(["red", "green"]),
    ),
    min_size=1,
    max_size=3,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(flag=st.sampled_from(["static", "attribute", "missing", "no-such-variant"]), hooks=HOOKS)
def test_with_hooks_settings_make_the_client_s_own_calls(
    provider: FilesProvider, flag: str, hooks: list[tuple[str, str | None, str | None]]
) -> None:
    calls: list[object] = []
    api.set_provider_and_wait(provider)
    evaluation = Evaluation(environment="test")
    made = [
        (where, Recorder(f"{where}{n}", calls, fails, colour))
        for n, (where, fails, colour) in enumerate(hooks)
    ]
    api.add_hooks([hook for where, hook in made if where == "api"])
    evaluation.client.add_hooks([hook for where, hook in made if where == "client"])
    try:
        assert evaluation.provider() is None
        assert evaluation.outcome("static", "ann", {}) is None
        outcome = evaluation.object(flag, "ann", {})
        seen, calls[:] = list(calls), []
        context = EvaluationContext("ann", {"environment": "test"})
        details = evaluation.client.get_object_details(flag, {}, context)
        assert seen == calls
        assert (outcome.variant, outcome.reason, outcome.error_code) == (
            details.variant,
            details.reason,
            details.error_code,
        )
    finally:
        api.clear_hooks()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(flag=st.sampled_from(["switch", "static", "missing"]), hooks=HOOKS, default=st.booleans())
def test_with_hooks_a_feature_makes_the_client_s_own_calls(
    provider: FilesProvider, flag: str, hooks: list[tuple[str, str | None, str | None]], *, default: bool
) -> None:
    calls: list[object] = []
    api.set_provider_and_wait(provider)
    evaluation = Evaluation(environment="test")
    api.add_hooks([Recorder(f"{n}", calls, fails, colour) for n, (_, fails, colour) in enumerate(hooks)])
    try:
        assert evaluation.provider() is None
        value = evaluation.boolean(flag, "ann", {"colour": "green"}, default=default)
        seen, calls[:] = list(calls), []
        context = EvaluationContext("ann", {"environment": "test", "colour": "green"})
        assert (value, seen) == (evaluation.client.get_boolean_value(flag, default, context), calls)
    finally:
        api.clear_hooks()


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
    assert evaluation.outcome("static", "ann", {}) is None
    assert evaluation.object("static", "ann", {}).error_code is ErrorCode.PROVIDER_FATAL


def test_another_provider_is_asked_through_the_client_and_interned() -> None:
    api.set_provider_and_wait(InMemoryProvider({"flag": InMemoryFlag("on", {"on": {"x": 1}})}))
    evaluation = Evaluation(environment="test")
    assert evaluation.provider() is None
    assert evaluation.outcome("static", "ann", {}) is None
    first, second = evaluation.object("flag", "ann", {}), evaluation.object("flag", "bob", {})
    assert first is second
    assert (first.value, first.variant, first.reason) == ({"x": 1}, "on", Reason.STATIC)


def test_a_provider_that_is_replaced_is_seen_at_once(provider: FilesProvider) -> None:
    evaluation = Evaluation(environment="test")
    assert evaluation.provider() is None
    assert evaluation.outcome("static", "ann", {}) is None
    api.set_provider_and_wait(provider)
    assert evaluation.provider() is provider
    api.set_provider_and_wait(InMemoryProvider({}))
    assert evaluation.provider() is None
    assert evaluation.outcome("static", "ann", {}) is None


def test_a_domain_has_a_provider_of_its_own(provider: FilesProvider) -> None:
    api.set_provider_and_wait(provider, "teaching")
    assert Evaluation("teaching", "test").provider() is provider
    assert Evaluation(None, "test").provider() is None
    assert Evaluation(None, "test").outcome("static", "ann", {}) is None
