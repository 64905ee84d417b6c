"""The OpenFeature path: the only place where windsock evaluates a flag.

Every evaluation is equivalent to one by `OpenFeatureClient`, with the same provider, contexts and hooks. If
no hook is registered and the provider has compiled rules in this process, the client's bookkeeping isn't
observable, and the compiled rule is called directly; docs/benchmarks.md shows what that saves. With hooks,
`windsock.client.hooks` makes the client's calls; for any other provider, the client is used.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

from openfeature import api, hook
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext, EvaluationContextAttribute
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagType, Reason

from windsock.client import hooks
from windsock.client.internals import path_of
from windsock.evaluator.outcome import Outcome
from windsock.logs import get_logger
from windsock.providers.base import RuleProvider
from windsock.text import printable
from windsock.usage.request import current_request
from windsock.variables import environment_name

Attributes = Mapping[str, EvaluationContextAttribute]
Three = tuple[str, str, str]
Outcomes = tuple[Outcome, Outcome, Outcome]

_INTERNED_MAX = 4096
_ERROR_MAX = 300
logger = get_logger("windsock.settings")


@lru_cache(maxsize=64)  # once per type and error
def _warn_of_key(kind: str, error: str) -> None:
    logger.warning(
        "a targeting key of type %s has no text (%s); it counts as no user, so pass the user's id as text",
        kind,
        error,
    )


def key_text(targeting_key: object) -> str | None:
    """Convert a user's id to text, its form in flags; None for no user.

    Never raises: an id whose ``__str__`` raises anything, `SystemExit` included, or an integer with thousands
    of digits, counts as no user and causes a warning. Only `KeyboardInterrupt` passes: a person sent it.
    """
    if targeting_key is None:
        return None
    if type(targeting_key) is UUID:
        return str(targeting_key)  # what is raised here is a signal's, such as a worker's order to stop
    possible = ValueError if type(targeting_key) is int else BaseException  # an integer has too many digits
    try:
        text = (
            targeting_key
            if issubclass(type(targeting_key), str)
            else str("" if targeting_key.__class__ is type(None) else targeting_key)  # a proxy may be None
        )
    except KeyboardInterrupt:
        raise
    except possible as error:  # the caller's object may raise anything
        _warn_of_key(type(targeting_key).__name__, type(error).__name__)
        return None
    return str.__str__(text)


class Evaluation:
    """The process's access to its flags: an OpenFeature client, and the environment that rules may target.

    Args:
        domain: OpenFeature domain of the provider, or None for the default provider.
        environment: Value of the ``environment`` attribute in every evaluation.

    Attributes:
        client: This object's own OpenFeature client.
        domain: The given domain.
        environment: The given environment, else the process's.
        provider: Returns the current provider if its rules may be called directly, else None. They may if it
            has compiled rules, it's serving, and no hook is registered anywhere.
        alone: Returns the same if, in addition, every context but the call's own is empty.
        in_process: Returns the same regardless of hooks and contexts.
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
        """The attributes that a rule sees: API, transaction, client and invocation, merged as in the client.

        Args:
            targeting_key: The user's id, converted to text; None or "" for no user.
            attributes: The invocation's attributes; completed in place, because copying costs as much as the
                rule.
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
        """The complete context; merging the other contexts into it in the client has no effect."""
        given = self.context(targeting_key, attributes)
        return EvaluationContext(key_text(given.pop("targetingKey", None)), given)

    def details(
        self, kind: FlagType, flag_key: str, default: Any, targeting_key: object, attributes: dict[str, Any]
    ) -> FlagEvaluationDetails[Any]:
        """Evaluate a flag with hooks, as the client does, or through it if the provider isn't ours.

        Args:
            kind: ``BOOLEAN`` or ``OBJECT``.
            flag_key: The flag's key.
            default: The caller's default.
            targeting_key: The user's id.
            attributes: The invocation's attributes; completed in place.
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
        """Evaluate an object flag with hooks; equal results are the same object, as with compiled rules."""
        return self.outcome(self.details(hooks.OBJECT, flag_key, {}, targeting_key, dict(attributes)))

    def overlay(self, flag_key: str, targeting_key: str | None, attributes: Attributes) -> Outcome:
        """Do the same for an optional flag; a missing one isn't an error and isn't reported to hooks.

        The exception is `windsock.testing.override`, whose hook gives values to missing flags.
        """
        compiled = self.in_process()
        answered = any(isinstance(each, hooks.AnswersMissing) for each in hook.get_hooks())
        if compiled is not None and not answered and compiled.compiled.get(flag_key) is None:
            return missing(flag_key)
        return self.object(flag_key, targeting_key, attributes)

    async def aobjects(self, flag_keys: Three, targeting_key: str | None, attributes: Attributes) -> Outcomes:
        """Evaluate three object flags concurrently through the client's asynchronous calls."""
        from asyncio import gather  # noqa: PLC0415 - `import windsock` does without it

        async def evaluated(flag_key: str) -> Outcome:
            context = self._given(targeting_key, dict(attributes))
            return self.outcome(await self.client.get_object_details_async(flag_key, {}, context))

        first, second, third = await gather(*map(evaluated, flag_keys))
        return first, second, third

    def outcome(self, details: FlagEvaluationDetails[Any]) -> Outcome:
        """Intern the client's results by content, so that settings are validated once per variant."""
        served = details.variant is not None and details.error_code is None
        value = details.value if served else None
        content = (_fingerprint(value), tuple(sorted(details.flag_metadata.items())))
        key = (details.flag_key, details.variant, details.reason, details.error_code, *content)
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
    """The outcome for a missing flag: the code default applies."""
    return _error(flag_key, ErrorCode.FLAG_NOT_FOUND, f"flag {flag_key!r} is in no flag file")


def failed(flag_key: str, error: Exception) -> Outcome:
    """The outcome for a rule that raised: the code default applies."""
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
