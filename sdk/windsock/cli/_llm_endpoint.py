"""A small OpenAI-compatible HTTP endpoint on loopback, which fails as the real API fails.

The wire format is that of https://platform.openai.com/docs/api-reference/chat. The answers are made of the
request itself; the errors have the real API's status, ``param`` and ``code``.
"""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

DEFAULT_MODELS = ("gpt-4o", "gpt-4o-mini")
_MAX_BODY = 2**20


@dataclass(frozen=True, slots=True)
class Served:
    """One request that the endpoint answered."""

    model: str
    temperature: float
    status: int


@dataclass(slots=True)
class LlmEndpoint:
    """The endpoint as a context manager: it listens inside the ``with`` block and nowhere else.

    Attributes:
        models: The names it knows; any other answers 404 ``model_not_found``.
        down: While true, every request answers 503, as in an outage of the provider.
        served: What was answered so far, oldest first.
    """

    models: tuple[str, ...] = DEFAULT_MODELS
    down: bool = False
    served: list[Served] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL for a client, ``/v1`` included."""
        if self._server is None:
            raise RuntimeError("the endpoint listens only inside its with block")
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"endpoint": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = False  # closing waits for the answers under way
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="llm-endpoint"
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = self._thread = None

    def answer(self, request: dict[str, object]) -> tuple[int, dict[str, object]]:
        """Give the status and the body for one chat completion."""
        model = str(request.get("model", ""))
        temperature = request.get("temperature", 1.0)
        status, body = self._judge(request, model, temperature)
        number = float(temperature) if isinstance(temperature, (int, float)) else 0.0
        self.served.append(Served(model, number, status))
        return status, body

    def _judge(
        self, request: dict[str, object], model: str, temperature: object
    ) -> tuple[int, dict[str, object]]:
        if self.down:
            return 503, _error("The server is overloaded. Please try again later.", kind="server_error")
        if model not in self.models:
            message = f"The model `{model}` does not exist or you do not have access to it."
            return 404, _error(message, code="model_not_found")
        if not isinstance(temperature, (int, float)) or isinstance(temperature, bool):
            message = f"Invalid type for 'temperature': expected a decimal, but got {temperature!r} instead."
            return 400, _error(message, param="temperature", code="invalid_type")
        if not 0 <= temperature <= 2:
            bound, word = ("maximum", "<= 2") if temperature > 2 else ("minimum", ">= 0")
            message = (
                f"Invalid 'temperature': decimal {'above' if temperature > 2 else 'below'} {bound} value. "
                f"Expected a value {word}, but got {temperature} instead."
            )
            code = "decimal_above_max_value" if temperature > 2 else "decimal_below_min_value"
            return 400, _error(message, param="temperature", code=code)
        messages = request.get("messages")
        if not isinstance(messages, list) or not messages:
            return 400, _error("Missing required parameter: 'messages'.", param="messages")
        return 200, _completion(model, messages)


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.0: each answer closes its connection, so that no idle client holds up the end."""

    endpoint: LlmEndpoint
    timeout = 10

    def do_POST(self) -> None:
        """Answer a chat completion."""
        if self.path.partition("?")[0] != "/v1/chat/completions":
            self._send(404, _error(f"Unknown request URL: POST {self.path}.", code="unknown_url"))
            return
        try:
            length = int(self.headers.get("Content-Length", "0"))
            request = json.loads(self.rfile.read(min(length, _MAX_BODY)))
        except ValueError:
            request = None
        if not isinstance(request, dict):
            self._send(400, _error("We could not parse the JSON body of your request."))
            return
        self._send(*self.endpoint.answer(request))

    def do_GET(self) -> None:
        """List the models."""
        models = [{"id": name, "object": "model", "owned_by": "windsock"} for name in self.endpoint.models]
        self._send(200, {"object": "list", "data": models})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep quiet: `LlmEndpoint.served` has it."""

    def _send(self, status: int, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _completion(model: str, messages: list[object]) -> dict[str, object]:
    last = messages[-1]
    question = str(last.get("content", "")) if isinstance(last, dict) else ""
    answer = f"{model} answers: {question}"
    sent = sum(len(str(each.get("content", "")).split()) for each in messages if isinstance(each, dict))
    received = len(answer.split())
    return {
        "id": "chatcmpl-windsock",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer}}
        ],
        "usage": {
            "prompt_tokens": sent,
            "completion_tokens": received,
            "total_tokens": sent + received,
        },
    }


def _error(
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
) -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
