"""Flags evaluated by a flagd server at each call: the stock provider in RPC mode, with fixes.

Fixed: the stock cache answers a boolean read with a cached string, so a one-second cache replaces it;
whole numbers in objects are integers again; 1.5 for an integer is a type mismatch instead of 1; a flag's
metadata arrives; profiles split across files are one flag; while flagd is down, unresponsive or without
flags, calls fail immediately instead of after the deadline; a second shutdown does nothing; asynchronous
calls don't block the event loop; a forked child reconnects. Not fixable here: no revision arrives, and
the protocol rounds integers above 2**53. The sync stream (``FLAGD_RESOLVER=in-process``) has none of
these limits.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from openfeature.evaluation_context import EvaluationContext, EvaluationContextAttribute
from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import (
    ErrorCode,
    FlagNotFoundError,
    GeneralError,
    OpenFeatureError,
    ProviderNotReadyError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider import FeatureProvider, Metadata, ProviderStatus

from windsock.errors import MissingExtraError
from windsock.flag_names import COUNT, PROFILE, shard_of
from windsock.flags.values import MOST_EXACT
from windsock.logs import get_logger
from windsock.providers import forking
from windsock.providers.answer_cache import Answers
from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.sentinel import SentinelWatch
from windsock.providers.threaded import ObjectValue, ThreadedProvider

try:
    from openfeature.contrib.provider.flagd import FlagdProvider

    from windsock.providers.stock import ask, close, make, metadata_of_answer, was_late
except ImportError as missing:
    raise MissingExtraError("a flagd server that evaluates", "flagd") from missing

logger = get_logger("windsock.flags")

T = TypeVar("T")

_CHANGED: Final = ProviderEvent.PROVIDER_CONFIGURATION_CHANGED

_QUESTIONS: Final = {"integer": "float"}
"""What flagd is asked for instead: asked for an integer, it cuts 1.5 to 1."""

_FIRST_RETRY: Final = 0.1
"""Seconds between attempts while the start waits for an answer."""


class RemoteProvider(ThreadedProvider):
    """An OpenFeature provider that queries a flagd server at each evaluation.

    Args:
        options: How to reach the server; the port is its evaluation port, 8013 by default. Read from
            ``FLAGD_*`` if omitted. ``deadline`` bounds every call.
        context: Attributes laid below every evaluation context.
    """

    def __init__(
        self,
        options: FlagdOptions | None = None,
        context: Mapping[str, EvaluationContextAttribute] | None = None,
    ) -> None:
        self._options = options or FlagdOptions.from_environment("rpc")
        super().__init__(self._options.target)
        self._context = EvaluationContext(attributes=dict(context or {}))
        self._stock: FlagdProvider | None = None
        self._watch: SentinelWatch | None = None
        self._changing = threading.Lock()
        self._wanted = False
        self._answered = threading.Event()
        self._has_flags = False
        self._shards: dict[str, int] = {}
        self._answers = Answers()
        self._lost_at: float | None = None
        self._gate = forking.Gate()
        self._paused = False
        forking.register(self, grpc=True)

    def get_metadata(self) -> Metadata:
        """Name the provider."""
        return Metadata(name="windsock-remote")

    def ready(self) -> bool:
        """Whether flagd answered the last sentinel query and has flags."""
        return self._stock is not None and not self.serving.stale

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Connect and query the sentinel, for at most the options' ``deadline``.

        Raises:
            ProviderNotReadyError: flagd didn't answer in time or has no flags; attempts continue.
        """
        self.shutdown()
        self._wanted = True
        self._begin_start()
        until = time.monotonic() + self._options.deadline
        self._start_threads()
        self._answered.clear()
        self._lose("gave no answer yet")
        try:
            with suppress(ProviderNotReadyError):
                self._connect(evaluation_context)
            self._answered.wait(max(0.0, until - time.monotonic()))
        finally:
            self._end_start()
        if not self.ready():
            raise ProviderNotReadyError(self.serving.stale)

    def shutdown(self) -> None:
        """Close the connection and wait for its threads to end."""
        self._wanted = False
        self._disconnect()
        self._answers.clear()
        self._answered.set()  # a start that's waiting can stop
        self._stop_threads()

    def before_fork(self) -> None:
        """Let calls in flight finish, then close the connection: gRPC must not be in use at a fork."""
        self._gate.shut()
        self._paused = self._disconnect()

    def after_fork(self, *, in_child: bool) -> None:
        """Reconnect, and let calls through."""
        if in_child:
            self._gate = forking.Gate()
            self._changing = threading.Lock()
            self._answered = threading.Event()
            self._start_threads()
        try:
            if self._paused:
                self._connect(EvaluationContext())
        except OpenFeatureError:
            self._lose("can't be reached after a fork")
            logger.warning("%s; trying again", self.serving.stale)
        finally:
            self._gate.open()

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - OpenFeature's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Resolve a boolean flag."""
        return self._resolve("boolean", flag_key, default_value, self._enriched(evaluation_context))

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Resolve a string flag."""
        return self._resolve("string", flag_key, default_value, self._enriched(evaluation_context))

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Resolve an integer flag; 1.0 is an integer, 1.5 a type mismatch."""
        context = self._enriched(evaluation_context)
        details: FlagResolutionDetails[Any] = self._resolve("integer", flag_key, default_value, context)
        if isinstance(details.value, float):
            if not details.value.is_integer():
                raise TypeMismatchError(
                    f"flag {flag_key!r}: the flagd server's value {details.value} is not an integer"
                )
            details.value = int(details.value)
        return details

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Resolve a float flag."""
        return self._resolve("float", flag_key, default_value, self._enriched(evaluation_context))

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: ObjectValue,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[ObjectValue]:
        """Resolve an object flag; whole numbers in it become integers, which protobuf lacks."""
        context = self._enriched(evaluation_context)
        key = self._shard(flag_key, context.targeting_key) if flag_key.endswith(PROFILE) else flag_key
        details = self._resolve("object", key, default_value, context)
        if details.value is not default_value:
            details.value = cast("ObjectValue", _whole_numbers(details.value))
        return details

    def _shard(self, flag_key: str, targeting_key: str | None) -> str:
        """The key of the user's shard, if the mirror split a profile flag across several files."""
        known = self._shards  # replaced when flags change, so that an earlier answer isn't kept
        count = known.get(flag_key)
        if count is None:
            try:
                count = self.resolve_integer_details(flag_key + COUNT, 1).value
            except (FlagNotFoundError, TypeMismatchError):
                count = 1
            known[flag_key] = count
        return flag_key if count < 2 else f"{flag_key}.{shard_of(targeting_key, count)}"

    def _connect(self, context: EvaluationContext) -> None:
        self._has_flags, self._shards = False, {}
        try:
            with self._changing:
                if not self._wanted:
                    return
                self._stock = stock = make(self._options)
                stock.attach(self._relay)
                self._watch = SentinelWatch(lambda: self._ask(stock), self._take)
        except OSError as error:
            self._lose(f"is not asked: {self._options.certificate}: cannot be read: {error.strerror}")
            raise ProviderNotReadyError(self.serving.stale) from error
        try:
            stock.initialize(context)
        finally:
            if stock is not self._stock:  # stopped meanwhile
                close(stock)

    def _disconnect(self) -> bool:
        """Close the connection and join its threads; return whether there was one."""
        with self._changing:
            stock, self._stock = self._stock, None
            watch, self._watch = self._watch, None
        if stock is not None:
            close(stock)
        if watch is not None:
            watch.stop()
        return stock is not None

    def _relay(self, stock: FeatureProvider, event: ProviderEvent, details: ProviderEventDetails) -> None:
        """Handle the stock provider's events, except those of a closed one.

        Its READY means that flagd is reachable, not that it has flags, so it triggers a sentinel query.
        """
        if stock is not self._stock:
            return
        if event is _CHANGED:
            self._shards = {}
            self._answers.clear()
        if details.error_code is ErrorCode.PROVIDER_FATAL or event is _CHANGED:
            self.emit(event, details)
        if event is ProviderEvent.PROVIDER_STALE:
            self._has_flags = False
            self._lose("has disconnected")
        if event is not _CHANGED or not self.ready():
            self._doubt()

    def _doubt(self) -> None:
        watch = self._watch
        if watch is not None:
            watch.doubt()

    def _ask(self, stock: FlagdProvider) -> str:
        reason = ask(stock, self._options, had_flags=self._has_flags)
        self._has_flags |= not reason
        return reason

    def _take(self, why: str, attempt: int) -> float:
        """Process a sentinel answer; return the seconds until the next query."""
        if why:
            self._lose(why)
            return self._until_next(attempt)
        if self.serving.stale and self._lost_at is not None and not self._starting:
            seconds = time.monotonic() - self._lost_at
            logger.info("flagd at %s: answers again after %.1f s", self.serving.source, seconds)
        self._lost_at = None
        self.serving = replace(self.serving, stale="", loaded_at=time.time())
        self._answered.set()
        self._tell()
        return 0.0

    def _lose(self, what: str) -> None:
        """Make every call fail immediately, and report why."""
        reason = f"flagd at {self.serving.source} {what}"
        self._answers.clear()
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            if not self._starting:
                logger.warning("%s. Code defaults serve; trying again.", reason)
        self._set_stale(reason)

    def _until_next(self, attempt: int) -> float:
        """Seconds until the next query; reports ERROR once the grace period is over."""
        delay = _FIRST_RETRY if self._starting else self._options.retry_delay(attempt)
        if self._lost_at is None or self._status() is not ProviderStatus.STALE:
            return delay
        grace = self._lost_at + self._options.grace_period - time.monotonic()
        if grace <= 0:
            self._tell()
        return min(delay, max(grace, 0.0)) or delay

    def _resolve(
        self, kind: str, flag_key: str, default: T, context: EvaluationContext
    ) -> FlagResolutionDetails[T]:
        resolver = f"resolve_{_QUESTIONS.get(kind, kind)}_details"

        def asked() -> FlagResolutionDetails[T]:
            with self._asking() as stock:
                details: FlagResolutionDetails[T] = getattr(stock, resolver)(flag_key, default, context)
                metadata = _whole_numbers(metadata_of_answer(stock))
            details.flag_metadata = cast("Mapping[str, bool | int | float | str]", metadata)
            return details

        try:
            return self._answers.of(kind, flag_key, context, asked)  # only a question passes the gate
        except TypeMismatchError as error:  # its message is only gRPC's status
            article = "an" if kind[0] in "io" else "a"
            raise TypeMismatchError(
                f"flag {flag_key!r}: the flagd server's value is not {article} {kind}"
            ) from error

    @contextmanager
    def _asking(self) -> Iterator[FlagdProvider]:
        with self._gate.through():
            stock = self._stock
            if stock is None or self.serving.stale:
                reason = self.serving.stale or f"flagd at {self.serving.source} is not connected"
                raise GeneralError(f"{reason}; the caller's default serves")
            try:
                yield stock
            except GeneralError as error:
                if was_late(error):
                    self._doubt()
                raise

    def _enriched(self, context: EvaluationContext | None) -> EvaluationContext:
        if context is None:
            return self._context
        return self._context.merge(context) if self._context.attributes else context


def _whole_numbers(value: object) -> object:
    """Convert whole floats to integers below 2**53, where floats are still exact."""
    if isinstance(value, float) and value.is_integer() and abs(value) < MOST_EXACT:
        return int(value)
    if isinstance(value, Mapping):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    return value
