"""`windsock demo`: from a row in a database to the next answer, on real parts, with what it measured."""

import shlex
import signal
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._lines import Console, console_of, print_lines
from windsock.cli._say import print_document, print_json, progress, say_whole
from windsock.cli._signals import leaving_on_signals
from windsock.demo.example import System, find
from windsock.demo.stage import Stage
from windsock.demo.story import Promise, Scene, Story
from windsock.demo.teacher import OwnTeaching
from windsock.demo.telling import as_data, to_the_end
from windsock.errors import MissingExtraError
from windsock.usage.record import UsageRecord
from windsock.usage.wording import tokens, values_healed, values_read

_INTRODUCTION = (
    "An AI teacher answers questions. How much it searches, how it ranks and which model it asks are "
    "settings with defaults in its code. In seven steps people change them while it runs, for one user or by "
    "mistake, on a real PostgreSQL and real flagd files."
)


def command(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
    system: Annotated[
        System | None,
        typer.Option(help="Show a service from the checkout's examples/, or an experiment."),
    ] = None,
    stay: Annotated[
        bool, typer.Option("--stay", help="With --system: keep serving after the story, until Ctrl-C.")
    ] = False,
) -> None:
    """Show it end to end: a profile assigned in PostgreSQL decides the next answer, and a bad one heals.

    Example: windsock demo --json
    """
    console = console_of(110, quiet=as_json)
    if stay and system is None:
        raise typer.BadParameter("goes with --system, which names the service to keep", param_hint="--stay")
    if system is System.EXPERIMENT:
        _experiment(console, as_json=as_json)
        return
    example = find(system) if system else None
    print_lines(console, example.INTRODUCTION if example else _INTRODUCTION)
    print_lines(console, ("PostgreSQL, the mirror and the endpoint are starting.", "dim"))
    steps = []
    with (
        leaving_on_signals(),
        Stage(example.FLAG, example.MIRROR) if example else Stage() as stage,
        example.running(stage) if example else nullcontext(Story(stage, OwnTeaching(stage))) as tale,
    ):
        for number, step in enumerate(to_the_end(tale, stage), start=1):
            steps.append(step)
            show(console, number, step)
        if stay:
            _stay(console, steps[0], stage)
    broken = [promise for step in steps for promise in step.promises if not promise.kept]
    if as_json:
        print_json(as_data(steps))
    else:
        show_end(console, steps, broken)
    if broken:
        raise typer.Exit(EXIT_ERROR)


def _experiment(console: Console, *, as_json: bool) -> None:
    """Five thousand users meet three models; the report is a file in the current folder."""
    try:
        from windsock.demo import experiment  # noqa: PLC0415 - its libraries take a second
    except ImportError as missing:
        raise MissingExtraError("the experiment's demo", "experiments") from missing
    print_lines(console, experiment.INTRODUCTION)

    def on_users(users: int) -> None:
        if not as_json:
            progress(f"{users:,} of {experiment.USERS:,} users have asked")

    story = experiment.tell(on_users)
    if as_json:
        print_document(story.result.snapshot())
        return
    path = Path("windsock-experiment.html")
    experiment.report(story.result, path)
    decision = story.result.decision
    progress("")
    print_lines(console, f"{story.users:,} users asked in {story.seconds:.1f} s. Eight days later:")
    print_lines(console)
    print_lines(console, (decision.sentence, "bold"))
    for reason in decision.reasons:
        print_lines(console, f"- {reason}", hanging=2)
    print_lines(console)
    print_lines(console, f"The report is {path}.")


def show(console: Console, number: int, step: Scene) -> None:
    """Print one step."""
    print_lines(console)
    print_lines(console, (f"{number}. {step.title}", "bold"))
    print_lines(console, (step.why, "italic"), indent=3)
    prompt = "SQL> " if step.did[:1].isupper() else "$ "
    for line in step.did.splitlines():
        print_lines(console, (prompt + line, "cyan"), indent=3, hanging=len(prompt))
        prompt = " " * len(prompt)
    for name, text in step.seen.items():
        _show_seen(console, name, text)
    for name, value in step.milliseconds.items():
        print_lines(console, (f"{name} {_milliseconds(value)}", "magenta"), indent=3)
    for row in step.rows:
        _show_row(console, row, step.names)
    for promise in step.promises:
        _show_promise(console, promise)


def show_end(console: Console, steps: list[Scene], broken: list[Promise]) -> None:
    """Print the summary."""
    count = sum(len(step.promises) for step in steps)
    print_lines(console)
    if broken:
        print_lines(console, (f"{len(broken)} of {count} promises broken:", "bold red"))
        for promise in broken:
            _show_promise(console, promise)
    else:
        kept = f"All {count} promises kept. Everything that was started is stopped and removed."
        print_lines(console, (kept, "bold"))


def _stay(console: Console, opening: Scene, stage: Stage) -> None:
    """Let the service serve until Ctrl-C, and say what `windsock` needs to work on it."""
    print_lines(console)
    print_lines(console, "Its flags and its database, for windsock's commands in another terminal:")
    say_whole(f"cd {shlex.quote(str(stage.folder))}")
    say_whole(f"export DATABASE_URL={shlex.quote(stage.url)}")
    print_lines(console, (f"Serving until Ctrl-C: {opening.seen['service']}", "bold"))
    with suppress(KeyboardInterrupt):
        signal.pause()


def _show_seen(console: Console, name: str, text: str) -> None:
    """Print what was seen: one line beside its name, more lines below it."""
    if "\n" in text:
        print_lines(console, f"{name}:", indent=3)
        for line in text.splitlines():
            print_lines(console, line, indent=6, hanging=3)
    else:
        print_lines(console, f"{name}: {text}", indent=3, hanging=3)


def _show_promise(console: Console, promise: Promise) -> None:
    mark, style = ("kept", "green") if promise.kept else ("BROKEN", "bold red")
    found = f" ({promise.found})" if promise.found else ""
    print_lines(console, (mark, style), f"  {promise.text}{found}", indent=3, hanging=len(mark) + 2)


def _show_row(console: Console, row: UsageRecord, names: Mapping[str, str]) -> None:
    """Print a request: whose it was and what it took, then what it read and what was healed."""
    user, profile = (names.get(str(each), "-") for each in (row.user_id, row.config_id))
    latency = "" if row.latency_ms is None else f", {row.latency_ms:.1f} ms"
    print_lines(console, f"{user}: profile {profile}{latency}, {tokens(row)} tokens", indent=3)
    for line in (", ".join(sorted(values_read(row))), *values_healed(row)):
        print_lines(console, line, indent=6)


def _milliseconds(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value * 1000:.1f} µs" if value < 0.1 else f"{value:.1f} ms"
