"""The stock flagd provider in RPC mode: create it from our options, query the sentinel, and close it."""

import threading
from collections.abc import Callable
from functools import partial
from typing import cast

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import CacheType, ResolverType
from openfeature.contrib.provider.flagd.resolvers.grpc import GrpcResolver
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, GeneralError, OpenFeatureError
from openfeature.schemas.protobuf.flagd.evaluation.v1 import evaluation_pb2 as evaluation_v1_pb2
from openfeature.schemas.protobuf.flagd.evaluation.v1 import evaluation_pb2_grpc as evaluation_v1_pb2_grpc
from openfeature.schemas.protobuf.flagd.evaluation.v2 import evaluation_pb2_grpc

from windsock.flag_names import SENTINEL
from windsock.providers.channel import open_channel
from windsock.providers.flagd_options import FlagdOptions


def make(options: FlagdOptions) -> FlagdProvider:
    """Create one with our channel and without its cache, which answers a boolean read with a cached string.

    Raises:
        OSError: The certificate file can't be read.
    """
    channel = open_channel(
        options,
        ("grpc.min_reconnect_backoff_ms", round(options.deadline * 1000)),
        ("grpc.initial_reconnect_backoff_ms", round(options.backoff * 1000)),
        ("grpc.max_reconnect_backoff_ms", round(options.backoff_max * 1000)),
        # No compression: flagd compresses even the smallest answer, and gRPC 1.85 under load passes some on
        # without decompressing them, so they aren't protobuf messages.
        ("grpc.compression_enabled_algorithms_bitset", 1),
    )
    stock = FlagdProvider(
        host=options.host,
        port=options.port,
        tls=False,
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
    resolver = cast("GrpcResolver", stock.resolver)
    resolver.channel.close()  # it hasn't connected yet, and knows only host and port
    resolver.channel = channel
    # Both stubs now: making one of a closed channel is a segmentation fault in gRPC 1.85.
    first = evaluation_v1_pb2_grpc.ServiceStub(channel)  # the newer protocol has no ResolveAll
    resolver.stub = _Answers(evaluation_pb2_grpc.ServiceStub(channel), first.ResolveAll)  # type: ignore[assignment]
    return stock


def metadata_of_answer(stock: FlagdProvider) -> dict[str, object]:
    """The flag metadata in this thread's last answer; the stock client drops it."""
    return cast("_Answers", cast("GrpcResolver", stock.resolver).stub).metadata()


class _Answers:
    """The client's stub, wrapped to keep the flag metadata of each thread's last answer.

    Args:
        stub: The stub.
        all_flags: The call for all flags; its answer isn't kept.
    """

    def __init__(self, stub: object, all_flags: Callable[..., Message]) -> None:
        self._stub = stub
        self.all_flags = all_flags
        self._last = threading.local()

    def __getattr__(self, name: str) -> Callable[..., Message]:
        call: Callable[..., Message] = getattr(self._stub, name)
        return partial(self._keep, call) if name.startswith("Resolve") else call

    def metadata(self) -> dict[str, object]:
        return cast("dict[str, object]", MessageToDict(self._last.answer.metadata))

    def _keep(self, call: Callable[..., Message], request: Message, **options: object) -> Message:
        self._last.answer = answer = call(request, **options)
        return answer


def ask(stock: FlagdProvider, options: FlagdOptions, *, had_flags: bool) -> str:
    """Query the sentinel; return flagd's problem, or empty text. "Flag not found" counts as an answer.

    Args:
        stock: The provider, connected or connecting.
        options: The options that it was created from.
        had_flags: Whether this flagd is known to have flags; otherwise, that's checked too.
    """
    try:
        if _has_sentinel(stock) or had_flags or _has_any_flag(stock, options.deadline):
            return ""
    except GeneralError as error:
        late = f"gives no answer within {options.deadline:g} s"
        return late if was_late(error) else f"cannot be asked: {error.error_message}"
    except ValueError:
        return "is no longer asked"  # gRPC's error for a closed channel
    return f"has no flags yet for {options.selector}" if options.selector else "has no flags yet"


def was_late(error: GeneralError) -> bool:
    """Whether a call failed because its deadline passed."""
    cause = error.__cause__
    return (
        isinstance(cause, grpc.RpcError)
        and cast("grpc.Call", cause).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    )


def close(stock: FlagdProvider) -> None:
    """Shut it down and join the threads that it leaves running; twice if it was still starting."""
    stock.shutdown()
    stock.detach()
    resolver = cast("GrpcResolver", stock.resolver)
    for thread in (resolver.thread, getattr(resolver, "monitor_thread", None)):
        if thread is not None and thread.ident is not None and thread is not threading.current_thread():
            thread.join()


def _has_sentinel(stock: FlagdProvider) -> bool:
    try:
        stock.resolve_boolean_details(SENTINEL, False, EvaluationContext())  # noqa: FBT003 - stock's signature
    except FlagNotFoundError:
        return False
    except GeneralError:
        raise
    except OpenFeatureError:
        pass  # it has the flag, with another type
    return True


def _has_any_flag(stock: FlagdProvider, deadline: float) -> bool:
    """Whether flagd has any flag. If there are none, it answers at once; too large or too late means many."""
    resolver = cast("GrpcResolver", stock.resolver)
    request = evaluation_v1_pb2.ResolveAllRequest()
    call = cast("_Answers", resolver.stub).all_flags
    try:
        answer = call(request, timeout=deadline, metadata=resolver.selector_metadata)
    except grpc.RpcError:
        return True
    return bool(cast("evaluation_v1_pb2.ResolveAllResponse", answer).flags)
