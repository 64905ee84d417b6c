"""Read a request's body, bounded in length and in time."""

from http import HTTPStatus
from typing import Final

from anyio import fail_after
from starlette.requests import ClientDisconnect, Request

_SECONDS: Final = 30.0
"""Seconds that a request's body may take to arrive."""


class BadBodyError(Exception):
    """A body that is too long, too slow or cut off.

    Args:
        message: What is wrong.
        status: The response's status.
    """

    def __init__(self, message: str, status: HTTPStatus) -> None:
        super().__init__(message)
        self.status = status


async def read_body(request: Request, limit: int) -> bytes:
    """Read a request's body.

    Args:
        request: The request.
        limit: How long the body may be, in bytes.

    Raises:
        BadBodyError: It is longer, takes longer than 30 s to arrive, or the caller leaves before its end.
    """
    try:
        with fail_after(_SECONDS):
            return await _bounded(request, limit)
    except TimeoutError:
        message = f"the request's body took longer than {_SECONDS:.0f} s to arrive"
        raise BadBodyError(message, HTTPStatus.REQUEST_TIMEOUT) from None
    except ClientDisconnect:
        raise BadBodyError("the connection closed within the body", HTTPStatus.BAD_REQUEST) from None


async def _bounded(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            message = f"the request's body is longer than {limit} bytes"
            raise BadBodyError(message, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return bytes(body)
