"""A small OpenAI-compatible HTTP endpoint on loopback that fails like the real API.

The wire format follows https://platform.openai.com/docs/api-reference, for chat completions and embeddings.
Answers are built from the request; errors have the real API's status, ``param`` and ``code``.
"""

import json
import math
import re
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

DEFAULT_MODELS = ("gpt-4o", "gpt-4o-mini")
DEFAULT_EMBEDDINGS = {"text-embedding-3-small": 1536}
_MAX_BODY = 2**20
_MAX_WORDS = 8192
_WORD = re.compile(r"\w+")

Refusal = tuple[int, dict[str, object]]
"""A status and a body."""


@dataclass(frozen=True, slots=True)
class Served:
    """One request that the endpoint answered, and its JSON body."""

    model: str
    status: int
    request: dict[str, object]


def unknown_model(model: str) -> Refusal:
    """Refuse a model the way OpenAI does."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return 404, _error(message, code="model_not_found")


@dataclass(slots=True)
class LlmEndpoint:
    """The endpoint as a context manager: it listens inside the ``with`` block and nowhere else.

    Attributes:
        models: The models it knows; others are refused.
        embeddings: The embedding models it knows, each with its maximum number of dimensions.
        refusal: How an unknown model is refused; other vendors of the same protocol word it differently.
        api_key: The key that requests must carry, or None for any.
        hottest: The highest temperature that its models accept.
        dollars_a_token: The price of a token. Like OpenRouter, it reports the cost of answers on request, and
            of embeddings always.
        port: The port it listens on; 0 for any free port.
        down: While true, every request gets a 503, as in an outage of the provider.
        served: The requests answered so far, oldest first.
    """

    models: tuple[str, ...] = DEFAULT_MODELS
    embeddings: dict[str, int] = field(default_factory=DEFAULT_EMBEDDINGS.copy)
    refusal: Callable[[str], Refusal] = unknown_model
    api_key: str | None = None
    hottest: float = 2
    dollars_a_token: float | None = None
    port: int = 0
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
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = False  # closing waits for the answers in progress
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
        """The status and the body for one chat completion."""
        model = str(request.get("model", ""))
        temperature = request.get("temperature", 1.0)
        status, body = self._judge(request, model, temperature)
        self.served.append(Served(model, status, request))
        return status, body

    def embed(self, request: dict[str, object]) -> Refusal:
        """The status and the body for one embeddings request."""
        model = str(request.get("model", ""))
        status, body = self._embedded(request, model)
        self.served.append(Served(model, status, request))
        return status, body

    def _embedded(self, request: dict[str, object], model: str) -> Refusal:
        if self.down:
            return 503, _error("The server is overloaded. Please try again later.", kind="server_error")
        if model not in self.embeddings:
            return self.refusal(model)
        size = request.get("dimensions", self.embeddings[model])
        if not isinstance(size, int) or not 1 <= size <= self.embeddings[model]:
            message = f"Invalid value for 'dimensions' = {size}. Must be at most {self.embeddings[model]}."
            return 400, _error(message, param="dimensions")
        given = request.get("input")
        texts = given if isinstance(given, list) else [given]
        if not texts or not all(isinstance(text, str) and text for text in texts):
            return 400, _error("'$.input' is invalid.", param="input")
        longest = max(len(str(text).split()) for text in texts)
        if longest > _MAX_WORDS:
            limit = f"This model's maximum context length is {_MAX_WORDS} tokens"
            return 400, _error(f"{limit}, however you requested {longest} tokens.")
        vectors = [_embedding(str(text), size) for text in texts]
        data = [{"object": "embedding", "index": i, "embedding": each} for i, each in enumerate(vectors)]
        words = sum(len(str(text).split()) for text in texts)
        usage: dict[str, float] = {"prompt_tokens": words, "total_tokens": words}
        if self.dollars_a_token is not None:
            usage["cost"] = self.dollars_a_token * words
        return 200, {"object": "list", "model": model, "data": data, "usage": usage}

    def _judge(
        self, request: dict[str, object], model: str, temperature: object
    ) -> tuple[int, dict[str, object]]:
        if self.down:
            return 503, _error("The server is overloaded. Please try again later.", kind="server_error")
        if model not in self.models:
            return self.refusal(model)
        if not isinstance(temperature, (int, float)) or isinstance(temperature, bool):
            message = f"Invalid type for 'temperature': expected a decimal, but got {temperature!r} instead."
            return 400, _error(message, param="temperature", code="invalid_type")
        if not 0 <= temperature <= self.hottest:
            above = temperature > self.hottest
            bound, word = ("maximum", f"<= {self.hottest:g}") if above else ("minimum", ">= 0")
            message = (
                f"Invalid 'temperature': decimal {'above' if above else 'below'} {bound} value. "
                f"Expected a value {word}, but got {temperature} instead."
            )
            code = "decimal_above_max_value" if above else "decimal_below_min_value"
            return 400, _error(message, param="temperature", code=code)
        messages = request.get("messages")
        if not isinstance(messages, list) or not messages:
            return 400, _error("Missing required parameter: 'messages'.", param="messages")
        completion = _completion(model, messages)
        usage = completion["usage"]
        if self.dollars_a_token is not None and request.get("usage") == {"include": True}:
            usage["cost"] = self.dollars_a_token * usage["total_tokens"]
        return 200, completion


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.0: each answer closes its connection, so that no idle client delays shutdown."""

    endpoint: LlmEndpoint
    timeout = 10

    def do_POST(self) -> None:
        """Answer a chat completion."""
        answers = {"/v1/chat/completions": self.endpoint.answer, "/v1/embeddings": self.endpoint.embed}
        answer = answers.get(self.path.partition("?")[0])
        # The body is read before anything is refused: a connection closed on unread data is reset.
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), _MAX_BODY))
        if answer is None:
            self._send(404, _error(f"Unknown request URL: POST {self.path}.", code="unknown_url"))
            return
        key = self.endpoint.api_key
        if key is not None and self.headers.get("Authorization") != f"Bearer {key}":
            self._send(401, _error("Incorrect API key provided.", code="invalid_api_key"))
            return
        try:
            request = json.loads(body)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            self._send(400, _error("We could not parse the JSON body of your request."))
            return
        status, reply = answer(request)
        if status == HTTPStatus.OK and request.get("stream") is True:
            self._stream(reply, request.get("stream_options") == {"include_usage": True})
        else:
            self._send(status, reply)

    def do_GET(self) -> None:
        """List the models."""
        models = [{"id": name, "object": "model", "owned_by": "windsock"} for name in self.endpoint.models]
        self._send(200, {"object": "list", "data": models})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing: `LlmEndpoint.served` has the requests."""

    def _stream(self, completion: dict[str, Any], with_usage: bool) -> None:  # noqa: FBT001 - the request's own
        """Send a completion word by word, as server-sent events."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        same = {key: completion[key] for key in ("id", "created", "model")} | {
            "object": "chat.completion.chunk"
        }
        chunks = [
            same | {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
            for word in re.findall(r"\s*\S+", completion["choices"][0]["message"]["content"])
        ]
        chunks.append(same | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if with_usage:
            chunks.append(same | {"choices": [], "usage": completion["usage"]})
        for event in (*map(json.dumps, chunks), "[DONE]"):
            self.wfile.write(f"data: {event}\n\n".encode())

    def _send(self, status: int, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _completion(model: str, messages: list[object]) -> dict[str, Any]:
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


def _embedding(text: str, size: int) -> list[float]:
    """A unit vector with one component per word, so that texts that share words are similar."""
    vector = [0.0] * size
    for word in _WORD.findall(text.lower()):
        vector[zlib.crc32(word.encode()) % size] += 1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


def _error(
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
) -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
