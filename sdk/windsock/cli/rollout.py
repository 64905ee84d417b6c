"""`windsock rollout`: add users to a variant step by step, by a rule on the time."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._complete import flag_keys
from windsock.cli._context import moment
from windsock.errors import ConfigurationError
from windsock.flagfiles.editing import served_file, with_targeting
from windsock.flagfiles.files import read_files, replace_flag_file
from windsock.flagfiles.sets import flag_set
from windsock.flags import Flag
from windsock.gitops.rollout import Rollout, parse_duration, parse_steps, rule_for
from windsock.text import did_you_mean


def command(
    flag: Annotated[str, typer.Argument(help="The flag's key.", autocompletion=flag_keys)],
    *,
    steps: Annotated[str, typer.Option(help="Rising percentages of users.")] = "1,5,10,25,50,100",
    to: Annotated[
        int | None, typer.Option(min=1, max=100, help="The last percentage; steps end there.")
    ] = None,
    every: Annotated[str, typer.Option(help="Time from step to step: 30m, 6h, 1d, 1w.")] = "1d",
    variant: Annotated[str | None, typer.Option(help="Who gets more users; by default `on`.")] = None,
    otherwise: Annotated[
        str | None, typer.Option(help="What the others have; by default the default variant.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="When the first step begins, ISO 8601; by default now.")
    ] = None,
    flags: Annotated[
        list[Path] | None, typer.Option(help="Flag files or folders; by default flagd/.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the rule and write nothing.")] = False,
) -> None:
    """Write a rule that adds users step by step and never takes one away.

    Example: windsock rollout rag_v2 --to 50 --steps 1,5,10,25,50 --every 1d
    """
    files = read_files(flags or ())
    found = flag_set(files).flags
    if flag not in found:
        raise ConfigurationError(f"no flag is named {flag!r}{did_you_mean(flag, list(found))}")
    now = int(time.time())
    rollout = Rollout(
        variant or "on",
        otherwise or _otherwise(found[flag], variant or "on"),
        parse_steps(_until(steps, to), to),
        parse_duration(every),
        now if start is None else int(moment(start).timestamp()),
    )
    rule = rule_for(found[flag], rollout, now)
    print(json.dumps(rule, ensure_ascii=False))
    for number, share in enumerate(rollout.steps):
        when = datetime.fromtimestamp(rollout.start + number * rollout.every, UTC)
        print(f"{when:%Y-%m-%d %H:%M} UTC  {share:>3} % {rollout.variant}", file=sys.stderr)
    file = served_file(files, flag)
    if not dry_run and file is not None:
        replace_flag_file(Path(file.path), with_targeting(file, flag, rule))
        print(f"wrote {file.path}; see `windsock plan`", file=sys.stderr)


def _until(steps: str, to: int | None) -> str:
    """The default steps end at --to; steps that a person gives are taken as they are."""
    if to is None or steps != "1,5,10,25,50,100":
        return steps
    return ",".join([*(step for step in steps.split(",") if int(step) < to), str(to)])


def _otherwise(flag: Flag, variant: str) -> str:
    if flag.default_variant is not None and flag.default_variant != variant:
        return flag.default_variant
    others = [name for name in flag.variants if name != variant]
    if len(others) != 1:
        raise ConfigurationError(f"flag {flag.key!r}: say what the others have, with --otherwise")
    return others[0]
