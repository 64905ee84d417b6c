"""Security headers for every response, and the session cookie."""

from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
"""Allow no scripts and nothing from other hosts."""

_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # `no-referrer` would also strip the origin from forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class SecureHeaders:
    """Middleware that adds the headers that a response lacks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(message, scope)
            await send(message)

        await self._app(scope, receive, sending)


def cookie_of(request: Request) -> str:
    """The session cookie's value; empty if there's none.

    Not by `request.cookies`: up to Python 3.12.5, the standard library takes minutes to unquote a long value.
    """
    start = f"{_name(request)}="
    parts = (part.strip() for header in request.headers.getlist("cookie") for part in header.split(";"))
    return next((part.removeprefix(start) for part in parts if part.startswith(start)), "")


def set_cookie(response: Response, request: Request, text: str, seconds: float) -> None:
    """Set the session cookie; empty text deletes it."""
    response.set_cookie(
        _name(request),
        text,
        max_age=int(seconds) if text else 0,
        path="/",
        secure=_is_secure(request),
        httponly=True,
        samesite="strict",
    )


def _name(request: Request) -> str:
    """The cookie's name. Browsers accept ``__Host-`` only over HTTPS and only from this exact host."""
    return "__Host-windsock" if _is_secure(request) else "windsock"


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _add(message: MutableMapping[str, Any], scope: Scope) -> None:
    present = {name.lower() for name, _ in message["headers"]}
    headers = dict(_HEADERS)
    if message["status"] == HTTPStatus.REQUEST_TIMEOUT:
        headers["Connection"] = "close"
    if scope.get("scheme") == "https":
        headers["Strict-Transport-Security"] = "max-age=31536000"
    message["headers"] = [
        *message["headers"],
        *(
            (name.lower().encode(), value.encode())
            for name, value in headers.items()
            if name.lower().encode() not in present
        ),
    ]
