"""Features: boolean flags with a code default."""

import logging
import os
from collections.abc import Mapping
from typing import Protocol

from openfeature.evaluation_context import EvaluationContextAttribute
from pydantic import TypeAdapter, ValidationError

from windsock.client.hooks import BOOLEAN
from windsock.errors import DeclarationError
from windsock.evaluator.outcome import Outcome
from windsock.settings.arms import EXPERIMENT, arm_of
from windsock.settings.process import process
from windsock.usage.data import Use
from windsock.usage.request import _current, current_request

logger = logging.getLogger("windsock.settings")

_BOOL = TypeAdapter(bool)


class Feature(Protocol):
    """A boolean flag; calling it gives whether it is on. Made by `feature`."""

    def __call__(self, targeting_key: object = None, /, **attributes: EvaluationContextAttribute) -> bool:
        """Whether the feature is on, for one user or (without one) for the deployment.

        Args:
            targeting_key: The user's id.
            attributes: What targeting rules may ask of the user.
        """


class DeclaredFeature:
    """A feature that code declares, and what the environment says of it.

    Attributes:
        key: The flag's key.
        decides: Whether it does, or has not been asked yet.
    """

    __slots__ = ("__weakref__", "_env", "_read", "_value", "decides", "key")

    def __init__(self, key: str, env: str | None) -> None:
        self.decides = True
        self.key = key
        self._env = env
        self._read = False
        self._value: bool | None = None
        process.readers.add(self)

    def value(self) -> bool | None:
        """What the feature is forced to be; None where the flag decides."""
        if not self._read:
            self.reload()
        return self._value

    def reload(self) -> None:
        """Read the environment again."""
        self._value = self._read_environment()
        self._read, self.decides = True, self._value is not None

    def _read_environment(self) -> bool | None:
        raw = os.environ.get(self._env, "") if self._env else ""
        if not raw:
            return None
        try:
            return _BOOL.validate_python(raw)
        except ValidationError:
            logger.warning(
                "%s=%r is not a boolean for feature %r: use true or false. The flag decides.",
                self._env,
                raw,
                self.key,
            )
            return None


def _switch(key: str, default: bool, forced: DeclaredFeature) -> Feature:  # noqa: C901, FBT001 - one function, see below
    """What is called to ask for a feature."""

    # A function and not an object with `__call__`, which Python calls in a way that takes half as long again;
    # and one function, because each step takes hardly longer than calling another would.
    def is_on(targeting_key: object = None, /, **attributes: EvaluationContextAttribute) -> bool:
        if forced.decides and (decided := forced.value()) is not None:
            return decided
        evaluation = process.evaluation or process.evaluating()
        provider = evaluation.provider()
        if provider is None:
            details = evaluation.details(BOOLEAN, key, default, targeting_key, attributes)
            on: bool = details.value
            if _current.get() is not None:
                _record(evaluation.outcome(details), on, targeting_key, attributes)
            return on
        flag = provider.compiled.get(key)
        if flag is None:
            return default
        outcome = flag.constant
        if outcome is None:
            # The call's own attributes win over every other context, so a rule on one of them needs no other.
            decided_by = flag.decided_by
            if decided_by in attributes and decided_by != "targetingKey":
                context = attributes
            elif decided_by == "targetingKey" and targeting_key and type(targeting_key) is str:
                context = {"targetingKey": targeting_key}
            else:
                context = evaluation.context(targeting_key, attributes)
            rule = flag.rule  # a variable, because Python calls a slot's function slower in one step
            try:
                outcome = rule(context)
            except Exception:  # noqa: BLE001 - the context does not suit the rule, or its values raise anything
                return default
        value = outcome.value
        on = value if value is True or value is False else default
        if _current.get() is not None:
            _record(outcome, on, targeting_key, attributes)
        return on

    is_on.__name__ = is_on.__qualname__ = f"feature {key}"
    return is_on


def _record(outcome: Outcome, on: object, targeting_key: object, attributes: Mapping[str, object]) -> None:
    """Let the request that is under way know that a feature was asked for."""
    if (request := current_request()) is not None:
        request.record(_Asked(outcome, on, targeting_key, attributes))


class _Asked:
    """What a feature was for a user: a use, as a settings view has one."""

    __slots__ = ("_attributes", "_key", "_on", "_outcome")

    def __init__(
        self, outcome: Outcome, on: object, targeting_key: object, attributes: Mapping[str, object]
    ) -> None:
        self._outcome, self._on, self._key, self._attributes = outcome, on, targeting_key, attributes

    def use(self) -> Use:
        """The feature's value and where it came from."""
        outcome = self._outcome
        arm = arm_of(outcome, excluded=None) if EXPERIMENT in outcome.flag_metadata else None
        evaluation = process.evaluating()
        provider = evaluation.provider()
        return Use(
            flag=outcome.flag_key,
            variant=outcome.variant,
            config_id=None,
            revision=provider.serving.revision if provider else None,
            reason=outcome.reason,
            environment=evaluation.environment,
            user_id=str(self._key) if self._key else None,
            values={outcome.flag_key: self._on},
            experiment=arm.experiment if arm else None,
            arm=arm.name if arm else None,
            exposed_to=arm,
            attributes=self._attributes,
        )


def feature(key: str, *, default: bool, env: str | None = None) -> Feature:
    """Declare a feature.

    ::

        rag = windsock.feature("rag_auto_indexing", default=False)
        if rag(user_id): ...

    Args:
        key: The flag's key.
        default: What it is where no flag says otherwise.
        env: An environment variable that decides before the flag does, where it is set and not empty.

    Raises:
        DeclarationError: The default isn't a bool.
    """
    if type(default) is not bool:
        raise DeclarationError(f"feature {key!r}: the default must be True or False, not {default!r}")
    return _switch(key, default, DeclaredFeature(key, env))
