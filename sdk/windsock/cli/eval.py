"""`windsock eval`: what one flag gives for one context, and why."""

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._complete import flag_keys
from windsock.cli._say import note, print_json, say, warn
from windsock.errors import ConfigurationError, FlagFileError
from windsock.evaluator import CompiledFlag, Outcome
from windsock.flagfiles.files import read_files, with_mirror
from windsock.flagfiles.sets import flag_of, flag_set
from windsock.flags import Flag, FlagSet
from windsock.gitops.contexts import context_of, moment
from windsock.provenance.rule import trace


def command(
    key: Annotated[str, typer.Argument(help="The flag's key.", autocompletion=flag_keys)],
    *,
    context: Annotated[
        list[str] | None,
        typer.Option(
            "--context", "-c", metavar="NAME=VALUE", help="An attribute; repeat it, or give one JSON object."
        ),
    ] = None,
    user: Annotated[str | None, typer.Option("--user", "-u", help="The targeting key.")] = None,
    flags: Annotated[
        list[Path] | None, typer.Option(help="Flag files or folders; by default flagd/.")
    ] = None,
    environment: Annotated[
        str, typer.Option(envvar="ENVIRONMENT", help="The attribute `environment`.")
    ] = "production",
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The moment that rules on the time see, ISO 8601; by default now."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show each condition and what it saw.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Evaluate again whenever a file changes.")] = False,
) -> None:
    """Evaluate one flag, offline, as the service would. Exit 1 where the evaluation is an error.

    Example: windsock eval teacher --user ada -c tier=pro --explain
    """
    question = _Question(
        key,
        context_of(context or (), user, environment),
        tuple(flags or with_mirror()),
        None if at is None else moment(at).timestamp(),
    )
    if watch:
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how it ends, wherever it arrives
            _watch(question, explain=explain, as_json=as_json)
        return
    served, flag, outcome = _evaluate(question)
    _tell(served)
    _show(question, flag, outcome, explain=explain, as_json=as_json)
    if outcome.error_code is not None:
        raise typer.Exit(EXIT_ERROR)


@dataclass(frozen=True, slots=True)
class _Question:
    """Which flag is evaluated, for whom, from which files, and when (None for now)."""

    key: str
    context: Mapping[str, object]
    paths: tuple[Path, ...]
    at: float | None

    @property
    def now(self) -> float:
        return time.time() if self.at is None else self.at


def _evaluate(question: _Question) -> tuple[FlagSet, Flag, Outcome]:
    paths = question.paths
    served = flag_set(read_files([path for path in paths if _holds_flags(path)] or paths))
    flag = flag_of(served, question.key)
    return served, flag, CompiledFlag(flag, clock=lambda: question.now).evaluate(question.context)


def _tell(served: FlagSet) -> None:
    for problem in served.problems:
        warn(str(problem))


def _holds_flags(path: Path) -> bool:
    return not path.is_dir() or any(path.glob("*.flagd.*"))


def _show(question: _Question, flag: Flag, outcome: Outcome, *, explain: bool, as_json: bool) -> None:
    steps = trace(flag, question.context, int(question.now)) if explain else ()
    where = f"{flag.source}:{flag.line}"
    if as_json:
        data = {
            "flag": flag.key, "value": outcome.value, "variant": outcome.variant,
            "reason": str(outcome.reason),
            "error": outcome.error_message, "metadata": outcome.flag_metadata,
            "source": where,
            "context": question.context, "steps": [asdict(step) for step in steps],
        }  # fmt: skip
        print_json(data)
        return
    say("the code default" if outcome.value is None else json.dumps(outcome.value, ensure_ascii=False))
    note(f"variant {_named(outcome)}, {outcome.reason}, {where}")
    if outcome.error_message:
        warn(outcome.error_message)
    for step in steps:
        note(f"{'  ' * (step.depth + 1)}{step.text}  →  {step.found}")


def _named(outcome: Outcome) -> str:
    """The variant; a profile's with its name, which the mirror writes beside its id."""
    name = outcome.flag_metadata.get(f"config.{outcome.variant}")
    return outcome.variant or "-" if name is None else f"{name} ({outcome.variant})"


def _watch(question: _Question, *, explain: bool, as_json: bool) -> None:
    """Show the outcome, and again whenever it is another; a change that no event told is seen in a second."""
    from watchfiles import watch  # noqa: PLC0415 - only --watch needs it

    shown: object = None
    for _ in itertools.chain(
        [None], watch(*question.paths, raise_interrupt=False, yield_on_timeout=True, rust_timeout=1000)
    ):
        try:
            served, flag, outcome = _evaluate(question)
        except (ConfigurationError, FlagFileError) as error:  # a file in the middle of an edit
            news: object = str(error)
            if news != shown:
                warn(str(error))
        else:
            news = (outcome.value, outcome.variant, outcome.error_message)
            if news != shown:
                _tell(served)
                _show(question, flag, outcome, explain=explain, as_json=as_json)
                sys.stdout.flush()
        shown = news
