"""`windsock serve`: the web console."""

from typing import Annotated

import typer

from windsock.cli._database import DatabaseUrl, database
from windsock.cli._options import FlagFolder
from windsock.cli._project import Classes, at_least_one, settings_classes
from windsock.cli._say import say_whole, warn
from windsock.flagfiles.files import DEFAULT_FOLDER

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def command(
    classes: Classes = None,
    *,
    flags: FlagFolder = DEFAULT_FOLDER,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 picks a free one.")] = 8090,
    environment: Annotated[
        str, typer.Option(envvar="ENVIRONMENT", help="What base flags target.")
    ] = "production",
    issuer: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The issuer of JWTs to sign in with, such as Supabase's …/auth/v1.",
        ),
    ] = None,
    audience: Annotated[str, typer.Option(help="The audience that these JWTs must name.")] = "authenticated",
    keys_url: Annotated[
        str | None,
        typer.Option("--keys", metavar="URL", help="Their keys; by default ISSUER/.well-known/jwks.json."),
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Serve the web console: what is set, for whom, and why. People sign in with `windsock token`.

    Example: windsock serve app.settings:Teacher --port 8090
    """
    from windsock.console import Console, Issuer  # noqa: PLC0415 - loads FastAPI
    from windsock.console.serving import serve  # noqa: PLC0415 - loads FastAPI

    at_least_one(chosen := settings_classes(classes or ()))
    if host not in _LOOPBACK:
        warn(
            f"{host} is not loopback: put a proxy with TLS in front, so that cookies are sent over https only"
        )
    identity = None if issuer is None else Issuer(issuer, audience, keys_url)
    with database(database_url) as url:
        serve(Console(chosen, flags, url, identity), host, port, environment=environment, announce=_announce)


def _announce(address: str) -> None:
    say_whole(f"{address}  sign in with a token: windsock token make NAME --role admin")
