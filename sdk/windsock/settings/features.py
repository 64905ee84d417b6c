"""Features: single-value flags with a code default."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from openfeature.evaluation_context import EvaluationContextAttribute
from openfeature.exception import ErrorCode
from typing_extensions import TypeVar as DefaultedTypeVar

from windsock.client.evaluation import Evaluation, failed, key_text, missing
from windsock.errors import MisuseError
from windsock.evaluator.outcome import Outcome
from windsock.providers.base import RuleProvider
from windsock.settings.arms import EXPERIMENT, arm_of
from windsock.settings.feature_values import DeclaredFeature, plain
from windsock.settings.process import process
from windsock.usage.data import Use
from windsock.usage.request import _current, current_request

V = DefaultedTypeVar("V", default=bool)
E = TypeVar("E", bound=Enum)


class Feature(partial[V]):
    """A single-value flag, created by `feature`; call it to get the value.

    ``theme(user_id, tier="pro")`` is the value for one user, ``theme()`` the value for the deployment.
    ``if new_checkout:`` raises, since a feature must be called.

    Attributes:
        declared: Its declaration.
    """

    # Not a class with a `__call__` in Python, which takes half as long again.
    declared: DeclaredFeature[V]

    if TYPE_CHECKING:

        def __call__(self, targeting_key: object = None, /, **attributes: EvaluationContextAttribute) -> V:
            """The value for one user or, without one, for the deployment.

            Args:
                targeting_key: The user's id.
                attributes: User attributes for targeting rules.
            """

    def __get__(self, instance: object, owner: type | None = None) -> Self:
        """The feature itself, also as a class's attribute: Python 3.14 binds a `partial` as a method."""
        return self

    def __bool__(self) -> Literal[True]:
        raise MisuseError(f"{self!r} must be called: feature(), or feature(user_id) for one user")

    def __repr__(self) -> str:
        return f"feature {self.declared.key!r}"


def _asking(declared: DeclaredFeature[V]) -> Feature[V]:  # noqa: C901 - one function, see below
    """Build the callable that evaluates a feature."""
    key, default, exact, fit = declared.key, declared.default, declared.exact, declared.fit

    # a single function, because each step takes hardly longer than another call would
    def ask(targeting_key: object = None, /, **attributes: EvaluationContextAttribute) -> V:
        if declared.decides and (decided := declared.value()) is not None:
            return decided
        evaluation = process.evaluation or process.evaluating()
        provider = evaluation.provider()
        if provider is None:
            return _asked_of_client(declared, evaluation, targeting_key, attributes)
        request = _current.get()
        if request is not None:
            provider = request.pinned(provider)
        flag = provider.compiled.get(key)
        if flag is None:
            _record(missing(key), default, targeting_key, attributes, provider)
            return default
        outcome = flag.constant
        if outcome is None:
            # The call's attributes override every other context, so a rule on one of them needs nothing else.
            decided_by = flag.decided_by
            if decided_by in attributes and decided_by != "targetingKey":
                context = attributes
            elif decided_by == "targetingKey" and type(targeting_key) is str and targeting_key:
                context = {"targetingKey": targeting_key}
            else:
                context = evaluation.context(targeting_key, attributes)
            rule = flag.rule  # a variable, because calling a slot's function in one step is slower in Python
            try:
                outcome = rule(context)
            except Exception as error:  # noqa: BLE001 - the context does not suit the rule, or its values raise anything
                _record(failed(key, error), default, targeting_key, attributes, provider)
                return default
        served: Any = outcome.value
        value = served if type(served) is exact else fit(served, outcome.variant)
        if request is not None:
            _record(outcome, value, targeting_key, attributes, provider)
        return value

    ask.__name__ = ask.__qualname__ = f"feature {key}"
    feature = Feature(ask)
    feature.declared = declared
    return feature


def _asked_of_client(
    declared: DeclaredFeature[V], evaluation: Evaluation, targeting_key: object, attributes: dict[str, Any]
) -> V:
    """Evaluate through OpenFeature if hooks are registered or the provider isn't ours."""
    default = declared.plain_default
    details = evaluation.details(declared.kind, declared.key, default, targeting_key, attributes)
    if details.error_code is ErrorCode.TYPE_MISMATCH:
        declared.mistyped(details.error_message)
    exact = type(details.value) is declared.exact
    value: V = details.value if exact else declared.fit(details.value, details.variant)
    if _current.get() is not None:
        provider = evaluation.in_process()
        _record(evaluation.outcome(details), value, targeting_key, attributes, provider)
    return value


def _record(
    outcome: Outcome,
    value: object,
    targeting_key: object,
    attributes: Mapping[str, object],
    provider: RuleProvider | None,
) -> None:
    """Record in the current request that a feature was evaluated."""
    if (request := current_request()) is not None:
        revision = None if provider is None else request.pinned(provider).serving.revision
        user_id = key_text(targeting_key) or None
        request.record(_Asked(outcome, value, user_id, attributes, revision))


@dataclass(slots=True)
class _Asked:
    """A feature's value for a user, recorded as a use like that of a settings view."""

    outcome: Outcome
    value: object
    user_id: str | None
    attributes: Mapping[str, object]
    revision: str | None

    def use(self) -> Use:
        """The feature's value and where it came from."""
        outcome = self.outcome
        arm = arm_of(outcome, excluded=None) if EXPERIMENT in outcome.flag_metadata else None
        return Use(
            flag=outcome.flag_key,
            variant=outcome.variant,
            config_id=None,
            revision=self.revision,
            reason=outcome.reason,
            environment=process.evaluating().environment,
            user_id=self.user_id,
            values={outcome.flag_key: plain(self.value)},
            experiment=arm.experiment if arm else None,
            arm=arm.name if arm else None,
            exposed_to=arm,
            attributes=self.attributes,
            evaluation_error=outcome.error or self._misfit(),
        )

    def _misfit(self) -> str | None:
        outcome = self.outcome
        if outcome.value is None or outcome.value == plain(self.value):
            return None
        return f"TYPE_MISMATCH: variant {outcome.variant!r} is of another type than the code's default"


@overload
def feature(key: str, *, default: bool, env: str | None = None) -> Feature[bool]: ...
@overload
def feature(key: str, *, default: E, env: str | None = None) -> Feature[E]: ...
@overload
def feature(key: str, *, default: str, env: str | None = None) -> Feature[str]: ...
@overload
def feature(key: str, *, default: int, env: str | None = None) -> Feature[int]: ...
@overload
def feature(key: str, *, default: float, env: str | None = None) -> Feature[float]: ...
def feature(
    key: str, *, default: bool | Enum | str | float, env: str | None = None
) -> Feature[bool] | Feature[Any]:
    """Declare a feature.

    ::

        new_checkout = windsock.feature("new_checkout", default=False)
        theme = windsock.feature("theme", default="light")
        if new_checkout(user_id): ...

    Args:
        key: The flag's key.
        default: The value if no flag overrides it; its type is the feature's type. For an enum, the flag's
            variants contain the enum's values.
        env: An environment variable that overrides the flag if it's set and not empty.

    Raises:
        DeclarationError: The key is empty or isn't text, or the default isn't a boolean, text, a number or a
            member of an enum of texts or whole numbers.
    """
    return _asking(DeclaredFeature(key, default, env))
