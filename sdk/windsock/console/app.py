"""The application: every page goes through the same access check and gets the same headers."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from windsock.api import Api, configuration_router
from windsock.console.door import ConsoleDoor
from windsock.console.options import Console
from windsock.console.pages import sign_in
from windsock.console.pages.all import ROUTES
from windsock.console.rendering import compile_templates, style_sheet
from windsock.console.security import SecureHeaders
from windsock.flagfiles.configuration import ENVIRONMENTS


def application(console: Console) -> FastAPI:
    """Build the console app, to serve on its own or mount in another application.

    ::

        app.mount("/console", application(Console((Teacher,), Path("flagd"), database_url)))

    The process must have called `windsock.start`. Users sign in with tokens from ``windsock token`` or with
    JWTs from `Console.issuer`.
    """
    door = ConsoleDoor(console)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        compile_templates()
        door.shared.begin()
        yield
        door.close()

    app = FastAPI(
        title="windsock",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # it answers strangers, with whatever host they name
    )
    app.add_middleware(SecureHeaders)
    app.add_route("/health", _health, include_in_schema=False)
    app.add_route("/console.css", _style, include_in_schema=False)
    app.include_router(configuration_router(*_apis(console)))
    sign_in.add(app, door)
    for route in ROUTES:
        app.add_route(route.path, door.endpoint(route), [route.method], include_in_schema=False)
    app.add_exception_handler(404, door.nothing_here)
    return app


def _apis(console: Console) -> Iterator[Api]:
    """The configuration API of every class, except classes whose field names clash with its responses."""
    for each in console.settings:
        if ENVIRONMENTS not in each.model_fields:
            path = f"/api/config/{each.__windsock__.declaration.flag}"
            yield Api(each, console.flags, console.database_url, path)


async def _health(_: Request) -> Response:
    """Confirm that the process responds; anonymous callers learn nothing more."""
    return JSONResponse({"status": "ok"})


async def _style(_: Request) -> Response:
    return Response(style_sheet(), media_type="text/css", headers={"Cache-Control": "private, max-age=300"})
