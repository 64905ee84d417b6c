"""The middleware, for WSGI and ASGI: each HTTP request is one in `usage_logs`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string
from openfeature.evaluation_context import EvaluationContext

from windsock.contrib._opening import RAISED, Opening, answered
from windsock.usage.request import Request, current_request


class RequestMiddleware:
    """Opens `windsock.request` around every HTTP request; `windsock.current_request` returns it inside.

    ::

        MIDDLEWARE = [..., "windsock.contrib.django.RequestMiddleware"]
        WINDSOCK_CONTEXT = "app.flags.context"  # optional: a function of the HttpRequest

    The function returns OpenFeature's transaction context: the user's id as targeting key, and the attributes
    that rules may ask for; or None. If it reads ``request.user``, list the middleware after Django's
    ``AuthenticationMiddleware``. It may query the database: under ASGI it runs in Django's thread for
    synchronous code.

    The request's id is the header ``X-Request-ID`` if a proxy has set one. A streamed response belongs to the
    request, which ends when the server closes the response. A status of 500 or more is an error, named after
    the view's exception if one was raised.

    Args:
        get_response: The next middleware or the view, from Django.
    """

    sync_capable = True
    async_capable = True

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
    ) -> None:
        self._get_response = get_response
        path = getattr(settings, "WINDSOCK_CONTEXT", None)
        self._context: Callable[[HttpRequest], EvaluationContext | None] | None = (
            import_string(path) if path else None
        )
        self._asynchronous = iscoroutinefunction(get_response)
        if self._asynchronous:
            markcoroutinefunction(self)

    def __call__(self, http: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer one request."""
        if self._asynchronous:
            return self._answer(http)
        opening = _opened(http, self._context(http) if self._context else None)
        try:
            return _ended(opening, self._get_response(http))
        except BaseException as error:
            opening.__exit__(type(error), error, error.__traceback__)
            raise

    async def _answer(self, http: HttpRequest) -> HttpResponseBase:
        opening = _opened(http, await sync_to_async(self._context)(http) if self._context else None)
        try:
            return _ended(opening, await self._get_response(http))
        except BaseException as error:
            opening.__exit__(type(error), error, error.__traceback__)
            raise

    def process_exception(self, http: HttpRequest, exception: Exception) -> None:  # noqa: ARG002 - Django's
        """Remember what a view raised; Django turns it into a response before the middleware sees it."""
        if (this := current_request()) is not None:
            this.notes[RAISED] = exception


def _opened(http: HttpRequest, context: EvaluationContext | None) -> Opening:
    opening = Opening(context, http.headers.get("X-Request-ID"))
    opening.__enter__()
    return opening


def _ended(opening: Opening, response: HttpResponseBase) -> HttpResponseBase:
    """End the request, or have a streamed response end it when the server closes the response."""
    this = opening.request
    answered(this, response.status_code)
    if not response.streaming:
        opening.__exit__(None, None, None)
        return response
    watched = _watched_async if response.is_async else _watched
    response.streaming_content = watched(this, response.streaming_content)
    ending = ExitStack()
    ending.callback(opening.__exit__, None, None, None)
    ending.callback(response.close)
    response.close = ending.close  # a second call does nothing
    return response


def _watched(this: Request, parts: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from parts
    except Exception as error:
        this.failed(error)
        raise


async def _watched_async(this: Request, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for part in parts:
            yield part
    except Exception as error:
        this.failed(error)
        raise
