"""The routes: read, change and reload one settings class."""

import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, ParamSpec, TypeVar

import psycopg
from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response, Security, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from windsock.api.checking import Mistake, parse
from windsock.api.document import ENVIRONMENTS, Configuration, Values
from windsock.api.rates import Rates
from windsock.api.settings import ConfigurationApi
from windsock.api.store import StaleRevision, Store, Stored, Write, mirrors_behind
from windsock.api.tokens import Role, Token, authenticate, digest
from windsock.errors import ConfigurationError, FlagFileError, UnreachableError
from windsock.nested import holds, leaf_paths
from windsock.postgres.deadline import CONNECT_SECONDS, within
from windsock.postgres.urls import check_url
from windsock.providers.files import FilesProvider
from windsock.runtime.lifecycle import reload
from windsock.runtime.state import health
from windsock.settings.process import process
from windsock.settings.settings import Settings

logger = logging.getLogger("windsock.api")

P = ParamSpec("P")
R = TypeVar("R")

_DATABASE_SECONDS = 5.0
"""Seconds that one statement may take; after that a stalled server is a 503."""

_THREADS: Final = 8
"""Threads per event loop for the API's database and file access."""

_limiter: RunVar[CapacityLimiter] = RunVar("windsock.api")

_bearer = HTTPBearer(auto_error=False, description="A token made by `windsock token`.")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


@dataclass(frozen=True, slots=True)
class Api:
    """What the API serves.

    Attributes:
        settings: The settings class.
        flag_file: The JSON file that defines its flag; the service's `start` reads the same folder.
        database_url: Where tokens and the audit are; see the migration ``windsock_configuration_api``.
        path: Where it is served.
    """

    settings: type[Settings]
    flag_file: Path
    database_url: str
    path: str

    @property
    def store(self) -> Store:
        """The flag in its file."""
        return Store(self.flag_file, self.settings.__windsock__.declaration)


def configuration_router(api: Api) -> APIRouter:
    """Make the routes ``GET`` and ``PUT`` of `Api.path`, and ``POST`` of ``<path>/reload``.

    Raises:
        ConfigurationError: The file isn't a JSON flag file, the class has a field `environments`, or this
            system cannot lock a folder.
    """
    if not api.flag_file.name.endswith(".flagd.json"):
        raise ConfigurationError(f"{api.flag_file}: the API writes *.flagd.json; name such a file")
    if ENVIRONMENTS in api.settings.model_fields:
        raise ConfigurationError(
            f"{api.settings.__name__}.{ENVIRONMENTS}: that is where the API shows overrides; rename the field"
        )
    check_url(api.database_url)
    router = APIRouter()
    store = api.store  # fails at once on a system that can't lock
    connection = _connections(api)
    rates = Rates()
    reader = Depends(_guard(connection, rates, set(Role)))
    editor = Depends(_guard(connection, rates, {Role.EDITOR, Role.ADMIN}))
    admin = Depends(_guard(connection, rates, {Role.ADMIN}))

    def read() -> tuple[Stored, dict[str, object]]:
        with _problems():
            stored = store.read()
        return stored, _shown(api.settings, stored.configuration)

    @router.get(api.path, dependencies=[reader], responses=_answers(401, 403, 429, 503))
    async def read_configuration(response: Response) -> dict[str, object]:
        """The values in force in this process, and each environment's overrides."""
        stored, shown = await _in_pool(read)
        response.headers["ETag"] = _etag(stored.revision)
        return shown

    @router.put(
        api.path, openapi_extra={"requestBody": _BODY}, responses=_answers(401, 403, 412, 413, 422, 429, 503)
    )
    async def change_configuration(
        request: Request,
        response: Response,
        token: Annotated[Token, editor],
        if_match: Annotated[str | None, Header()] = None,
    ) -> dict[str, object]:
        """Merge the request over the configuration and validate the result before writing anything."""
        _refuse_unless_writable()
        _refuse_foreign(token, api.settings.__windsock__.declaration.flag)
        values = await _in_pool(parse, await _body(request))
        if isinstance(values, Mistake):
            raise _unprocessable((values,))
        change = Write(values, token, _expected(if_match))
        stored, waits = await _in_pool(_write, api, change)
        response.headers["ETag"] = _etag(stored.revision)
        return {
            "status": "updated",
            "revision": stored.revision,
            "config": await _in_pool(_shown, api.settings, stored.configuration),
            "shadowed": _shadowed(api.settings, values),
            **({"waits": waits} if waits else {}),
        }

    @router.post(f"{api.path}/reload", dependencies=[admin], responses=_answers(401, 403, 429, 503))
    async def reload_configuration(response: Response) -> dict[str, object]:
        """Read the environment and the flag files again now. Changed files are noticed without this, too."""
        await _in_pool(reload)
        stored, shown = await _in_pool(read)
        response.headers["ETag"] = _etag(stored.revision)
        stale = health().stale
        return {
            "status": "stale" if stale else "reloaded",
            "revision": stored.revision,
            "config": shown,
            **({"reason": stale} if stale else {}),
        }

    return router


_BODY: Final[dict[str, object]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "description": "The fields to change. Objects merge key by key, lists are replaced; "
                f"`{ENVIRONMENTS}` holds overrides by environment.",
            }
        }
    },
}

_ANSWERS: Final = {
    401: "No token, or one that is not valid.",
    403: "The token's role is not allowed to, or writing is switched off.",
    412: "The file is not what `If-Match` says; the newest `ETag` is in the header.",
    413: "The request is too long.",
    429: "Too many requests with this token; `Retry-After` says how many seconds to wait.",
    422: "Nothing was written; each mistake has a JSON pointer into the request.",
    503: "The flag file or the database cannot be used.",
}


