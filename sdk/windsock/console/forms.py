"""Read submitted forms within size limits, and verify that they're ours (CSRF)."""

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from windsock.api.body import BadBodyError, read_body
from windsock.text import UNSTORABLE

MAX_BYTES: Final = 256 * 1024
MAX_FIELDS: Final = 2_000
KEY: Final = "form_key"
"""The hidden field that proves a form is ours."""


class BadFormError(Exception):
    """A form that can't be read, or isn't ours; the message says which.

    Args:
        message: What is wrong.
        status: The response's status.
    """

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


async def form_body(request: Request) -> bytes:
    """Read a form's body.

    Raises:
        BadFormError: It is too long or too slow, or is cut off.
    """
    try:
        return await read_body(request, MAX_BYTES)
    except BadBodyError as error:
        raise BadFormError(str(error), error.status) from None


def form_of(body: bytes) -> dict[str, str]:
    """Parse a form; if a field is sent twice, the last one wins.

    A long one takes tens of milliseconds, so it's parsed in a thread, and never for a stranger.

    Raises:
        BadFormError: The body isn't a form.
    """
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise BadFormError("the form can't be read: it is not URL-encoded UTF-8") from error
    if UNSTORABLE.search("".join(name + value for name, value in pairs)):
        raise BadFormError("a text cannot hold the character U+0000")
    return {name: value.replace("\r\n", "\n") for name, value in pairs}


def check_ours(request: Request, form: Mapping[str, str], key: str) -> None:
    """Reject a form from another site or an expired session.

    Raises:
        BadFormError: The form isn't ours.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    sent = form.get(KEY, "").encode(errors="surrogatepass")
    if site != "same-origin" or not hmac.compare_digest(sent, key.encode()):
        raise BadFormError(
            "the form isn't from this session; open the page again and send it from there", 403
        )
