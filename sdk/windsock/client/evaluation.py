"""The OpenFeature path: one place where windsock asks for the value of a flag.

Every evaluation means what `OpenFeatureClient` means: the same provider, contexts and hooks. Where no hook is
registered and the provider holds compiled rules in this process, the client's bookkeeping cannot be
observed, and the compiled rule is called directly; docs/benchmarks.md tells what that saves. With hooks
`windsock.client.hooks` makes the client's calls; for any other provider the client is used.
"""

import json
import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from openfeature import api, hook
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext, EvaluationContextAttribute
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagType, Reason

from windsock.client import hooks
from windsock.client.internals import path_of
from windsock.evaluator.outcome import Outcome
from windsock.providers.base import RuleProvider
from windsock.text import printable
from windsock.usage.request import current_request
from windsock.variables import environment_name

Attributes = Mapping[str, EvaluationContextAttribute]
Three = tuple[str, str, str]
Outcomes = tuple[Outcome, Outcome, Outcome]

_INTERNED_MAX = 4096
_ERROR_MAX = 300
logger = logging.getLogger("windsock.settings")


@lru_cache(maxsize=64)  # once for each type and error
def _warn_of_key(kind: str, error: str) -> None:
    logger.warning(
        "a targeting key of type %s has no text (%s); it counts as no user, so pass the user's id as text",
        kind,
        error,
    )


def key_text(targeting_key: object) -> str | None:
    """A user's id as text, which is how flags know it; None for no user.

    Never raises: an id whose ``__str__`` does, or an integer of thousands of digits, counts as no user, and a
    warning says so.
    """
    if targeting_key is None:
        return None
    try:
        text = targeting_key if isinstance(targeting_key, str) else str(targeting_key)
    except Exception as error:  # noqa: BLE001 - the caller's object may raise anything
        _warn_of_key(type(targeting_key).__name__, type(error).__name__)
        return None
    return str.__str__(text)


