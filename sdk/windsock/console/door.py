"""What every page goes through: authentication, permissions, the page's transaction, and error pages."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final

import psycopg
from anyio import CapacityLimiter, to_thread
from psycopg_pool import ConnectionPool, PoolTimeout
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from windsock.api.tokens import Role
from windsock.console import sessions
from windsock.console.forms import BadFormError, check_ours, form_body, form_of
from windsock.console.options import Console
from windsock.console.page_errors import NotAllowedError, NotFoundError
from windsock.console.rendering import address, rendered
from windsock.console.security import cookie_of, set_cookie
from windsock.console.sessions import Session
from windsock.console.shared import Shared
from windsock.console.visits import Answer, Go, Page, Route, Visit
from windsock.errors import ChangedSinceError, FlagFileError, PlanError, UnreachableError, WindsockError
from windsock.logs import get_logger
from windsock.postgres.queries import load_queries
from windsock.postgres.urls import check_url
from windsock.runtime.state import health
from windsock.text import UNSTORABLE, one_line

logger = get_logger("windsock.console")

Endpoint = Callable[[Request], Awaitable[Response]]
Connection = psycopg.Connection[tuple[Any, ...]]

LONGEST_ADDRESS: Final = 2_000
"""Characters of the address, with its query, that somebody is led back to after signing in."""

_THREADS: Final = 8
_QUERIES = load_queries("windsock.console", "queries.sql")
_ORDER: Final = (Role.READER, Role.EDITOR, Role.ADMIN)


class ConsoleDoor:
    """What the pages share: connections and access control."""

    def __init__(self, console: Console) -> None:
        check_url(console.database_url)
        self.console = console
        self._limiters: dict[int, CapacityLimiter] = {}
        self._lock = Lock()
        self._pool: ConnectionPool[Connection] | None = None
        self.shared = Shared(console, self.transaction)

    def close(self) -> None:
        """Close the connections."""
        self.shared.close()
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """An autocommit connection; the pool opens on first use."""
        with self._lock:
            if self._pool is None:
                options = {
                    "autocommit": True,
                    "prepare_threshold": None,
                    "application_name": "windsock console",
                    "client_encoding": "utf8",
                }
                self._pool = ConnectionPool(
                    self.console.database_url,
                    min_size=0,
                    max_size=_THREADS,
                    kwargs={**options, "connect_timeout": 5},
                    timeout=8,
                    check=ConnectionPool.check_connection,
                    open=True,
                )
            pool = self._pool
        with pool.connection() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in one transaction, with resource limits."""
        with self.connected() as connection, connection.transaction():
            connection.execute(_QUERIES["limits"])
            yield connection

    async def in_thread(
        self, request: Request, function: Callable[[], Response], threads: int = _THREADS
    ) -> Response:
        """Run blocking database work in the console's own threads; a failure becomes an error page.

        Args:
            request: The request.
            function: What answers it.
            threads: The pool, named by its number of threads: strangers have a small one of their own.
        """

        def attempt() -> Response:
            try:
                return function()
            except (psycopg.Error, PoolTimeout) as error:
                logger.error("the console's database: %s", error)  # noqa: TRY400 - the message says it all
                return self.problem(request, 503, _database_words(error))
            except Exception:  # whatever it is, a person gets a page that says so
                logger.exception("the console failed on %s", request.url.path)
                return self.problem(request, 500, _OWN_FAULT)

        if threads not in self._limiters:
            self._limiters[threads] = CapacityLimiter(threads)
        return await to_thread.run_sync(attempt, limiter=self._limiters[threads])

    def endpoint(self, route: Route) -> Endpoint:
        """Wrap a route with access control."""

        async def serve(request: Request) -> Response:
            try:
                body = await form_body(request) if route.method == "POST" else b""
            except BadFormError as error:
                return self.problem(request, error.status, str(error))
            return await self.in_thread(request, lambda: self._guarded(route, request, body))

        return serve

    async def nothing_here(self, request: Request, _: Exception) -> Response:
        """Handle an unknown path: 404 page if signed in, else a redirect to sign-in; programs get JSON."""
        if request.url.path.removeprefix(request.scope.get("root_path", "")).startswith("/api/"):
            return JSONResponse({"detail": "there is nothing here; see /api/config/FLAG"}, 404)
        route = Route("", _nothing_here)
        return await self.in_thread(request, lambda: self._guarded(route, request, b""))

    def problem(
        self, request: Request, status: int, message: str, session: Session | None = None
    ) -> Response:
        """An error page."""
        page = Page("problem.html", _TITLES.get(status, "That did not work"), {"message": message}, status)
        return self._shown(page, request, session)

    def _guarded(self, route: Route, request: Request, body: bytes) -> Response:
        """Authenticate the request, answer it, and rotate the session cookie."""
        cookie, session, text = cookie_of(request), None, None
        if cookie:
            with self.transaction() as connection:
                session = sessions.find(connection, cookie)
                text = sessions.rotate(connection, session) if session is not None and session.due else None
        if session is None:
            return self._to_the_door(request)
        response = self._answered(route, request, body, session)
        if text:
            set_cookie(response, request, text, sessions.LONGEST)
        return response

    def _answered(self, route: Route, request: Request, body: bytes, session: Session) -> Response:
        try:
            form = form_of(body)
            if route.method == "POST":
                check_ours(request, form, session.form_key)
            if _ORDER.index(session.person.role) < _ORDER.index(route.role):
                raise NotAllowedError(  # noqa: TRY301 - one place says what is wrong
                    f"{session.person.name} is signed in as {session.person.role}; this needs {route.role}"
                )
            with self.transaction() as connection:
                query = {name: UNSTORABLE.sub("�", text) for name, text in request.query_params.items()}
                visit = Visit(
                    self.console, session.person, self.shared, connection, self.connected, query, form
                )
                answer = route.handler(visit)
                return self._shown(answer, request, session)
        except (psycopg.Error, PoolTimeout) as error:
            logger.error("the console's database: %s", error)  # noqa: TRY400 - the message says it all
            return self.problem(request, 503, _database_words(error), session)
        except (NotAllowedError, NotFoundError, BadFormError, WindsockError) as error:
            message = "\n".join(error.lines) if isinstance(error, WindsockError) else str(error)
            return self.problem(request, _status_of(error), message, session)
        except Exception:  # whatever it is, they stay signed in and can go elsewhere
            logger.exception("the console failed on %s", request.url.path)
            return self.problem(request, 500, _OWN_FAULT, session)

    def _to_the_door(self, request: Request) -> Response:
        here = request.url.path.removeprefix(request.scope.get("root_path", "")) or "/"
        query = f"?{request.url.query}" if request.url.query else ""
        after = f"{here}{query}" if request.method == "GET" and here != "/" else ""
        return self._shown(
            Go("/sign-in", {"next": after if len(after) <= LONGEST_ADDRESS else ""}), request, None
        )

    def _shown(self, answer: Answer, request: Request, session: Session | None) -> Response:
        root = request.scope.get("root_path", "")
        if isinstance(answer, Go):
            return RedirectResponse(address(root, answer.path, answer.query), status_code=303)
        here = request.url.path.removeprefix(root)
        values = {
            **answer.values,
            "title": answer.title,
            "here": here,
            "person": None if session is None else session.person,
            "form_key": "" if session is None else session.form_key,
            "health": None if session is None else health(),
        }
        headers = {"Refresh": "1"} if answer.again else None
        return HTMLResponse(rendered(answer.template, root, values), answer.status, headers)


