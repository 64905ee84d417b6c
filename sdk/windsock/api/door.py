"""The configuration API's entry point: tokens, roles, rate limits, its own threads, and error responses."""

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Final, ParamSpec, TypeVar

import psycopg
from anyio import CapacityLimiter, fail_after, to_thread
from anyio.lowlevel import RunVar
from fastapi import HTTPException, Request, Security, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from windsock.api.body import BadBodyError, read_body
from windsock.api.rates import Rates
from windsock.api.settings import ConfigurationApi
from windsock.api.tokens import Role, Token, authenticate, digest
from windsock.errors import FlagFileError, UnreachableError
from windsock.logs import get_logger
from windsock.postgres.deadline import CONNECT_SECONDS, within

logger = get_logger("windsock.api")

P = ParamSpec("P")
R = TypeVar("R")

_DATABASE_SECONDS = 5.0
"""Seconds that one statement may take; after that, a stalled server results in a 503."""

_THREADS: Final = 8
"""Threads per event loop for the API's database and file access."""

_PATIENCE_SECONDS: Final = 3.0
"""Seconds that a call waits for one of these threads; if the calls ahead of it hang, it gets a 503 then."""

_limiter: RunVar[CapacityLimiter] = RunVar("windsock.api")

_bearer = HTTPBearer(auto_error=False, description="A token made by `windsock token`.")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


Connect = Callable[[], "psycopg.Connection[Any]"]


def connections(url: str) -> Connect:
    """Opens autocommit connections that give up on a stalled server."""

    def connect() -> "psycopg.Connection[Any]":
        return within(_DATABASE_SECONDS).connect(
            url, autocommit=True, connect_timeout=CONNECT_SECONDS, client_encoding="utf8"
        )

    return connect


def guard(connect: Connect, rates: Rates, allowed: set[Role]) -> Callable[..., Awaitable[Token]]:
    """Make a dependency that accepts tokens of these roles."""

    def known(text: str) -> Token | None:
        with problems(), connect() as connection:
            return authenticate(connection, text)

    async def passed(credentials: _Credentials) -> Token:
        token = None
        if credentials is not None:
            _refuse_beyond_rate(rates, credentials.credentials)
            token = await in_pool(known, credentials.credentials)
        if token is None:
            raise HTTPException(
                status.HTTP_401_UNAUTHORIZED,
                "send a valid token: Authorization: Bearer …",
                {"WWW-Authenticate": "Bearer"},
            )
        if token.role not in allowed:
            needed = " or ".join(sorted(allowed))
            raise HTTPException(
                status.HTTP_403_FORBIDDEN,
                f"the token {token.name!r} has the role {token.role}; this needs {needed}",
            )
        return token

    return passed


def _refuse_beyond_rate(rates: Rates, token: str) -> None:
    wait = rates.take(digest(token), ConfigurationApi.live().requests_per_second)
    if wait:
        raise HTTPException(
            status.HTTP_429_TOO_MANY_REQUESTS,
            f"too many requests with this token (CONFIGURATION_API_REQUESTS_PER_SECOND); wait {wait:.1f} s",
            {"Retry-After": str(math.ceil(wait))},
        )


async def in_pool(function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
    """Run blocking work (the database, a file, long text) in the API's own threads.

    The service's pages, health checks included, keep their threads, and the event loop isn't blocked.

    Raises:
        HTTPException: 503, because all of these threads have been busy for seconds.
    """
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(_THREADS)
        _limiter.set(limiter)
    call = object()
    try:
        with fail_after(_PATIENCE_SECONDS):
            await limiter.acquire_on_behalf_of(call)
    except TimeoutError:
        raise HTTPException(
            status.HTTP_503_SERVICE_UNAVAILABLE,
            "the API is busy: calls ahead of this one wait for the database or a file; try again",
            {"Retry-After": "3"},
        ) from None
    try:
        return await to_thread.run_sync(partial(function, *arguments, **options), limiter=CapacityLimiter(1))
    finally:
        limiter.release_on_behalf_of(call)


async def body_of(request: Request) -> bytes:
    """A request's body, up to the allowed length and within the allowed time."""
    try:
        return await read_body(request, ConfigurationApi.live().max_body_bytes)
    except BadBodyError as error:
        if error.status == status.HTTP_413_CONTENT_TOO_LARGE:
            raise HTTPException(error.status, f"{error} (CONFIGURATION_API_MAX_BODY_BYTES)") from None
        raise HTTPException(error.status, str(error), {"Connection": "close"}) from None


@contextmanager
def problems() -> Iterator[None]:
    """Turn file and database failures into a 503."""
    try:
        yield
    except (UnreachableError, FlagFileError) as error:
        logger.error("%s", error)  # noqa: TRY400 - the message says it all
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, str(error)) from error
    except psycopg.Error as error:
        logger.error("the configuration API's database: %s", error)  # noqa: TRY400 - the message says it all
        raise HTTPException(
            status.HTTP_503_SERVICE_UNAVAILABLE,
            "the database with the tokens and the audit failed; look at the service's log, then try again",
        ) from error
