"""One evaluation with hooks over compiled rules: every call of OpenFeature's client, in its order, for less.

The client's bookkeeping costs more than the calls do: contexts merged again, each hook's context checked
attribute by attribute, enumerations looked up. tests/evaluation proves both equal, call by call.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from openfeature import hook as api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, OpenFeatureError
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagResolutionDetails, FlagType, Reason
from openfeature.hook import Hook, HookContext
from openfeature.provider import FeatureProvider

logger = logging.getLogger("openfeature")

Details = FlagEvaluationDetails[Any]
Resolve = Callable[..., FlagResolutionDetails[Any]]
_Pairs = list[tuple[Hook, HookContext]]


class Question(NamedTuple):
    """What is asked of the provider.

    Attributes:
        kind: The type of the flag.
        key: Its key.
        default: The caller's default.
        context: The evaluation context, merged already.
        resolve: The provider's own call for this type; it raises OpenFeature's errors and gives the type.
    """

    kind: FlagType
    key: str
    default: Any
    context: EvaluationContext
    resolve: Resolve


def evaluate(client: OpenFeatureClient, provider: FeatureProvider, question: Question) -> Details:
    """Evaluate as the client does, with the hooks of API, client and provider; never raises."""
    hooks = _hooks(client, provider, question)
    kind, backwards = question.kind, hooks[::-1]
    try:
        details = _resolved(hooks, question)
        for hook, seen in backwards:
            if hook.supports_flag_value_type(kind):
                hook.after(hook_context=seen, details=details, hints={})
    except OpenFeatureError as error:
        _each(backwards, kind, "error", exception=error)
        details = _failed(question, error.error_code, error.error_message)
    except Exception as error:
        logger.exception("Unable to correctly evaluate flag with key: '%s'", question.key)
        _each(backwards, kind, "error", exception=error)
        details = _failed(question, ErrorCode.GENERAL, getattr(error, "error_message", str(error)))
    _each(backwards, kind, "finally_after", details=details)
    return details


def _hooks(client: OpenFeatureClient, provider: FeatureProvider, question: Question) -> _Pairs:
    """The hooks in the order of their first stage, each with a context of its own."""
    shared = {
        "flag_key": question.key,
        "flag_type": question.kind,
        "default_value": question.default,
        "evaluation_context": question.context,
        "client_metadata": client.get_metadata(),
        "provider_metadata": provider.get_metadata(),
    }
    pairs = []
    for hook in (*api.get_hooks(), *client.hooks, *provider.get_provider_hooks()):
        seen = HookContext.__new__(HookContext)  # its __init__ asks seven times whether it is done already
        seen.__dict__.update(shared, hook_data={})
        pairs.append((hook, seen))
    return pairs


def _resolved(hooks: _Pairs, question: Question) -> Details:
    """Run the first stage and ask the provider with the context that it gave."""
    given = [
        hook.before(hook_context=seen, hints={})
        for hook, seen in hooks
        if hook.supports_flag_value_type(question.kind)
    ]
    context = question.context
    for each in given:
        if each is not None:
            context = context.merge(each)
    found = question.resolve(
        flag_key=question.key, default_value=question.default, evaluation_context=context
    )
    return found.to_flag_evaluation_details(question.key)


def _each(hooks: _Pairs, kind: FlagType, stage: str, **arguments: object) -> None:
    """Run a stage in which a hook's own failure is logged and passed over."""
    for hook, seen in hooks:
        if hook.supports_flag_value_type(kind):
            try:
                getattr(hook, stage)(hook_context=seen, hints={}, **arguments)
            except Exception:
                logger.exception("Exception when running %s hooks", stage)


def _failed(question: Question, code: ErrorCode, message: str | None) -> Details:
    return FlagEvaluationDetails(
        flag_key=question.key,
        value=question.default,
        reason=Reason.ERROR,
        error_code=code,
        error_message=message,
    )
