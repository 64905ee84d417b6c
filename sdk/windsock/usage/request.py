"""Requests and what they used: collect one usage record per request and flag, and pass it to the writer."""

import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from decimal import Context, Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar, cast
from uuid import uuid4

from windsock import threads
from windsock.logs import get_logger
from windsock.text import printable
from windsock.usage.data import MAX_TEXT, OVERRIDDEN, Event, Healed, Measured, Pending, Use
from windsock.variables import DEFAULT_ENVIRONMENT, environment_name

if TYPE_CHECKING:
    from windsock.providers.base import RuleProvider
    from windsock.usage import UsageWriter

__all__ = [
    "Healed",
    "Request",
    "Traced",
    "Use",
    "current_request",
    "install",
    "installed",
    "record",
    "request",
    "track",
]

log = get_logger("windsock.usage")

_current: ContextVar["Request | None"] = ContextVar("windsock_request", default=None)
overridden: ContextVar[bool] = ContextVar("windsock_overridden", default=False)
"""Whether `windsock.testing.override` forces any values in this context."""
_writer: "list[UsageWriter]" = []
_environment: list[str] = [DEFAULT_ENVIRONMENT]

EVALUATION = "gen_ai.evaluation"
"""The attribute of events that rate an answer."""


P = TypeVar("P", bound="RuleProvider")


class Traced(Protocol):
    """What a settings view registers with the request that created it."""

    def use(self) -> Use:
        """The view's use so far. Called once, at the end of the request."""


class Request:
    """A service's request: collects the settings views created in it, and the caller's measurements.

    A context manager for ``with`` and ``async with``, created by `request`. Views created in tasks and
    threads that copy the context (``asyncio.create_task``, ``asyncio.to_thread``) belong to it too.

    Attributes:
        notes: Data that windsock's own parts keep for the duration of the request.
    """

    __slots__ = (
        "_answered_model",
        "_cost",
        "_ended",
        "_error_class",
        "_events",
        "_first_item",
        "_input",
        "_output",
        "_pins",
        "_request_id",
        "_started",
        "_token",
        "_trace_id",
        "_traces",
        "_user_id",
        "_when",
        "notes",
    )

    def __init__(self, user_id: str | None, request_id: str | None) -> None:
        self.identify(user_id)
        self._request_id = request_id
        self._input: int | None = None
        self._output: int | None = None
        self._cost: Decimal | None = None
        self._trace_id: str | None = None
        self._answered_model: str | None = None
        self._first_item: float | None = None
        self._error_class: str | None = None
        self._events: list[Event] = []
        self._traces: list[Traced] = []
        self._pins: dict[object, object] = {}
        self._token: Token[Request | None] | None = None
        self._ended = False
        self._when = datetime.now(UTC)
        self._started = time.perf_counter()
        self.notes: dict[object, object] = {}

    @property
    def request_id(self) -> str:
        """The id that joins this request's rows."""
        if self._request_id is None:
            self._request_id = uuid4().hex
        return self._request_id

    def identify(self, user_id: str | None) -> None:
        """Set the user, if it's only known after the request began.

        Args:
            user_id: The user for views that were not created for a specific user.
        """
        self._user_id = user_id if issubclass(type(user_id), str | None) else printable(user_id, MAX_TEXT)

    def pinned(self, provider: P) -> P:
        """The provider's state when this request, or an enclosing one, first used it.

        So two reads never see two revisions. After the request has ended, it's the current state.
        """
        if self._ended:
            return provider
        held = self._pins.get(provider.origin)
        if held is None:
            held = self._pins[provider.origin] = provider.current
        return cast("P", held)

    def record(self, trace: Traced) -> None:
        """Register a settings view; its use is collected when the request ends."""
        self._traces.append(trace)

    def tokens(
        self,
        *,
        input: int | None = None,  # noqa: A002 - the word that every model API uses
        output: int | None = None,
        cost: Decimal | float | None = None,
        model: str | None = None,
    ) -> None:
        """Add the usage of one model call; several calls add up.

        Args:
            input: Tokens sent, or None if the API didn't report them.
            output: Tokens received, or None.
            cost: The cost, in your currency. A value that isn't a finite number is ignored and logged.
            model: The model that answered, as the settings name it; the last call's is kept.
        """
        self._input = (self._input or 0) + (input or 0)
        self._output = (self._output or 0) + (output or 0)
        self._answered_model = model or self._answered_model
        if cost is None:
            return
        added = Context(traps=[]).create_decimal(str(cost))
        if added.is_finite():
            self._cost = (self._cost or Decimal(0)) + added
        else:
            log.warning("request %s: the cost %s is not a number and is left out", self.request_id, cost)

    def first_item(self) -> None:
        """Record the arrival of the first item of a streamed answer; later calls change nothing.

        `windsock.heal` and `aheal` do this for their streams.
        """
        if self._first_item is None:
            self._first_item = time.perf_counter() - self._started

    def failed(self, error: BaseException | str) -> None:
        """Mark the request as failed, if no exception leaves the `with` block.

        Args:
            error: The caught exception, or a short error class of your own, such as ``HTTP 503``.
        """
        self._error_class = error if isinstance(error, str) else type(error).__name__

    def track(self, name: str, value: float | None = None, **attributes: object) -> None:
        """Report an event in this request, for a metric: ``request.track("bought", 12.5)``.

        Args:
            name: What happened, as named in the metric's source.
            value: The amount; None if there's none.
            attributes: Any further data.
        """
        self._events.append(_event(name, value, attributes))

    def score(self, name: str, value: float, **attributes: object) -> None:
        """Report a rating of this request's answer: ``request.score("judge", 1.0, explanation=…)``.

        Works like `track`, and becomes a `gen_ai.evaluation.result` in OpenTelemetry.

        Args:
            name: Who or what gives the rating: ``judge``, ``thumbs``.
            value: The score.
            attributes: Any further data: ``label``, ``explanation``.
        """
        self._events.append(_event(name, value, {**attributes, EVALUATION: True}))

    def __enter__(self) -> Self:
        threads.begin_waiting()
        self._when = datetime.now(UTC)
        self._started = time.perf_counter()
        self._trace_id = _trace_id()
        if (around := current_request()) is not None:
            self._pins = around._pins  # noqa: SLF001 - of the same class
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self._ended = True
        if error is not None:
            self.failed(error)
        if self._token is not None:
            try:
                _current.reset(self._token)
            except ValueError:  # ended in a different context than it began in, as async generators may
                _current.set(None)
        try:
            self._finish()
        except Exception:
            # Recording must never break a request.
            log.exception("request %s: its usage could not be recorded", self.request_id)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, stack)

    def _finish(self) -> None:
        if not _writer or not (self._traces or self._events):
            return
        measured = Measured(
            request_id=self.request_id,
            latency=time.perf_counter() - self._started,
            input_tokens=self._input,
            output_tokens=self._output,
            cost=self._cost,
            trace_id=self._trace_id or _trace_id(),
            status="ok" if self._error_class is None else "error",
            error_class=self._error_class,
            answered_model=self._answered_model,
            first_item=self._first_item,
        )
        uses = _joined(self._uses())
        for use in uses:
            _writer[0].put(Pending(uuid4(), self._when, use, measured))
        for event in self._events:
            user_id = self._user_id or next((use.user_id for use in uses if use.user_id), None)
            _writer[0].put(event._replace(user_id=user_id, unit=_unit(uses), request_id=self.request_id))

    def _uses(self) -> list[Use]:
        uses = []
        for trace in self._traces:
            try:
                use = trace.use()
            except Exception:
                log.exception("request %s: a settings view gave no account of its use", self.request_id)
                continue
            uses.append(use if use.user_id is not None else use._replace(user_id=self._user_id))
        return uses


