"""The common part of all frameworks: open a request and set OpenFeature's transaction context for it."""

from types import TracebackType

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.transaction_context import ContextVarsTransactionContextPropagator

from windsock.usage.request import Request, request

RAISED = "windsock.contrib.raised"
"""The request's note about an exception that the framework turned into a response."""

_SERVER_ERROR = 500


class Opening:
    """A windsock request with an evaluation context: a context manager that can also be called step by step.

    Args:
        context: The user and their attributes for rules; None leaves OpenFeature's context unchanged.
        request_id: The request's id; None or "" for a random one.

    Attributes:
        request: The request.
    """

    __slots__ = ("_before", "_context", "request")

    def __init__(self, context: EvaluationContext | None, request_id: str | None) -> None:
        self.request = request(request_id=request_id or None)
        self._context = context
        self._before: EvaluationContext | None = None

    def __enter__(self) -> Request:
        self.request.__enter__()
        if self._context is not None:
            self._before = set_context(self._context, self.request)
        return self.request

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self.request.__exit__(kind, error, stack)
        if self._before is not None:
            api.set_transaction_context(self._before)


def set_context(context: EvaluationContext, this: Request) -> EvaluationContext:
    """Set OpenFeature's transaction context, set the request's user, and return the previous context.

    OpenFeature propagates nothing by default; a propagator chosen by the application is kept.
    """
    before = api.get_transaction_context()
    api.set_transaction_context(context)
    if context.attributes or context.targeting_key:
        if api.get_transaction_context() is not context:
            api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
            api.set_transaction_context(context)
        if context.targeting_key:
            this.identify(context.targeting_key)
    return before


def answered(this: Request, status: int) -> None:
    """Count a status of 500 or more as an error, named after the exception if it's known."""
    if status >= _SERVER_ERROR:
        raised = this.notes.get(RAISED)
        this.failed(raised if isinstance(raised, BaseException) else f"HTTP {status}")
