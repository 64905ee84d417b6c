"""`windsock doctor`: what usually goes wrong, what serves, and who buckets users as the flag files say."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._options import JsonObject
from windsock.cli._say import print_json, say
from windsock.doctor.checkup import Check
from windsock.doctor.examining import ExamineOptions, examine
from windsock.gitops.contexts import context_of
from windsock.logs import get_logger
from windsock.variables import environment_name


def command(
    flags: Annotated[
        Path | None, typer.Option(help="The folder of flag files; by default from `FLAGD_*`, else flagd/.")
    ] = None,
    *,
    rpc: Annotated[
        bool, typer.Option("--rpc", help="Ask the flagd at FLAGD_HOST and FLAGD_PORT, whatever the resolver.")
    ] = False,
    ofrep_url: Annotated[
        str | None, typer.Option("--ofrep", metavar="URL", help="Ask this server over OFREP.")
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An attribute that rules need before they split."),
    ] = None,
    as_json: JsonObject = False,
    database_url: Annotated[
        str | None, typer.Option(envvar="DATABASE_URL", show_envvar=True, help="The database to check.")
    ] = None,
) -> None:
    """Look for common problems; say what serves, and which evaluators bucket users differently.

    Exit 0 if all is well, 1 if somebody has to act, 4 if the provider can't be reached.

    Example: FLAGD_HOST=localhost windsock doctor --ofrep http://localhost:8016
    """
    if ofrep_url is not None and not ofrep_url.startswith(("http://", "https://")):
        raise typer.BadParameter("give an http:// or https:// address", param_hint="--ofrep")
    get_logger("windsock").addHandler(logging.NullHandler())  # the checks say the same
    options = ExamineOptions(
        flags, context_of(attribute or [], None, environment_name()), database_url, ofrep_url, rpc
    )
    found = examine(options, (lambda _: None) if as_json else _show)
    if as_json:
        checks = [asdict(check) for check in found.checks]
        print_json({"ok": found.ok, "verdict": found.verdict, "checks": checks})
    else:
        say(found.verdict)
    if found.unreachable is not None:
        raise found.unreachable
    if not found.ok:
        raise typer.Exit(EXIT_ERROR)


def _show(check: Check) -> None:
    say(f"{check.name:<11} {'' if check.ok else 'PROBLEM: '}{check.found}")