def _joined(uses: list[Use]) -> list[Use]:
    """Merge the views of the same flag, user and variant: later reads win.

    If the variant or revision changed during the request, each gets its own row: both were served. A view
    that wasn't read has no row, but shows which attributes the flag was evaluated with.
    """
    joined: dict[tuple[object, ...], Use] = {}
    for use in uses:
        key = (use.flag, use.user_id, use.variant, use.config_id, use.revision)
        earlier = joined.get(key)
        joined[key] = (
            use
            if earlier is None
            else use._replace(
                values={**earlier.values, **use.values},
                healed=(*earlier.healed, *use.healed),
                experiment=use.experiment or earlier.experiment,
                arm=use.arm or earlier.arm,
                exposed_to=use.exposed_to or earlier.exposed_to,
                attributes=use.attributes or earlier.attributes,
            )
        )
    return [use for use in joined.values() if use.values or use.healed]


def _unit(uses: list[Use]) -> object:
    """The randomisation unit of this request's experiment, if that's an attribute."""
    for use in uses:
        if use.exposed_to is not None and use.exposed_to.unit in use.attributes:
            return use.attributes[use.exposed_to.unit]
    return None


def request(user_id: str | None = None, *, request_id: str | None = None) -> Request:
    """Open a request: ``with windsock.request(user_id=…) as request: …``.

    Every settings view created inside it adds one row to ``usage_logs``, provided that a field was read or
    healed. Latency, tokens, cost and the trace id belong to the request and appear on each of its rows.

    Args:
        user_id: The user for views that were not created for a specific user.
        request_id: Yours, if you have one; otherwise a random one joins the rows of this request.
    """
    return Request(user_id, request_id)


def current_request() -> Request | None:
    """The current context's request, or None."""
    request = _current.get()
    # A task that outlives its request still refers to it, but what it does later isn't part of it.
    return None if request is None or request._ended else request  # noqa: SLF001 - same module


def first_item() -> None:
    """Tell the current request, if any, that the first item of a streamed answer has arrived."""
    if (request := current_request()) is not None:
        request.first_item()


def record(use: Use) -> None:
    """Record a use outside any request. Without an installed writer, it's discarded; never raises."""
    if _writer:
        _writer[0].put(Pending(uuid4(), datetime.now(UTC), use, Measured(trace_id=_trace_id())))


def track(event: Event) -> None:
    """Record an event outside any request. Without an installed writer, it's discarded; never raises."""
    if _writer:
        _writer[0].put(event)


def _event(name: str, value: float | None, attributes: Mapping[str, object]) -> Event:
    return Event(uuid4(), name, value, datetime.now(UTC), _environment[0], attributes=marked(attributes))


def marked(attributes: Mapping[str, object]) -> Mapping[str, object]:
    """An event's attributes, marked if a test forces values."""
    return {**attributes, OVERRIDDEN: True} if overridden.get() else attributes


def install(writer: "UsageWriter | None", environment: str | None = None) -> "UsageWriter | None":
    """Send records to `writer`, or discard them for None; return the previous writer, still running.

    Args:
        writer: Where records go.
        environment: The deployment environment for events; ``ENVIRONMENT`` by default.
    """
    before = installed()
    _writer[:] = [] if writer is None else [writer]
    _environment[:] = [environment or environment_name()]
    return before


def environment() -> str:
    """The deployment environment for events."""
    return _environment[0]


def installed() -> "UsageWriter | None":
    """The installed writer."""
    return _writer[0] if _writer else None


def _trace_id() -> str | None:
    """The active OpenTelemetry trace. A process that hasn't imported the API has no active span."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    context = api.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None
