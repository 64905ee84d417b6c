"""One connection to flagd's ``flagd.sync.v1``, over which the server pushes complete flag sets.

Imported only by a stream provider that connects, because it loads gRPC.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import grpc
from google.protobuf.json_format import MessageToDict
from grpc.experimental import ChannelOptions
from openfeature.evaluation_context import EvaluationContextAttribute
from openfeature.schemas.protobuf.flagd.sync.v1 import sync_pb2, sync_pb2_grpc

from windsock.providers.channel import open_channel
from windsock.providers.flagd_options import FlagdOptions

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct

Attributes = Mapping[str, EvaluationContextAttribute]

_CONNECT_SECONDS = 5.0
"""Maximum time to connect; gRPC's own 20 s would hide an outage for that long."""

_SETTINGS = (
    ("grpc.min_reconnect_backoff_ms", int(_CONNECT_SECONDS * 1000)),
    # No threads of gRPC's Python layer: any left running at a fork breaks the child.
    (ChannelOptions.SingleThreadedUnaryStream, 1),
)


@dataclass(frozen=True, slots=True)
class Push:
    """One set as sent by the server.

    Attributes:
        flags: A complete flagd document.
        context: Attributes that the server lays below every evaluation.
    """

    flags: str
    context: Attributes


class LostError(Exception):
    """The connection ended; the message says how.

    Args:
        reason: A readable description of what happened.
        code: The gRPC status name.
    """

    def __init__(self, reason: str, code: str = "OK") -> None:
        super().__init__(reason)
        self.code = code


class SyncConnection:
    """A single-use connection: read `pushes` from one thread; `close` it from any thread.

    Args:
        options: The server's address and connection options.
    """

    def __init__(self, options: FlagdOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._closed = False

    def pushes(self) -> Iterator[Push]:
        """Connect and yield each set that the server sends, until the connection ends.

        Nothing is queued here: the next set is taken from gRPC, whose flow control holds the server back,
        only when the last one has been handled.

        Raises:
            LostError: The connection failed or was ended by either side.
        """
        lost = LostError("the server ended the stream")
        try:
            with open_channel(self._options, *_SETTINGS) as channel:
                stub = sync_pb2_grpc.FlagSyncServiceStub(channel)
                responses = self._call_server(channel, stub)
                context: Attributes | None = None
                try:
                    for response in responses:
                        if response.HasField("sync_context"):
                            context = _attributes(response.sync_context)
                        elif context is None:
                            context = self._metadata(stub)
                        yield Push(response.flag_configuration, context)
                finally:
                    _end(channel, responses)
        except grpc.RpcError as error:
            lost = _lost(error, self._options)
        except OSError as error:
            lost = LostError(f"{self._options.certificate}: cannot be read: {error.strerror}")
        # Raised here and not above, so that no exception refers to gRPC's call: gRPC's threads end only when
        # none of its objects is alive, and a fork needs that.
        self._channel = None
        raise lost

    def close(self) -> None:
        """End the connection, waking a thread that waits for a set."""
        with self._lock:
            self._closed = True
            if self._channel is not None:
                self._channel.close()

    def _call_server(
        self, channel: grpc.Channel, stub: sync_pb2_grpc.FlagSyncServiceStub
    ) -> Iterator[sync_pb2.SyncFlagsResponse]:
        options = self._options
        with self._lock:
            if self._closed:
                return iter(())
            call = stub.SyncFlags(
                sync_pb2.SyncFlagsRequest(selector=options.selector, provider_id=options.provider_id),
                timeout=options.stream_deadline or None,
                # since 0.11, flagd reads the selector from the header; before, from the body
                metadata=(("flagd-selector", options.selector),) if options.selector else None,
            )
            self._channel = channel
        return cast("Iterator[sync_pb2.SyncFlagsResponse]", call)

    def _metadata(self, stub: sync_pb2_grpc.FlagSyncServiceStub) -> Attributes:
        """Use the older call for a server that sends no context with its flags; it needn't support it."""
        try:
            answer = stub.GetMetadata(sync_pb2.GetMetadataRequest(), timeout=self._options.deadline)
        except (grpc.RpcError, ValueError):  # ValueError: the channel was closed meanwhile
            return {}
        return _attributes(answer.metadata)


def _end(channel: grpc.Channel, responses: Iterator[sync_pb2.SyncFlagsResponse]) -> None:
    """Close the channel and read the call to its end; an unread call keeps its socket open."""
    channel.close()
    with suppress(grpc.RpcError):
        for _ in responses:
            pass


def _attributes(struct: "Struct") -> Attributes:
    """Convert a protobuf struct to attributes. It has no integers, so whole numbers become integers."""
    values = MessageToDict(struct)
    values.pop("targetingKey", None)  # only the caller may set it
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in values.items()
    }


def _lost(error: grpc.RpcError, options: FlagdOptions) -> LostError:
    call = cast("grpc.Call", error)
    code = call.code().name
    detail = call.details() or ""
    if code == "RESOURCE_EXHAUSTED" and "larger than max" in detail:
        reason = (
            f"the set is larger than {options.max_message_bytes} bytes ({detail});"
            " raise FLAGD_MAX_MESSAGE_BYTES or narrow FLAGD_SOURCE_SELECTOR"
        )
    else:
        reason = f"{code}: {detail}" if detail else code
    return LostError(reason, code)
