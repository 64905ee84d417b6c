"""An evaluation with hooks over compiled rules: all calls of OpenFeature's client in its order, for less.

The client's bookkeeping costs more than the calls: it merges contexts again, checks each hook's context
attribute by attribute, and builds details twice. tests/client compares the two, call by call.
"""

from collections.abc import Iterable
from typing import Any

from openfeature.client import ClientMetadata
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, OpenFeatureError
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagType, Reason
from openfeature.hook import Hook, HookContext
from openfeature.provider import Metadata

from windsock.evaluator.outcome import attributes_of, copy_json
from windsock.logs import get_logger
from windsock.providers.base import RuleProvider

# a child of the client's logger, whose own records must stay as they are
logger = get_logger("openfeature.windsock")

BOOLEAN, OBJECT = FlagType.BOOLEAN, FlagType.OBJECT  # looking up enumeration members is slow
Details = FlagEvaluationDetails[Any]
_Hints = dict[str, Any]
_Pairs = list[tuple[Hook, HookContext]]


class FastHookContext(HookContext):
    """A hook context that's initialized directly; its base class first checks whether each field is set."""

    __setattr__ = object.__setattr__  # type: ignore[assignment]

    def __init__(  # noqa: PLR0917 - the fields of its class, by position because that is faster
        self,
        flag_key: str,
        flag_type: FlagType,
        default_value: Any,
        evaluation_context: EvaluationContext,
        client_metadata: ClientMetadata,
        provider_metadata: Metadata,
    ) -> None:
        self.flag_key = flag_key
        self.flag_type = flag_type
        self.default_value = default_value
        self.evaluation_context = evaluation_context
        self.client_metadata = client_metadata
        self.provider_metadata = provider_metadata
        self.hook_data = {}
        self.__class__ = HookContext  # type: ignore[assignment]  # and from now on guarded, as hooks know it


class AnswersMissing(Hook):
    """A hook that supplies values for missing flags, so it must be called for them."""


def evaluate(provider: RuleProvider, hooks: Iterable[Hook], question: HookContext) -> Details:
    """Evaluate as the client does; never raises.

    Args:
        provider: The current provider.
        hooks: All registered hooks, in the order of their first stage.
        question: The evaluation's context, as the first hook sees it.
    """
    kind = question.flag_type
    hints: _Hints = {}  # one for all stages, as in the client
    pairs: _Pairs = []
    for hook in hooks:  # each has its own context
        pairs.append((hook, _copy(question) if pairs else question))
    backwards = pairs[::-1]
    try:
        details = _answered(provider, question, pairs, hints)
        for hook, seen in backwards:
            if hook.supports_flag_value_type(kind):
                hook.after(hook_context=seen, details=details, hints=hints)
    except OpenFeatureError as error:
        _tell(backwards, kind, error, hints)
        details = _failed(question, error.error_code, error.error_message)
    except Exception as error:
        logger.exception("Unable to correctly evaluate flag with key: '%s'", question.flag_key)
        _tell(backwards, kind, error, hints)
        details = _failed(question, ErrorCode.GENERAL, getattr(error, "error_message", str(error)))
    for hook, seen in backwards:
        try:
            if hook.supports_flag_value_type(kind):
                hook.finally_after(hook_context=seen, details=details, hints=hints)
        except Exception:
            logger.exception("Exception when running finally_after hooks")
    return details


def _copy(question: HookContext) -> HookContext:
    copy = HookContext.__new__(HookContext)  # its `__init__` checks seven times whether it's already done
    copy.__dict__.update(question.__dict__, hook_data={})
    return copy


def _answered(provider: RuleProvider, question: HookContext, hooks: _Pairs, hints: _Hints) -> Details:
    """Run the first stage, and return the result of the provider's own call, at a lower cost."""
    key, kind, context = question.flag_key, question.flag_type, question.evaluation_context
    given = []
    for hook, seen in hooks:
        if hook.supports_flag_value_type(kind):
            more = hook.before(hook_context=seen, hints=hints)
            if more is not None:
                given.append(more)
    for more in given:
        context = context.merge(more)
    flag = provider.compiled.get(key)
    if flag is not None:
        outcome = flag.constant or flag.evaluate(attributes_of(context))
        value: Any = outcome.value
        if type(value) is bool if kind is BOOLEAN else kind is OBJECT and isinstance(value, (dict, list)):
            value = value if kind is BOOLEAN else copy_json(value)
            metadata: Any = copy_json(outcome.flag_metadata) if outcome.flag_metadata else {}
            return FlagEvaluationDetails(key, value, outcome.variant, metadata, outcome.reason)
    # anything else is rare, and the provider knows how OpenFeature handles it
    resolve: Any = getattr(provider, f"resolve_{kind.name.lower()}_details")
    found: Details = resolve(key, question.default_value, context).to_flag_evaluation_details(key)
    return found


def _tell(hooks: _Pairs, kind: FlagType, error: Exception, hints: _Hints) -> None:
    """Run the error stage, in which a hook's own failure is logged and ignored."""
    for hook, seen in hooks:
        try:
            if hook.supports_flag_value_type(kind):
                hook.error(hook_context=seen, exception=error, hints=hints)
        except Exception:
            logger.exception("Exception when running error hooks")


def _failed(question: HookContext, code: ErrorCode, message: str | None) -> Details:
    return FlagEvaluationDetails(
        flag_key=question.flag_key,
        value=question.default_value,
        reason=Reason.ERROR,
        error_code=code,
        error_message=message,
    )
