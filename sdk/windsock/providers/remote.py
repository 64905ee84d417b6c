"""Flags evaluated by a flagd server at each call: the stock provider in RPC mode, mended where it breaks.

Mended: the cache, which answers a boolean read with a cached string, is off; whole numbers in objects are
integers again; while flagd is away a call fails at once instead of after the deadline; a second shutdown is
nothing; asynchronous calls do not hold the event loop; a forked child connects anew. Not to be mended here:
the stock client gives no flag metadata and no revision, and the protocol rounds integers above 2**53. The
sync stream (``FLAGD_RESOLVER=in-process``) has none of these limits.
"""

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar, cast

from openfeature.evaluation_context import EvaluationContext, EvaluationContextAttribute
from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import GeneralError, OpenFeatureError, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.provider import AbstractProvider, FeatureProvider, Metadata

from windsock.errors import ConfigurationError, MissingExtraError
from windsock.providers import forking
from windsock.providers.flagd_options import FlagdOptions

try:
    from openfeature.contrib.provider.flagd import FlagdProvider
    from openfeature.contrib.provider.flagd.config import CacheType, ResolverType
    from openfeature.contrib.provider.flagd.resolvers.grpc import GrpcResolver
except ImportError as missing:
    raise MissingExtraError("a flagd server that evaluates", "flagd") from missing

logger = logging.getLogger("windsock.flags")

T = TypeVar("T")
ObjectValue = Sequence[FlagValueType] | Mapping[str, FlagValueType]

_THREADS: Final = 32
"""Asynchronous evaluations under way at once; more wait."""

_LARGEST_WHOLE: Final = 2.0**53
_GRPC_THREADS_SECONDS: Final = 2.0


