"""`windsock serve`: the web console."""

import os
import socket
from pathlib import Path
from typing import Annotated

import typer

import windsock
from windsock.cli._database import DatabaseUrl, database
from windsock.cli._project import Classes, at_least_one, settings_classes
from windsock.cli._say import warn
from windsock.errors import ConfigurationError, MissingExtraError
from windsock.flagfiles.files import DEFAULT_FOLDER

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def command(
    classes: Classes = None,
    *,
    flags: Annotated[Path, typer.Option(help="The folder of the flag files.")] = DEFAULT_FOLDER,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 for any that is free.")] = 8090,
    environment: Annotated[
        str, typer.Option(envvar="ENVIRONMENT", help="What base flags target.")
    ] = "production",
    issuer: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Whose JWTs sign people in, such as Supabase's …/auth/v1."),
    ] = None,
    audience: Annotated[str, typer.Option(help="What these JWTs are for.")] = "authenticated",
    keys_url: Annotated[
        str | None,
        typer.Option("--keys", metavar="URL", help="Their keys; by default ISSUER/.well-known/jwks.json."),
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Serve the web console: what is set, for whom, and why. People sign in with `windsock token`.

    Example: windsock serve app.settings:Teacher --port 8090
    """
    try:
        import uvicorn  # noqa: PLC0415 - an extra
    except ImportError as missing:
        raise MissingExtraError("the console", "api") from missing
    from windsock.console import Console, Issuer, application  # noqa: PLC0415 - loads FastAPI

    at_least_one(chosen := settings_classes(classes or ()))
    if host not in _LOOPBACK:
        warn(
            f"{host} is not loopback: put a proxy with TLS in front, so that cookies are sent over https only"
        )
    identity = None if issuer is None else Issuer(issuer, audience, keys_url)
    with (
        _listening(host, port) as listener,
        database(database_url) as url,
        windsock.start(flags=flags, environment=environment, usage=url),
    ):
        address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        console = Console(chosen, flags, url, identity)
        config = uvicorn.Config(application(console), log_level="warning", access_log=False)
        print(f"{address}  sign in with a token: windsock token make NAME --role admin", flush=True)
        uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        what = os.strerror(error.errno) if error.errno else error
        raise ConfigurationError(f"{host}:{port}: cannot listen: {what}; choose another --port") from error
