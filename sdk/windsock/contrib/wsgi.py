"""WSGI middleware (Flask, Bottle, Django's WSGI): each HTTP request is one in `usage_logs`."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from contextvars import Context, copy_context
from types import TracebackType
from typing import TYPE_CHECKING

from openfeature.evaluation_context import EvaluationContext

from windsock.contrib._opening import Opening, answered

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Raised = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class RequestMiddleware:
    """Opens `windsock.request` around every HTTP request; `windsock.current_request` returns it inside.

    ::

        app.wsgi_app = RequestMiddleware(app.wsgi_app)  # Flask

    The request's id is the header ``X-Request-ID`` if a proxy has set one. The request lasts until the server
    closes the response (PEP 3333), so a streamed response belongs to it. A status of 500 or more is an error,
    and so is an exception.

    Args:
        app: The application to wrap.
        context: From the WSGI environment to OpenFeature's transaction context: the user's id as targeting
            key, and the attributes that rules may ask for. None from it leaves the context alone.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        context: "Callable[[WSGIEnvironment], EvaluationContext | None] | None" = None,
    ) -> None:
        self._app = app
        self._context = context

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        laid = None if self._context is None else self._context(environ)
        opening = Opening(laid, environ.get("HTTP_X_REQUEST_ID"))
        # A separate context: a response that's never closed leaves no request open in the thread.
        context = copy_context()
        this = context.run(opening.__enter__)

        def watched(
            status: str, headers: list[tuple[str, str]], raised: Raised | None = None, /
        ) -> Callable[[bytes], object]:
            answered(this, int(status[:3]))
            return start_response(status, headers, raised)

        try:
            return _Body(context.run(self._app, environ, watched), opening, context)
        except BaseException as error:
            context.run(opening.__exit__, type(error), error, error.__traceback__)
            raise


class _Body:
    """A response's parts, each produced inside the request; closing it ends the request."""

    def __init__(self, parts: Iterable[bytes], opening: Opening, context: Context) -> None:
        self._iterator = context.run(iter, parts)
        self._request = opening.request
        self._context = context
        self._ending = ExitStack()
        self._ending.callback(context.run, opening.__exit__, None, None, None)
        if (close := getattr(parts, "close", None)) is not None:
            self._ending.callback(context.run, close)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return self._context.run(next, self._iterator)
        except StopIteration:
            raise
        except BaseException as error:
            self._request.failed(error)
            raise

    def close(self) -> None:
        """End the request, after the application's own `close`; a second call does nothing."""
        self._ending.close()
