"""With hooks, windsock makes the calls that OpenFeature's client makes: in its order, with its arguments."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.hook import Hook, HookContext

import windsock
from windsock.client.evaluation import Evaluation
from windsock.providers import FilesProvider
from windsock.settings.process import process


class Recorder(Hook):
    """A hook of four stages that writes down what it is given, and leaves traces in all that it can change.

    Args:
        name: What it is called in the record.
        calls: The record.
        fails: The stage that it fails in, or "supports", where it says that it does not want the flag.
        colour: An attribute that it sets before the evaluation.
        meddles: It sets that in the context at hand instead of returning it, and changes the details.
    """

    def __init__(
        self, name: str, calls: list[object], fails: str | None, colour: str | None, *, meddles: bool
    ) -> None:
        self.name, self.calls, self.fails, self.colour, self.meddles = name, calls, fails, colour, meddles

    def _stage(self, stage: str, hook_context: HookContext, hints: dict[str, object], *seen: object) -> None:
        context = hook_context.evaluation_context
        about = {
            "type": type(hook_context),
            **vars(hook_context),
            "evaluation_context": (context.targeting_key, dict(context.attributes)),
            "hook_data": dict(hook_context.hook_data),
        }
        shown = [(type(each), str(each)) if isinstance(each, Exception) else repr(each) for each in seen]
        self.calls.append((self.name, stage, about, dict(hints), *shown))
        hook_context.hook_data[stage] = self.name
        hints[f"{self.name} {stage}"] = len(hints)
        if self.fails == stage:
            raise ValueError(f"{self.name} fails in {stage}")

    def supports_flag_value_type(self, flag_type):
        self.calls.append((self.name, "supports", flag_type))
        return self.fails != "supports"

    def before(self, hook_context, hints):
        self._stage("before", hook_context, hints)
        if self.colour and self.meddles:
            hook_context.evaluation_context.attributes["colour"] = self.colour
            hook_context.evaluation_context = EvaluationContext("nobody")
            return None
        return EvaluationContext(attributes={"colour": self.colour}) if self.colour else None

    def after(self, hook_context, details, hints):
        self._stage("after", hook_context, hints, details)
        if self.meddles:
            details.variant = f"{details.variant}+"
            details.flag_metadata["by"] = self.name
            if isinstance(details.value, dict):
                details.value["by"] = self.name

    def error(self, hook_context, exception, hints):
        self._stage("error", hook_context, hints, exception)

    def finally_after(self, hook_context, details, hints):
        self._stage("finally", hook_context, hints, details)


HOOKS = st.lists(
    st.tuples(
        st.sampled_from(["api", "client"]),
        st.none() | st.sampled_from(["before", "after", "error", "finally", "supports"]),
        st.none() | st.sampled_from(["red", "green"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
)
Hooks = list[tuple[str, str | None, str | None, bool]]


@contextmanager
def hooked(provider: FilesProvider, hooks: Hooks) -> Iterator[tuple[Evaluation, list[object]]]:
    """The process's way to the flags with hooks, and the record of their calls."""
    calls: list[object] = []
    api.set_provider_and_wait(provider)
    process.evaluation = evaluation = Evaluation(environment="test")
    assert evaluation.in_process() is provider  # known to it from now on
    for number, (where, fails, colour, meddles) in enumerate(hooks):
        hook = Recorder(f"{where}{number}", calls, fails, colour, meddles=meddles)
        (api if where == "api" else evaluation.client).add_hooks([hook])
    try:
        yield evaluation, calls
    finally:
        process.evaluation = None
        api.clear_hooks()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(
    flag=st.sampled_from(
        ["static", "attribute", "a-list", "a-text", "disabled", "missing", "broken", "no-such-variant"]
    ),
    hooks=HOOKS,
)
def test_settings_make_the_client_s_own_calls(provider: FilesProvider, flag: str, hooks: Hooks) -> None:
    with hooked(provider, hooks) as (evaluation, calls):
        assert evaluation.provider() is None
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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(
    flag=st.sampled_from(
        ["switch-colour", "switch-static", "switch-null", "switch-text", "switch-broken", "static", "missing"]
    ),
    hooks=HOOKS,
    default=st.booleans(),
)
def test_a_feature_makes_the_client_s_own_calls(
    provider: FilesProvider, flag: str, hooks: Hooks, *, default: bool
) -> None:
    feature = windsock.feature(flag, default=default)
    with hooked(provider, hooks) as (evaluation, calls):
        value = feature("ann", colour="green")
        seen, calls[:] = list(calls), []
        context = EvaluationContext("ann", {"environment": "test", "colour": "green"})
        assert (value, seen) == (evaluation.client.get_boolean_value(flag, default, context), calls)


class Teacher(windsock.Settings, flag="attribute"):
    x: int = 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(hooks=HOOKS)
def test_asynchronous_calls_run_the_same_hooks(provider: FilesProvider, hooks: Hooks) -> None:
    with hooked(provider, hooks) as (evaluation, calls):
        x = asyncio.run(Teacher.afor_user("ann", colour="green")).x
        seen, calls[:] = list(calls), []
        assert (Teacher.for_user("ann", colour="green").x, calls) == (x, seen)
        calls[:] = []
        context = EvaluationContext("ann", {"environment": "test", "colour": "green"})
        for flag in ("attribute", "attribute.experiment", "attribute.profile"):
            asyncio.run(evaluation.client.get_object_details_async(flag, {}, context))
        assert seen == calls


def test_a_hook_that_cannot_say_what_it_supports_fails_no_call(
    provider: FilesProvider, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Hook):
        def supports_flag_value_type(self, flag_type):
            raise RuntimeError("no\nFORGED")

    api.set_provider_and_wait(provider)
    api.add_hooks([Broken()])
    try:
        assert windsock.feature("switch-static", default=False)("ann") is False
    finally:
        api.clear_hooks()
    assert "RuntimeError: no FORGED" in caplog.text
    assert "\nFORGED" not in caplog.text
    logging.getLogger("openfeature").warning("two\nlines")
    assert caplog.messages[-1] == "two\nlines", "OpenFeature's own records are as it wrote them"
