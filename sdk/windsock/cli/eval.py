"""`windsock eval`: what one flag gives for one context, and why."""

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._complete import flag_keys
from windsock.cli._context import context_of
from windsock.errors import ConfigurationError, FlagFileError
from windsock.evaluator import CompiledFlag, Outcome
from windsock.flagfiles.files import DEFAULT_FOLDER, read_files
from windsock.flagfiles.sets import flag_set
from windsock.flags import Flag, FlagSet
from windsock.provenance.rule import trace
from windsock.text import did_you_mean


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
    explain: Annotated[bool, typer.Option("--explain", help="Show each condition and what it saw.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Evaluate again whenever a file changes.")] = False,
) -> None:
    """Evaluate one flag, offline, as the service would. Exit 1 where the evaluation is an error.

    Example: windsock eval teacher --user ada -c tier=pro --explain
    """
    attributes = context_of(context or (), user, environment)
    paths = flags or [path for path in (DEFAULT_FOLDER, DEFAULT_FOLDER / "mirror") if path.is_dir()]
    if watch:
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how it ends, wherever it arrives
            _watch(key, attributes, paths, explain=explain, as_json=as_json)
        return
    served, flag, outcome = _evaluate(key, attributes, paths)
    _tell(served)
    _show(flag, outcome, attributes, explain=explain, as_json=as_json)
    if outcome.error_code is not None:
        raise typer.Exit(EXIT_ERROR)


def _evaluate(key: str, context: Mapping[str, object], paths: list[Path]) -> tuple[FlagSet, Flag, Outcome]:
    served = flag_set(read_files([path for path in paths if _holds_flags(path)] or paths))
    flag = served.flags.get(key)
    if flag is None:
        raise ConfigurationError(f"no flag is named {key!r}{did_you_mean(key, list(served.flags))}")
    return served, flag, CompiledFlag(flag).evaluate(context)


def _tell(served: FlagSet) -> None:
    for problem in served.problems:
        print(f"windsock: {problem}", file=sys.stderr)


def _holds_flags(path: Path) -> bool:
    return not path.is_dir() or any(path.glob("*.flagd.*"))


def _show(
    flag: Flag, outcome: Outcome, context: Mapping[str, object], *, explain: bool, as_json: bool
) -> None:
    steps = trace(flag, context, int(time.time())) if explain else ()
    where = f"{flag.source}:{flag.line}"
    if as_json:
        data = {
            "flag": flag.key, "value": outcome.value, "variant": outcome.variant,
            "reason": str(outcome.reason),
            "error": outcome.error_message, "metadata": outcome.flag_metadata,
            "source": where,
            "context": context, "steps": [asdict(step) for step in steps],
        }  # fmt: skip
        print(json.dumps(data, ensure_ascii=False, indent=2, default=str))
        return
    value = "the code default" if outcome.value is None else json.dumps(outcome.value, ensure_ascii=False)
    print(value)
    print(f"variant {outcome.variant or '-'}, {outcome.reason}, {where}", file=sys.stderr)
    if outcome.error_message:
        print(f"windsock: {outcome.error_message}", file=sys.stderr)
    for step in steps:
        print(f"{'  ' * (step.depth + 1)}{step.text}  →  {step.found}", file=sys.stderr)


def _watch(
    key: str, context: Mapping[str, object], paths: list[Path], *, explain: bool, as_json: bool
) -> None:
    """Show the outcome, and again whenever it is another; a change that no event told is seen in a second."""
    from watchfiles import watch  # noqa: PLC0415 - only --watch needs it

    shown: object = None
    for _ in itertools.chain(
        [None], watch(*paths, raise_interrupt=False, yield_on_timeout=True, rust_timeout=1000)
    ):
        try:
            served, flag, outcome = _evaluate(key, context, paths)
        except (ConfigurationError, FlagFileError) as error:  # a file in the middle of an edit
            news: object = str(error)
            if news != shown:
                print(f"windsock: {error}", file=sys.stderr)
        else:
            news = (outcome.value, outcome.variant, outcome.error_message)
            if news != shown:
                _tell(served)
                _show(flag, outcome, context, explain=explain, as_json=as_json)
                sys.stdout.flush()
        shown = news
