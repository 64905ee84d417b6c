"""A gRPC server of `flagd.sync.v1` in a process of its own, steered by the test: it pushes what it is told to.

A process of its own, because a process that holds a gRPC server must not fork, and because a server that dies
or freezes is part of what is tested.
"""

import json
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import grpc
from google.protobuf.struct_pb2 import Struct
from openfeature.schemas.protobuf.flagd.sync.v1 import sync_pb2, sync_pb2_grpc


class SyncServer:
    """The test's side: starts the process and talks to it.

    Args:
        flags: What a client gets when it connects; None for nothing.
        port: Port to listen on; 0 for a free one.
        options: Further state, see `_Service.state`.
    """

    def __init__(self, flags: object = None, port: int = 0, **options: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port: int = self._ask(port=port, flags=text_of(flags), **options)["port"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def push(self, flags: object) -> None:
        """Send a set to every client, and to those that come."""
        self._ask(push=text_of(flags))

    def set(self, **state: Any) -> None:
        """Change how it answers."""
        self._ask(**state)

    def end_streams(self) -> None:
        """End every stream with the status UNAVAILABLE, and go on serving."""
        self._ask(end=True)

    def requests(self) -> list[dict[str, str]]:
        """What clients asked for: selector, provider id and the selector's header."""
        return self._ask()["requests"]

    def clients(self) -> int:
        """How many streams are open."""
        return self._ask()["clients"]

    def freeze(self) -> None:
        """Stop the process as a debugger would: its connections stay open and nothing answers."""
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def text_of(flags: object) -> str | None:
    """A set as the server sends it: text as it is, a mapping of flags as a document."""
    return flags if flags is None or isinstance(flags, str) else json.dumps({"flags": flags})


class _Service(sync_pb2_grpc.FlagSyncServiceServicer):
    """The process's side."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {
            "flags": None,  # the set that a client gets at once
            "context": None,  # sync_context of each push
            "metadata": None,  # None: GetMetadata is not implemented; a mapping; "empty": no field set; "hang"
            "refuse": None,  # a gRPC status name that every stream ends with at once
        }
        self.requests: list[dict[str, str]] = []
        self.streams: list[queue.SimpleQueue[str | None]] = []

    def SyncFlags(self, request, context):  # noqa: N802 - the protocol's name
        header = dict(context.invocation_metadata()).get("flagd-selector", "")
        self.requests.append(
            {"selector": request.selector, "provider_id": request.provider_id, "header": header}
        )
        if self.state["refuse"]:
            context.abort(grpc.StatusCode[self.state["refuse"]], "refused by the test")
        pushes: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.streams.append(pushes)
        context.add_callback(lambda: pushes.put(None))
        try:
            if self.state["flags"] is not None:
                yield self._response(self.state["flags"])
            while (flags := pushes.get()) is not None:
                yield self._response(flags)
        finally:
            self.streams.remove(pushes)
        if context.is_active():
            context.abort(grpc.StatusCode.UNAVAILABLE, "ended by the test")

    def GetMetadata(self, request, context):  # noqa: N802 - the protocol's name
        metadata = self.state["metadata"]
        if metadata is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "not implemented")
        if metadata == "hang":
            threading.Event().wait(30)
        if not isinstance(metadata, dict):
            return sync_pb2.GetMetadataResponse()
        return sync_pb2.GetMetadataResponse(metadata=_struct(metadata))

    def _response(self, flags: str) -> sync_pb2.SyncFlagsResponse:
        context = self.state["context"]
        if context is None:
            return sync_pb2.SyncFlagsResponse(flag_configuration=flags)
        return sync_pb2.SyncFlagsResponse(flag_configuration=flags, sync_context=_struct(context))


def _struct(values: dict[str, Any]) -> Struct:
    struct = Struct()
    struct.update(values)
    return struct


def _listen(service: _Service, command: dict[str, Any]) -> tuple[grpc.Server, int]:
    server = grpc.server(ThreadPoolExecutor(64), options=[("grpc.max_send_message_length", -1)])
    sync_pb2_grpc.add_FlagSyncServiceServicer_to_server(service, server)
    address = f"127.0.0.1:{command.pop('port')}"
    tls = command.pop("tls", None)
    if tls is None:
        port = server.add_insecure_port(address)
    else:
        pair = (Path(tls[0]).read_bytes(), Path(tls[1]).read_bytes())
        port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    server.start()
    return server, port


def main() -> None:
    service = _Service()
    server, port = None, 0
    for line in sys.stdin:
        command = json.loads(line)
        if server is None:
            server, port = _listen(service, command)
        pushed, end = command.pop("push", None), command.pop("end", False)
        service.state.update(command)
        if pushed is not None:
            service.state["flags"] = pushed
        for stream in list(service.streams):
            if pushed is not None:
                stream.put(pushed)
            if end:
                stream.put(None)
        told = {"port": port, "requests": service.requests, "clients": len(service.streams)}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