_TITLES: Final = {
    403: "That is not allowed",
    404: "There is nothing here",
    408: "That took too long",
    409: "It has changed since",
    413: "That is too much",
    422: "That does not work",
    500: "This page failed",
    503: "Something that this page needs isn't usable",
}


_OWN_FAULT: Final = (
    "That is the console's own fault, and its log says why. If you were changing something, look at Changes"
    " before you try again."
)


def _status_of(error: Exception) -> int:
    if isinstance(error, BadFormError):
        return error.status
    kinds = (
        (NotAllowedError, 403),
        (NotFoundError, 404),
        ((ChangedSinceError, PlanError), 409),
        ((UnreachableError, FlagFileError), 503),
    )
    return next((status for kind, status in kinds if isinstance(error, kind)), 422)


def _nothing_here(_: Visit) -> Answer:
    raise NotFoundError("No page has this address; choose one from the menu.")


def _database_words(error: Exception) -> str:
    """Explain a database failure to the person viewing the page; the details go to the log."""
    if isinstance(error, psycopg.errors.InsufficientPrivilege | psycopg.errors.UndefinedTable):
        return f"{one_line(error)}: run `windsock migrate`, and connect as windsock_console or as the owner"
    if isinstance(error, psycopg.errors.QueryCanceled):
        return "the database took longer than five seconds; ask for less, or try again"
    return "the database failed or can't be reached; look at the console's log, then try again"
