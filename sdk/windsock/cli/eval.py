"""`windsock eval`: what one flag gives for one context, and why."""

import contextlib
import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._complete import FlagKey
from windsock.cli._options import Environment, FlagFiles, JsonObject, User
from windsock.cli._say import note, print_json, say, warn, warn_first
from windsock.errors import WindsockError
from windsock.flagfiles.files import with_mirror
from windsock.gitops.contexts import context_of, moment
from windsock.gitops.evaluating import FlagEvaluation, FlagQuestion, evaluate, watched


def command(
    key: FlagKey,
    *,
    context: Annotated[
        list[str] | None,
        typer.Option(
            "--context", "-c", metavar="NAME=VALUE", help="An attribute; repeat it, or give one JSON object."
        ),
    ] = None,
    user: User = None,
    flags: FlagFiles = None,
    environment: Environment = "production",
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The time for rules that depend on it, ISO 8601; by default now."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show each condition and what it saw.")] = False,
    as_json: JsonObject = False,
    watch: Annotated[bool, typer.Option("--watch", help="Evaluate again whenever a file changes.")] = False,
) -> None:
    """Evaluate one flag, offline, as the service would. Exit 1 if the evaluation fails.

    Example: windsock eval teacher --user ada -c tier=pro --explain
    """
    question = FlagQuestion(
        key,
        context_of(context or (), user, environment),
        tuple(flags or with_mirror()),
        None if at is None else moment(at).timestamp(),
    )
    if watch:
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how it ends, wherever it arrives
            for news in watched(question):
                if isinstance(news, WindsockError):
                    warn(str(news))
                else:
                    _show(news, explain=explain, as_json=as_json)
                sys.stdout.flush()
        return
    found = evaluate(question)
    _show(found, explain=explain, as_json=as_json)
    if found.outcome.error_code is not None:
        raise typer.Exit(EXIT_ERROR)


def _show(found: FlagEvaluation, *, explain: bool, as_json: bool) -> None:
    warn_first(found.problems)
    steps = found.steps() if explain else ()
    if as_json:
        print_json({**found.to_dict(), "steps": [asdict(step) for step in steps]})
        return
    outcome = found.outcome
    say("the code default" if outcome.value is None else json.dumps(outcome.value, ensure_ascii=False))
    note(f"variant {found.variant or '-'}, {outcome.reason}, {found.where}")
    if outcome.error_message:
        warn(outcome.error_message)
    for step in steps:
        note(f"{'  ' * (step.depth + 1)}{step.text}  →  {step.found}")
