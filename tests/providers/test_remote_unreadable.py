"""An answer of flagd that arrives damaged, as a few of very many did under load: it is asked for once more."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import GeneralError

from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.remote import RemoteProvider

SERVER = """
import itertools, sys, threading
from concurrent.futures import ThreadPoolExecutor
import grpc
from openfeature.schemas.protobuf.flagd.evaluation.v2 import evaluation_pb2 as messages

damaged, answers = int(sys.argv[1]), itertools.count()

def events(request, context):
    yield messages.EventStreamResponse(type="provider_ready").SerializeToString()
    threading.Event().wait()

def sentinel(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such flag")

def text(request, context):
    whole = messages.ResolveStringResponse(value="red", reason="STATIC", variant="it")
    return b"\\xff\\xff" if next(answers) < damaged else whole.SerializeToString()

methods = {
    "EventStream": grpc.unary_stream_rpc_method_handler(events),
    "ResolveBoolean": grpc.unary_unary_rpc_method_handler(sentinel),
    "ResolveString": grpc.unary_unary_rpc_method_handler(text),
}
server = grpc.server(ThreadPoolExecutor(8))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("flagd.evaluation.v2.Service", methods)])
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
"""


@contextmanager
def asking(damaged: int) -> Iterator[RemoteProvider]:
    """A provider whose server damages its first answers."""
    command = [sys.executable, "-c", SERVER, str(damaged)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        provider = RemoteProvider(FlagdOptions(port=int(server.stdout.readline()), deadline=20.0))
        try:
            provider.initialize(EvaluationContext())
            yield provider
        finally:
            provider.shutdown()
            server.kill()


def test_one_damaged_answer_is_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    with asking(damaged=1) as provider:
        assert provider.resolve_string_details("colour", "default").value == "red"
        assert provider.ready()
    assert "cannot be read; asked once more" in caplog.text


def test_a_server_that_damages_every_answer_is_an_error() -> None:
    with asking(damaged=1000) as provider, pytest.raises(GeneralError, match="INTERNAL"):
        provider.resolve_string_details("colour", "default")
