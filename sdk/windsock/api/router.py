"""The routes: read, change and reload settings classes, and list changes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response, status

from windsock.api.audit_reading import MOST, changes
from windsock.api.audit_writing import LostRightError
from windsock.api.checking import Mistake, parse
from windsock.api.door import body_of, connections, guard, in_pool, logger, problems
from windsock.api.rates import Rates
from windsock.api.settings import ConfigurationApi
from windsock.api.store import WRITABLE, StaleRevision, Store, Stored, Write, mirrors_behind
from windsock.api.tokens import Role, Token
from windsock.errors import ConfigurationError, FlagFileError
from windsock.flagfiles.configuration import ENVIRONMENTS, Configuration, Values
from windsock.flagfiles.editing import served_file
from windsock.flagfiles.files import read_files
from windsock.nested import holds, leaf_paths
from windsock.postgres.urls import check_url
from windsock.providers.files import FilesProvider
from windsock.runtime.lifecycle import reload
from windsock.runtime.state import health
from windsock.settings.process import process
from windsock.settings.settings import Settings
from windsock.text import bounded


@dataclass(frozen=True, slots=True)
class Api:
    """A settings class that the API serves.

    Attributes:
        settings: The settings class.
        flags: The JSON file that defines its flag, or the folder of flag files; the service's `start` reads
            the same folder.
        database_url: Where tokens and the audit are; see the migration ``windsock_configuration_api``.
        path: The URL path it is served at.
    """

    settings: type[Settings]
    flags: Path
    database_url: str
    path: str

    @property
    def flag(self) -> str:
        """The class's flag."""
        return self.settings.__windsock__.declaration.flag

    @property
    def store(self) -> Store:
        """The flag in its file; in a folder, the last file that has it, because that definition is served.

        Raises:
            UnreachableError: The folder can't be read.
            FlagFileError: No JSON file in it has the flag.
        """
        path = self.flags
        if path.is_dir():
            file = served_file(read_files([path]), self.flag)
            if file is None:
                raise FlagFileError(
                    str(path), f"no file has the flag {self.flag!r}; make one with `windsock init`"
                )
            path = Path(file.path)
        return Store(path, self.settings.__windsock__.declaration)

    def check(self) -> None:
        """Fail early on anything that can't work later.

        Raises:
            ConfigurationError: `flags` names a file that isn't a JSON flag file, the class has a field
                `environments`, the database's URL can't be read, or this system cannot lock a folder.
        """
        if self.flags.suffix and not (self.flags.is_dir() or self.flags.name.endswith(WRITABLE)):
            raise ConfigurationError(
                f"{self.flags}: the API writes *{WRITABLE}; name such a file, or a folder"
            )
        if ENVIRONMENTS in self.settings.model_fields:
            raise ConfigurationError(
                f"{self.settings.__name__}.{ENVIRONMENTS}: the API shows overrides there; rename the field"
            )
        check_url(self.database_url)
        Store(self.flags, self.settings.__windsock__.declaration)


def configuration_router(*apis: Api) -> APIRouter:
    """Make the routes of settings classes; they share each token's request budget.

    Each has ``GET`` and ``PUT`` at its path, ``GET`` at ``<path>/changes`` and ``POST`` at ``<path>/reload``.

    Raises:
        ConfigurationError: As for `Api.check`.
    """
    router, rates = APIRouter(), Rates()
    for api in apis:
        api.check()
        _add(router, api, rates)
    return router


def _add(router: APIRouter, api: Api, rates: Rates) -> None:
    connect = connections(api.database_url)

    def by(*roles: Role) -> Any:
        return Depends(guard(connect, rates, set(roles)))

    _add_reading(router, api, by)
    _add_changing(router, api, by(Role.EDITOR, Role.ADMIN))
    router.add_api_route(api.path, _not_allowed, methods=_OTHERS, include_in_schema=False)


_OTHERS: Final = ["DELETE", "HEAD", "OPTIONS", "PATCH", "POST", "TRACE"]


async def _not_allowed() -> None:
    """List all methods of the URL; the framework would list only those of its first route."""
    raise HTTPException(status.HTTP_405_METHOD_NOT_ALLOWED, headers={"Allow": "GET, PUT"})


