"""The application: every page behind the same door, with the same headers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from windsock.console.desk import Desk
from windsock.console.options import Console
from windsock.console.pages import sign_in
from windsock.console.pages.all import ROUTES
from windsock.console.rendering import style_sheet
from windsock.console.security import SecureHeaders


def application(console: Console) -> FastAPI:
    """Make the console, to be served by itself or mounted in another application.

    ::

        app.mount("/console", application(Console((Teacher,), Path("flagd"), database_url)))

    The process must have called `windsock.start`. Sign-in is with tokens of ``windsock token``, and with the
    JWTs of `Console.issuer`.
    """
    desk = Desk(console)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        desk.kept.begin()
        yield
        desk.close()

    app = FastAPI(title="windsock", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(SecureHeaders)
    app.add_route("/health", _health, include_in_schema=False)
    app.add_route("/console.css", _style, include_in_schema=False)
    sign_in.add(app, desk)
    for route in ROUTES:
        app.add_route(route.path, desk.endpoint(route), [route.method], include_in_schema=False)
    app.add_exception_handler(404, desk.nothing_here)
    return app


async def _health(_: Request) -> Response:
    """That the process answers; nothing else is told to whoever has not signed in."""
    return JSONResponse({"status": "ok"})


async def _style(_: Request) -> Response:
    return Response(style_sheet(), media_type="text/css", headers={"Cache-Control": "private, max-age=300"})
