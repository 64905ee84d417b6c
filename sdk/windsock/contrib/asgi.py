"""ASGI middleware (FastAPI, Starlette, Django's ASGI): each HTTP request is one in `usage_logs`."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from windsock.usage.request import request

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_SERVER_ERROR = 500


class RequestMiddleware:
    """Opens `windsock.request` around every HTTP request; `windsock.current_request` gives it inside.

    ::

        app.add_middleware(RequestMiddleware)

    The request's id is that of the header ``X-Request-ID``, where a proxy has set one. It lasts until the
    application is done with it: a streamed answer and background tasks belong to it. An answer of 500 or more
    is an error, as an exception is. A websocket isn't a request: open one for each message.

    Args:
        app: The application around which it stands.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        with request(request_id=headers.get(b"x-request-id", b"").decode("latin-1") or None) as this:

            async def watched(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start" and message["status"] >= _SERVER_ERROR:
                    this.failed(f"HTTP {message['status']}")
                await send(message)

            await self._app(scope, receive, watched)