def _add_reading(router: APIRouter, api: Api, by: Callable[..., Any]) -> None:
    def read() -> tuple[Stored, dict[str, object]]:
        with problems():
            stored = api.store.read()
        return stored, _shown(api.settings, stored.configuration)

    def look(token: Token, before: int | None, limit: int) -> dict[str, object]:
        with problems(), connections(api.database_url)() as connection:
            return changes(connection, token, api.settings.__windsock__.declaration, before, limit)

    @router.get(api.path, dependencies=[by(*Role)], responses=_answers(401, 403, 429, 503))
    async def read_configuration(response: Response) -> dict[str, object]:
        """The values in force in this process, and each environment's overrides."""
        stored, shown = await in_pool(read)
        response.headers["ETag"] = _etag(stored.revision)
        return shown

    @router.get(f"{api.path}/changes", responses=_answers(401, 403, 422, 429, 503))
    async def read_changes(
        token: Annotated[Token, by(*Role)],
        before: Annotated[
            int | None, Query(ge=1, le=2**63 - 1, description="Only changes before this one.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST, description="At most so many.")] = 50,
    ) -> dict[str, object]:
        """Who changed what, each value before and after, newest first."""
        return await in_pool(look, token, before, limit)

    @router.post(f"{api.path}/reload", dependencies=[by(Role.ADMIN)], responses=_answers(401, 403, 429, 503))
    async def reload_configuration(response: Response) -> dict[str, object]:
        """Read the environment and the flag files again now. Changed files are noticed without this, too."""
        await in_pool(reload)
        stored, shown = await in_pool(read)
        response.headers["ETag"] = _etag(stored.revision)
        stale = health().stale
        return {
            "status": "stale" if stale else "reloaded",
            "revision": stored.revision,
            "config": shown,
            **({"reason": stale} if stale else {}),
        }


def _add_changing(router: APIRouter, api: Api, editor: Any) -> None:
    @router.put(
        api.path,
        openapi_extra={"requestBody": _BODY},
        responses=_answers(401, 403, 408, 412, 413, 422, 429, 503),
    )
    async def change_configuration(
        request: Request,
        response: Response,
        token: Annotated[Token, editor],
        if_match: Annotated[str | None, Header()] = None,
    ) -> dict[str, object]:
        """Merge the request over the configuration and validate the result before writing anything."""
        _refuse_unless_writable()
        _refuse_foreign(token, api.flag)
        values = await in_pool(parse, await body_of(request))
        if isinstance(values, Mistake):
            raise _unprocessable((values,))
        change = Write(values, token, _expected(if_match))
        stored, waits = await in_pool(_write, api, change)
        response.headers["ETag"] = _etag(stored.revision)
        return {
            "status": "updated",
            "revision": stored.revision,
            "config": await in_pool(_shown, api.settings, stored.configuration),
            "shadowed": _shadowed(api.settings, values),
            **({"waits": waits} if waits else {}),
        }


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

_LONGEST: Final = 2_000
"""Bytes of a mistake's pointer and of its message; a field's name may be as long as the body."""

_ANSWERS: Final = {
    401: "No token, or one that is not valid.",
    403: "The token's role is not allowed to, or writing is switched off.",
    408: "The request's body took too long to arrive.",
    412: "The file is not what `If-Match` says; the newest `ETag` is in the header.",
    413: "The request is too long.",
    429: "Too many requests with this token; `Retry-After` says how many seconds to wait.",
    422: "Nothing was written; each mistake has a JSON pointer into the request.",
    503: "The flag file or the database cannot be used.",
}


def _answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": _ANSWERS[status]} for status in statuses}


def _write(api: Api, change: Write) -> tuple[Stored, tuple[str, ...]]:
    with problems(), connections(api.database_url)() as connection:
        try:
            outcome = api.store.write(connection, change)
        except LostRightError as error:
            raise HTTPException(status.HTTP_403_FORBIDDEN, str(error)) from None
        waits = mirrors_behind(connection) if isinstance(outcome, Stored) else ()
    if isinstance(outcome, StaleRevision):
        raise HTTPException(
            status.HTTP_412_PRECONDITION_FAILED,
            "the configuration has changed since it was read; read it again, then repeat the change",
            {"ETag": _etag(outcome.revision)},
        )
    if not isinstance(outcome, Stored):
        raise _unprocessable(outcome)
    logger.info("%s: changed by %s, revision %s", api.path, change.actor.name, outcome.revision)
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


def _shown(settings: type[Settings], configuration: Configuration) -> dict[str, object]:
    provider = process.evaluating().provider()
    if isinstance(provider, FilesProvider):
        provider.refresh()  # so that the values shown are never older than their revision
    declaration = settings.__windsock__.declaration
    shown = declaration.shown(settings.__windsock__.resolve(None, {}).resolution.values)
    overrides = {name: declaration.shown(values) for name, values in configuration.overrides().items()}
    return {**shown, ENVIRONMENTS: overrides}


def _shadowed(settings: type[Settings], request: Values) -> list[str]:
    """Fields of a request that this process's environment overrides."""
    layers = [layer.values for layer in settings.__windsock__.process_layers()]
    return [".".join(path) for path in leaf_paths(request) if any(holds(values, path) for values in layers)]


def _expected(if_match: str | None) -> frozenset[str] | None:
    """The revisions of an ``If-Match`` header (RFC 9110, 13.1.1); ``*`` matches any, a weak tag none."""
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
    """Text with halves of surrogate pairs escaped, because UTF-8 can't encode them; a long one is cut."""
    whole = text.encode(errors="backslashreplace").decode()
    return whole if len(whole) <= _LONGEST else bounded(whole, _LONGEST)
