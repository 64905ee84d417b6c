"""ASGI (FastAPI, Starlette): each HTTP request is one in `usage_logs`; windsock runs as long as the app."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from openfeature.evaluation_context import EvaluationContext

from windsock.contrib._opening import Opening, answered
from windsock.runtime import start
from windsock.usage.request import installed

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class RequestMiddleware:
    """Opens `windsock.request` around every HTTP request; `windsock.current_request` returns it inside.

    ::

        app.add_middleware(RequestMiddleware, context=evaluation_context)

    The request's id is the header ``X-Request-ID`` if a proxy has set one. It lasts until the application is
    done with it: a streamed response and background tasks belong to it. A status of 500 or more is an error,
    and so is an exception. A websocket isn't a request: open one for each message.

    Args:
        app: The application to wrap.
        context: From the ASGI scope to OpenFeature's transaction context: the user's id as targeting key, and
            the attributes that rules may ask for. None from it leaves the context alone.
    """

    def __init__(
        self, app: Application, context: Callable[[Scope], EvaluationContext | None] | None = None
    ) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(
                scope, receive, _storing_at_the_end(send) if scope["type"] == "lifespan" else send
            )
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        context = None if self._context is None else self._context(scope)
        with Opening(context, headers.get(b"x-request-id", b"").decode("latin-1")) as this:

            async def watched(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    answered(this, message["status"])
                await send(message)

            await self._app(scope, receive, watched)


def _storing_at_the_end(send: Send) -> Send:
    """Store what was recorded before the server ends: uvicorn does by a signal, so nothing runs at exit."""

    async def stored(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "lifespan.shutdown.complete" and (writer := installed()) is not None:
            await asyncio.to_thread(writer.flush)
        await send(message)

    return stored


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:  # noqa: ARG001 - the framework passes it
    """Start windsock with the application, and stop it at the end: ``FastAPI(lifespan=lifespan)``.

    If `windsock.start` needs arguments, write ``with windsock.start(...): yield`` in a lifespan of your own.
    """
    with start():
        yield
