"""Requests and what they used: collects one usage record per request and flag, and hands it to the writer."""

import logging
import sys
import time
from contextvars import ContextVar, Token
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self
from uuid import uuid4

from windsock.usage.data import Healed, Measured, Pending, Use

if TYPE_CHECKING:
    from windsock.usage import UsageWriter

__all__ = [
    "Healed",
    "Request",
    "Trace",
    "Use",
    "current_request",
    "install",
    "installed",
    "record",
    "request",
]

log = logging.getLogger("windsock.usage")

_current: ContextVar["Request | None"] = ContextVar("windsock_request", default=None)
_writer: "list[UsageWriter]" = []


class Trace(Protocol):
    """What a settings view registers with the request it was made in."""

    def use(self) -> Use:
        """Give what the view was used for so far. Asked once, at the end of the request."""


class Request:
    """One request of the service: collects the settings views made in it, and what the caller measured.

    A context manager, for ``with`` and for ``async with``; made by `request`. Views made in tasks and threads
    that copy the context (``asyncio.create_task``, ``asyncio.to_thread``) belong to it as well.

    Attributes:
        notes: What windsock's own parts remember for as long as the request lasts.
    """

    __slots__ = (
        "_cost",
        "_ended",
        "_input",
        "_output",
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
        self._user_id = user_id
        self._request_id = request_id
        self._input: int | None = None
        self._output: int | None = None
        self._cost: Decimal | None = None
        self._trace_id: str | None = None
        self._traces: list[Trace] = []
        self._token: Token[Request | None] | None = None
        self._ended = False
        self._when = datetime.now(UTC)
        self._started = time.perf_counter()
        self.notes: dict[object, object] = {}

    @property
    def request_id(self) -> str:
        """The id that joins the rows of this request."""
        if self._request_id is None:
            self._request_id = uuid4().hex
        return self._request_id

    def record(self, trace: Trace) -> None:
        """Register a settings view; it is asked for its use when the request ends."""
        self._traces.append(trace)

    def tokens(
        self,
        *,
        input: int | None = None,  # noqa: A002 - the word that every model API uses
        output: int | None = None,
        cost: Decimal | float | None = None,
    ) -> None:
        """Add what one call of a model took; several calls add up.

        Args:
            input: Tokens sent, or None where the API did not say.
            output: Tokens received, or None.
            cost: In the currency you count in. What is not a finite number is left out, and said in the log.
        """
        self._input = (self._input or 0) + (input or 0)
        self._output = (self._output or 0) + (output or 0)
        if cost is None:
            return
        added = Decimal(str(cost))
        if added.is_finite():
            self._cost = (self._cost or Decimal(0)) + added
        else:
            log.warning("request %s: the cost %s is not a number and is left out", self.request_id, cost)

    def __enter__(self) -> Self:
        self._when = datetime.now(UTC)
        self._started = time.perf_counter()
        self._trace_id = _trace_id()
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self._ended = True
        if self._token is not None:
            try:
                _current.reset(self._token)
            except ValueError:  # ended in another context than it began in, as async generators may
                _current.set(None)
        try:
            self._finish()
        except Exception:
            # A record is never worth a request.
            log.exception("request %s: its usage could not be recorded", self.request_id)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, stack)

    def _finish(self) -> None:
        if not _writer or not self._traces:
            return
        measured = Measured(
            request_id=self.request_id,
            latency=time.perf_counter() - self._started,
            input_tokens=self._input,
            output_tokens=self._output,
            cost=self._cost,
            trace_id=self._trace_id or _trace_id(),
        )
        for use in _joined(self._uses()):
            _writer[0].put(Pending(uuid4(), self._when, use, measured))

    def _uses(self) -> list[Use]:
        uses = []
        for trace in self._traces:
            try:
                use = trace.use()
            except Exception:
                log.exception("request %s: a settings view gave no account of its use", self.request_id)
                continue
            if use.values or use.healed:
                uses.append(use if use.user_id is not None else replace(use, user_id=self._user_id))
        return uses


def _joined(uses: list[Use]) -> list[Use]:
    """Join the views of one flag, user and variant: later reads win.

    A variant or revision that changed during the request keeps a row of its own: both were served.
    """
    joined: dict[tuple[object, ...], Use] = {}
    for use in uses:
        key = (use.flag, use.user_id, use.variant, use.config_id, use.revision)
        earlier = joined.get(key)
        joined[key] = (
            use
            if earlier is None
            else replace(
                use,
                values={**earlier.values, **use.values},
                healed=(*earlier.healed, *use.healed),
                experiment=use.experiment or earlier.experiment,
                arm=use.arm or earlier.arm,
            )
        )
    return list(joined.values())


def request(user_id: str | None = None, *, request_id: str | None = None) -> Request:
    """Open a request: ``with windsock.request(user_id=…) as request: …``.

    Every settings view made inside it leaves one row in ``usage_logs``, provided that a field of it was
    read or healed. Latency, tokens, cost and the trace id are the request's and stand on each of its rows.

    Args:
        user_id: For views that were not made for a user of their own.
        request_id: Yours, if you have one; otherwise a random one joins the rows of this request.
    """
    return Request(user_id, request_id)


def current_request() -> Request | None:
    """Give the request that this context is in, or None."""
    request = _current.get()
    # A task that outlives its request still carries it; what it does later is no longer part of it.
    return None if request is None or request._ended else request  # noqa: SLF001 - same module


def record(use: Use) -> None:
    """Record one use outside any request. Without an installed writer it goes nowhere; never raises."""
    if _writer:
        _writer[0].put(Pending(uuid4(), datetime.now(UTC), use, Measured(trace_id=_trace_id())))


def install(writer: "UsageWriter | None") -> "UsageWriter | None":
    """Let records go to `writer`, or nowhere for None; gives the writer before it, not stopped."""
    before = installed()
    _writer[:] = [] if writer is None else [writer]
    return before


def installed() -> "UsageWriter | None":
    """Give the writer that records go to."""
    return _writer[0] if _writer else None


def _trace_id() -> str | None:
    """Give the active OpenTelemetry trace. A process that has not imported the API has no active span."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    context = api.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None