class Evaluation:
    """The process's way to its flags: an OpenFeature client, and the environment every rule may target.

    Args:
        domain: OpenFeature domain whose provider serves, or None for the default provider.
        environment: Value of the attribute ``environment`` in every evaluation.

    Attributes:
        client: The OpenFeature client, of this object alone.
        domain: As given.
        environment: As given, else the process's.
        provider: Returns the provider in force if its rules may be called directly, else None: it holds
            compiled rules, serves, and no hook is registered anywhere.
        alone: Returns the same if, besides, every context but the call's own is empty.
        in_process: Returns it whatever hooks and contexts there are.
    """

    def __init__(self, domain: str | None = None, environment: str | None = None) -> None:
        self.client: OpenFeatureClient = api.get_client(domain)
        self.environment = environment or environment_name()
        self.domain = domain
        path = path_of(self.client, domain, RuleProvider)  # type: ignore[type-abstract]  # for isinstance
        self.provider, self.alone, self.in_process = path.provider, path.alone, path.in_process
        self._outer = path.outer
        self._metadata = self.client.get_metadata()
        self._interned: dict[tuple[object, ...], Outcome] = {}

    def context(self, targeting_key: object, attributes: dict[str, Any]) -> dict[str, Any]:
        """What a rule sees: API, transaction, client and invocation attributes, as the client merges them.

        Args:
            targeting_key: The user's id, which becomes text; None or "" for no user.
            attributes: The invocation's; completed in place, because copying them costs as much as the rule.
        """
        key = targeting_key if type(targeting_key) is str else key_text(targeting_key)
        outer = self._outer()
        if outer is not None:
            attributes = {**outer.attributes, **attributes}
            key = key or outer.targeting_key
        if "environment" not in attributes:
            attributes["environment"] = self.environment
        if key:
            attributes["targetingKey"] = key
        return attributes

    def _given(self, targeting_key: object, attributes: dict[str, Any]) -> EvaluationContext:
        """The whole context; the client merges the others into it to no effect."""
        given = self.context(targeting_key, attributes)
        return EvaluationContext(given.pop("targetingKey", None), given)

    def details(
        self, kind: FlagType, flag_key: str, default: Any, targeting_key: object, attributes: dict[str, Any]
    ) -> FlagEvaluationDetails[Any]:
        """Evaluate a flag with its hooks: as the client does, or by it where the provider is not ours.

        Args:
            kind: ``BOOLEAN`` or ``OBJECT``.
            flag_key: The flag's key.
            default: The caller's default.
            targeting_key: The user's id.
            attributes: The invocation's; completed in place.
        """
        context, client = self._given(targeting_key, attributes), self.client
        compiled = self.in_process()
        if compiled is None:
            return client.evaluate_flag_details(kind, flag_key, default, context)
        if (request := current_request()) is not None:
            compiled = request.pinned(compiled)
        question = hooks.FastHookContext(
            flag_key, kind, default, context, self._metadata, compiled.get_metadata()
        )
        return hooks.evaluate(compiled, hook.get_hooks() + client.hooks, question)

    def object(self, flag_key: str, targeting_key: str | None, attributes: Attributes) -> Outcome:
        """Evaluate an object flag with its hooks; equal results are one object, as compiled ones are."""
        return self.outcome(self.details(hooks.OBJECT, flag_key, {}, targeting_key, dict(attributes)))

    def overlay(self, flag_key: str, targeting_key: str | None, attributes: Attributes) -> Outcome:
        """The same for a flag that need not exist; a missing one isn't an error, and no hook hears of it.

        Except under `windsock.testing.override`, whose hook gives flags that are nowhere a value.
        """
        compiled = self.in_process()
        answered = any(isinstance(each, hooks.AnswersMissing) for each in hook.get_hooks())
        if compiled is not None and not answered and compiled.compiled.get(flag_key) is None:
            return missing(flag_key)
        return self.object(flag_key, targeting_key, attributes)

    async def aobjects(self, flag_keys: Three, targeting_key: str | None, attributes: Attributes) -> Outcomes:
        """Evaluate three object flags through the client's asynchronous calls, at the same time."""
        from asyncio import gather  # noqa: PLC0415 - `import windsock` does without it

        async def evaluated(flag_key: str) -> Outcome:
            context = self._given(targeting_key, dict(attributes))
            return self.outcome(await self.client.get_object_details_async(flag_key, {}, context))

        first, second, third = await gather(*map(evaluated, flag_keys))
        return first, second, third

    def outcome(self, details: FlagEvaluationDetails[Any]) -> Outcome:
        """Intern what the client answered by its content, so that settings are validated once per variant."""
        served = details.variant is not None and details.error_code is None
        value = details.value if served else None
        said = (_fingerprint(value), tuple(sorted(details.flag_metadata.items())))
        key = (details.flag_key, details.variant, details.reason, details.error_code, *said)
        known = self._interned.get(key)
        if known is None:
            if len(self._interned) >= _INTERNED_MAX:
                self._interned = {}
            known = Outcome(
                flag_key=details.flag_key,
                value=value,
                variant=details.variant,
                reason=str(details.reason or Reason.UNKNOWN),
                error_code=details.error_code,
                error_message=details.error_message,
                flag_metadata=details.flag_metadata,
            )
            self._interned[key] = known
        return known


@lru_cache(maxsize=_INTERNED_MAX)
def missing(flag_key: str) -> Outcome:
    """The outcome of a flag that is nowhere: the code default serves."""
    return _error(flag_key, ErrorCode.FLAG_NOT_FOUND, f"flag {flag_key!r} is in no flag file")


def failed(flag_key: str, error: Exception) -> Outcome:
    """The outcome of a rule that raised: the code default serves."""
    return _error(flag_key, ErrorCode.GENERAL, printable(error, _ERROR_MAX))


def _error(flag_key: str, code: ErrorCode, message: str) -> Outcome:
    return Outcome(
        flag_key=flag_key,
        value=None,
        variant=None,
        reason=str(Reason.ERROR),
        error_code=code,
        error_message=message,
        flag_metadata={},
    )


def _fingerprint(value: object) -> str | None:
    if value is None:
        return None
    return json.dumps(value, sort_keys=True, default=repr)