class RemoteProvider(AbstractProvider):
    """An OpenFeature provider that asks a flagd server at each evaluation.

    Args:
        options: How the server is reached; its port is the one that evaluates, 8013 by default. Default: what
            ``FLAGD_*`` says. ``deadline`` bounds every call.
        context: Attributes laid below every evaluation context.

    Raises:
        ConfigurationError: The options name a target that the stock client cannot reach.
    """

    def __init__(
        self,
        options: FlagdOptions | None = None,
        context: Mapping[str, EvaluationContextAttribute] | None = None,
    ) -> None:
        super().__init__()
        self._options = options or FlagdOptions.from_environment("rpc")
        for value, variable in (
            (self._options.target_uri, "FLAGD_TARGET_URI"),
            (self._options.socket_path, "FLAGD_SOCKET_PATH"),
            (self._options.authority, "FLAGD_DEFAULT_AUTHORITY"),
        ):
            if value:
                raise ConfigurationError(
                    f"{variable}={value!r}: the stock client has no such option for rpc; give FLAGD_HOST and"
                    " FLAGD_PORT, or use FLAGD_RESOLVER=in-process"
                )
        self._context = EvaluationContext(attributes=dict(context or {}))
        self._stock: FlagdProvider | None = None
        self._connected = False
        self._gate = _Gate()
        self._pool: ThreadPoolExecutor | None = None
        self._paused = False
        forking.register(self)

    def get_metadata(self) -> Metadata:
        """Name the provider."""
        return Metadata(name="windsock-remote")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Connect, waiting for at most the options' ``deadline``; the attempts go on after it.

        Raises:
            ProviderNotReadyError: flagd did not answer in time.
        """
        self.shutdown()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="windsock-remote")
        self._stock = stock = self._make()
        try:
            stock.initialize(evaluation_context)
        except ProviderNotReadyError as error:
            raise ProviderNotReadyError(
                f"flagd at {self._options.target}: no answer within {self._options.deadline:g} s"
            ) from error

    def shutdown(self) -> None:
        """Close the connection and wait for its threads to end."""
        stock, self._stock = self._stock, None
        if stock is not None:
            _close(stock)
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def before_fork(self) -> None:
        """Let the calls under way end, then close the connection: gRPC must not be in use at a fork."""
        self._gate.shut()
        stock, self._stock = self._stock, None
        self._paused = stock is not None
        if stock is not None:
            _close(stock)
        del stock
        _await_grpc_threads()

    def after_fork(self, *, in_child: bool) -> None:
        """Connect again, and let calls through."""
        if in_child:
            self._gate = _Gate()
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="windsock-remote")
        try:
            if self._paused:
                self._stock = self._make()
                self._stock.initialize(EvaluationContext())
        except OpenFeatureError as error:
            logger.warning(
                "flagd at %s: not there after a fork (%s); trying again", self._options.target, error
            )
        finally:
            self._gate.open()

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - OpenFeature's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Resolve a boolean flag."""
        with self._asking() as stock:
            return stock.resolve_boolean_details(flag_key, default_value, self._enriched(evaluation_context))

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Resolve a string flag."""
        with self._asking() as stock:
            return stock.resolve_string_details(flag_key, default_value, self._enriched(evaluation_context))

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Resolve an integer flag."""
        with self._asking() as stock:
            return stock.resolve_integer_details(flag_key, default_value, self._enriched(evaluation_context))

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Resolve a float flag."""
        with self._asking() as stock:
            return stock.resolve_float_details(flag_key, default_value, self._enriched(evaluation_context))

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: ObjectValue,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[ObjectValue]:
        """Resolve an object flag; whole numbers in it are integers, which protobuf does not know."""
        with self._asking() as stock:
            details = stock.resolve_object_details(
                flag_key, default_value, self._enriched(evaluation_context)
            )
        if details.value is not default_value:
            details.value = cast("ObjectValue", _whole_numbers(details.value))
        return details

    async def resolve_boolean_details_async(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - OpenFeature's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Resolve a boolean flag in a thread."""
        return await self._in_thread(
            lambda: self.resolve_boolean_details(flag_key, default_value, evaluation_context)
        )

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Resolve a string flag in a thread."""
        return await self._in_thread(
            lambda: self.resolve_string_details(flag_key, default_value, evaluation_context)
        )

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Resolve an integer flag in a thread."""
        return await self._in_thread(
            lambda: self.resolve_integer_details(flag_key, default_value, evaluation_context)
        )

    async def resolve_float_details_async(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Resolve a float flag in a thread."""
        return await self._in_thread(
            lambda: self.resolve_float_details(flag_key, default_value, evaluation_context)
        )

    async def resolve_object_details_async(
        self,
        flag_key: str,
        default_value: ObjectValue,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[ObjectValue]:
        """Resolve an object flag in a thread."""
        return await self._in_thread(
            lambda: self.resolve_object_details(flag_key, default_value, evaluation_context)
        )

    def _make(self) -> FlagdProvider:
        self._connected = False
        options = self._options
        stock = FlagdProvider(
            host=options.host,
            port=options.port,
            tls=options.tls,
            cert_path=options.certificate or None,
            selector=options.selector or None,
            resolver_type=ResolverType.RPC,
            cache=CacheType.DISABLED,
            deadline_ms=round(options.deadline * 1000),
            stream_deadline_ms=round(options.stream_deadline * 1000),
            keep_alive_time=round(options.keep_alive * 1000),
            retry_backoff_ms=round(options.backoff * 1000),
            retry_backoff_max_ms=round(options.backoff_max * 1000),
            retry_grace_period=round(options.grace_period),
            fatal_status_codes=sorted(options.fatal_codes),
        )
        stock.attach(self._relay)
        return stock

    def _relay(self, stock: FeatureProvider, event: ProviderEvent, details: ProviderEventDetails) -> None:
        """Pass the stock provider's events on as this provider's own; not those of one that was closed."""
        if stock is self._stock:
            if event is not ProviderEvent.PROVIDER_CONFIGURATION_CHANGED:
                self._connected = event is ProviderEvent.PROVIDER_READY
            self.emit(event, details)

    @contextmanager
    def _asking(self) -> Iterator[FlagdProvider]:
        with self._gate.through():
            stock = self._stock
            if stock is None or not self._connected:
                raise GeneralError(f"flagd at {self._options.target} is away; the caller's default serves")
            yield stock

    async def _in_thread(self, call: Callable[[], T]) -> T:
        if self._pool is None:
            return call()  # shut down: it raises at once
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, call)

    def _enriched(self, context: EvaluationContext | None) -> EvaluationContext:
        return self._context if context is None else self._context.merge(context)


class _Gate:
    """Lets calls through until it is shut; shutting waits for those under way."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls = 0
        self._shut = False

    @contextmanager
    def through(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._shut)
            self._calls += 1
        try:
            yield
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()

    def shut(self) -> None:
        with self._changed:
            self._shut = True
            self._changed.wait_for(lambda: self._calls == 0)

    def open(self) -> None:
        with self._changed:
            self._shut = False
            self._changed.notify_all()


def _close(stock: FlagdProvider) -> None:
    """Shut the stock provider down and join its threads, which it leaves running."""
    stock.shutdown()
    stock.detach()
    resolver = cast("GrpcResolver", stock.resolver)
    for thread in (resolver.thread, resolver.monitor_thread):
        if thread is not None and thread is not threading.current_thread():
            thread.join()


def _await_grpc_threads() -> None:
    """Wait until the threads of gRPC's Python layer have ended; they are told at most every 0.2 s."""
    until = time.monotonic() + _GRPC_THREADS_SECONDS
    while time.monotonic() < until:
        if not any("(managed_target)" in thread.name for thread in threading.enumerate()):
            return
        time.sleep(0.005)


def _whole_numbers(value: object) -> object:
    """Whole floats as integers, below 2**53 where a float still tells them apart."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_WHOLE:
        return int(value)
    if isinstance(value, Mapping):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    return value