def _answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": _ANSWERS[status]} for status in statuses}


Connect = Callable[[], "psycopg.Connection[Any]"]


def _connections(api: Api) -> Connect:
    def connect() -> "psycopg.Connection[Any]":
        return within(_DATABASE_SECONDS).connect(
            api.database_url, autocommit=True, connect_timeout=CONNECT_SECONDS
        )

    return connect


def _guard(connect: Connect, rates: Rates, allowed: set[Role]) -> Callable[..., Awaitable[Token]]:
    """A dependency that lets tokens of these roles pass."""

    def known(text: str) -> Token | None:
        with _problems(), connect() as connection:
            return authenticate(connection, text)

    async def guard(credentials: _Credentials) -> Token:
        token = None
        if credentials is not None:
            _refuse_beyond_rate(rates, credentials.credentials)
            token = await _in_pool(known, credentials.credentials)
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

    return guard


def _refuse_beyond_rate(rates: Rates, token: str) -> None:
    wait = rates.take(digest(token), ConfigurationApi.live().requests_per_second)
    if wait:
        raise HTTPException(
            status.HTTP_429_TOO_MANY_REQUESTS,
            f"too many requests with this token (CONFIGURATION_API_REQUESTS_PER_SECOND); wait {wait:.1f} s",
            {"Retry-After": str(math.ceil(wait))},
        )


async def _in_pool(function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
    """Run blocking work (the database, a file, much text) in the API's own threads.

    The service's pages, health checks included, keep their threads, and the event loop isn't blocked.
    """
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(_THREADS)
        _limiter.set(limiter)
    return await to_thread.run_sync(partial(function, *arguments, **options), limiter=limiter)


def _write(api: Api, change: Write) -> tuple[Stored, tuple[str, ...]]:
    with _problems(), _connections(api)() as connection:
        outcome = api.store.write(connection, change)
        waits = mirrors_behind(connection) if isinstance(outcome, Stored) else ()
    if isinstance(outcome, StaleRevision):
        raise HTTPException(
            status.HTTP_412_PRECONDITION_FAILED,
            "the configuration has changed since it was read; read it again, then repeat the change",
            {"ETag": _etag(outcome.revision)},
        )
    if not isinstance(outcome, Stored):
        raise _unprocessable(outcome)
    logger.info("%s: changed by %s, revision %s", api.flag_file, change.actor.name, outcome.revision)
    return outcome, waits


def _refuse_unless_writable() -> None:
    if not ConfigurationApi.live().writable:
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, "writing is switched off here; set CONFIGURATION_API_WRITABLE=true"
        )


def _refuse_foreign(token: Token, flag: str) -> None:
    if not token.may_change(flag):
        theirs = ", ".join(f"{each}…" for each in token.flags)
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, f"the token {token.name!r} may change {theirs}, not {flag}"
        )


async def _body(request: Request) -> bytes:
    limit = ConfigurationApi.live().max_body_bytes
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise HTTPException(
                status.HTTP_413_CONTENT_TOO_LARGE,
                f"the request is longer than the {limit} bytes that CONFIGURATION_API_MAX_BODY_BYTES allows",
            )
    return bytes(body)


def _shown(settings: type[Settings], configuration: Configuration) -> dict[str, object]:
    provider = process.evaluating().provider()
    if isinstance(provider, FilesProvider):
        provider.refresh()  # so that what is shown is never older than the revision beside it
    declaration = settings.__windsock__.declaration
    shown = declaration.shown(settings.__windsock__.resolve(None, {}).resolution.values)
    overrides = {name: declaration.shown(values) for name, values in configuration.overrides().items()}
    return {**shown, ENVIRONMENTS: overrides}


def _shadowed(settings: type[Settings], request: Values) -> list[str]:
    """Fields of a request that this process's environment overrides."""
    layers = [layer.values for layer in settings.__windsock__.process_layers()]
    return [".".join(path) for path in leaf_paths(request) if any(holds(values, path) for values in layers)]


def _expected(if_match: str | None) -> frozenset[str] | None:
    """The revisions of an ``If-Match`` header (RFC 9110, 13.1.1); ``*`` matches any, a weak one none."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = [tag.strip() for tag in if_match.split(",")]
    return frozenset(tag[1:-1] for tag in tags if len(tag) >= 2 and tag[0] == tag[-1] == '"')


def _etag(revision: str) -> str:
    return f'"{revision}"'


def _unprocessable(faults: tuple[Mistake, ...]) -> HTTPException:
    detail = [{"pointer": _sendable(each.pointer), "message": _sendable(each.message)} for each in faults]
    return HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, detail)


def _sendable(text: str) -> str:
    """Text with halves of surrogate pairs escaped, because UTF-8 can't encode them."""
    return text.encode(errors="backslashreplace").decode()


@contextmanager
def _problems() -> Iterator[None]:
    """Turn file and database failures into a 503."""
    try:
        yield
    except (UnreachableError, FlagFileError) as error:
        logger.error("%s", error)  # noqa: TRY400 - the message says it all
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, str(error)) from error
    except psycopg.Error as error:
        logger.error("the configuration API's database: %s", error)  # noqa: TRY400 - likewise
        raise HTTPException(
            status.HTTP_503_SERVICE_UNAVAILABLE,
            "the database with the tokens and the audit failed; look at the service's log, then try again",
        ) from error
