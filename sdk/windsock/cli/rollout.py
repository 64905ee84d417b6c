"""`windsock rollout`: add users to a variant step by step, by a rule on the time."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from windsock.cli._complete import FlagKey
from windsock.cli._options import FlagFiles
from windsock.cli._say import note, print_json, say
from windsock.gitops.contexts import moment
from windsock.gitops.rollout import (
    RolledOut,
    RolloutRequest,
    default_steps,
    parse_duration,
    parse_steps,
    roll_out,
)


def command(
    flag: FlagKey,
    *,
    steps: Annotated[
        str | None,
        typer.Option(help="Rising percentages of users.", show_default="1,5,10,25,50,100"),
    ] = None,
    to: Annotated[
        int | None, typer.Option(min=1, max=100, help="The last percentage; steps end there.")
    ] = None,
    every: Annotated[str, typer.Option(help="Time from step to step: 30m, 6h, 1d, 1w.")] = "1d",
    variant: Annotated[str, typer.Option(help="Which variant gets more users.")] = "on",
    otherwise: Annotated[
        str | None, typer.Option(help="What the other users get; by default the default variant.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="When the first step begins, ISO 8601; by default now.")
    ] = None,
    flags: FlagFiles = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the steps, write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rule as JSON instead.")] = False,
) -> None:
    """Write a rule that adds users step by step and never takes one away.

    Example: windsock rollout rag_v2 --to 50 --steps 1,5,10,25,50 --every 1d
    """
    now = int(time.time())
    begins = now if start is None else int(moment(start).timestamp())
    request = RolloutRequest(
        flag,
        variant,
        otherwise,
        default_steps(to) if steps is None else parse_steps(steps, to),
        parse_duration(every),
        begins,
    )
    done = roll_out(flags or (), request, now, write=not dry_run)
    if as_json:
        print_json(done.rule)
    else:
        _tell(done)
    if done.written is not None:
        note(f"wrote {done.written}; see `windsock plan`")


def _tell(done: RolledOut) -> None:
    for line in done.kept:
        say(f"stays first: {line}")
    rollout = done.rollout
    for share, begun in rollout.schedule():
        when = datetime.fromtimestamp(begun, UTC)
        others = f", {100 - share:>2} % {rollout.otherwise}" if share < 100 else ""
        say(f"{when:%Y-%m-%d %H:%M} UTC  {share:>3} % {rollout.variant}{others}")
