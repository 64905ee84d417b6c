"""Sign-in and sign-out: exchange a token for a session cookie."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from windsock.api.rates import Rates
from windsock.api.tokens import digest
from windsock.console import sessions
from windsock.console.door import LONGEST_ADDRESS, ConsoleDoor
from windsock.console.forms import BadFormError, check_ours, form_body, form_of
from windsock.console.identity import identified, of_token
from windsock.console.rendering import address, rendered
from windsock.console.security import cookie_of, set_cookie

_PER_SECOND = 1.0
"""Sign-in attempts per second from one address, in bursts of up to five."""

_THREADS = 2
"""Sign-ins at once: an identity provider that hangs must hold up nobody who is signed in."""

_REFUSED = "This token is not in use. Ask an administrator for another one."


def add(app: FastAPI, door: ConsoleDoor) -> None:
    """Add the routes that don't need a session."""
    rates = Rates()

    async def ask(request: Request) -> Response:
        return _form(request, "")

    async def enter(request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return _form(request, "This form was sent from another site.", 403)
        host = request.client.host if request.client else ""
        if wait := rates.take(digest(host), _PER_SECOND):
            return _form(request, f"Too many attempts; wait {wait:.0f} s.", 429)
        try:
            body = await form_body(request)
        except BadFormError as error:
            return _form(request, str(error), error.status)
        return await door.in_thread(request, lambda: _sign_in(door, request, body), _THREADS)

    async def leave(request: Request) -> Response:
        try:
            body = await form_body(request)
        except BadFormError as error:
            return door.problem(request, error.status, str(error))
        return await door.in_thread(request, lambda: _sign_out(door, request, body))

    app.add_route("/sign-in", ask, ["GET"], include_in_schema=False)
    app.add_route("/sign-in", enter, ["POST"], include_in_schema=False)
    app.add_route("/sign-out", leave, ["POST"], include_in_schema=False)


def _sign_in(door: ConsoleDoor, request: Request, body: bytes) -> Response:
    try:
        form = form_of(body)
    except BadFormError as error:
        return _form(request, str(error), error.status)
    presented = form.get("token", "").strip()
    by_jwt = identified(door.console.issuer, presented) if door.console.issuer else None
    with door.transaction() as connection:
        known = by_jwt or of_token(connection, presented)
        if known is None:
            return _form(request, _REFUSED, 401)
        text = sessions.start(connection, known.person, known.seconds)
    after = _inside(form.get("next", ""))
    response = RedirectResponse(request.scope.get("root_path", "") + after, status_code=303)
    set_cookie(response, request, text, sessions.LONGEST)
    return response


def _sign_out(door: ConsoleDoor, request: Request, body: bytes) -> Response:
    with door.transaction() as connection:
        session = sessions.find(connection, cookie_of(request))
        if session is not None:
            try:
                check_ours(request, form_of(body), session.form_key)
            except BadFormError as error:
                return door.problem(request, error.status, str(error), session)
            sessions.end(connection, session)
    response = RedirectResponse(address(request.scope.get("root_path", ""), "/sign-in", {}), status_code=303)
    set_cookie(response, request, "", 0)
    return response


def _inside(path: str) -> str:
    """Where to redirect after sign-in: always a console page, never another host."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain and "\\" not in path and len(path) <= LONGEST_ADDRESS else "/"


def _form(request: Request, message: str, status: int = 200) -> Response:
    short = len(request.url.query) <= 3 * LONGEST_ADDRESS  # quoted; a long one takes milliseconds
    values = {
        "title": "Sign in",
        "here": "/sign-in",
        "person": None,
        "form_key": "",
        "health": None,
        "message": message,
        "next": request.query_params.get("next", "") if short else "",
    }
    return HTMLResponse(rendered("sign_in.html", request.scope.get("root_path", ""), values), status)
