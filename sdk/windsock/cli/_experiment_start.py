"""`windsock experiment start`: the document becomes a flag."""

from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._experiment_arguments import Flags, Name
from windsock.cli._say import say, warn
from windsock.experiments.reading import read_declared, read_holdouts
from windsock.experiments.running.starting import flag_files, planned, started
from windsock.flagfiles.files import DEFAULT_FOLDER, replace_plain_file
from windsock.gitops.applying import apply_to_folder
from windsock.gitops.plan import Plan, dump
from windsock.gitops.plan_text import text

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]
PlanEnvironment = Annotated[
    str, typer.Option(envvar="ENVIRONMENT", help="The environment of the plan's users.")
]
Out = Annotated[
    Path | None, typer.Option(help="Write the plan here, for `windsock apply`, and change nothing.")
]


def command(
    name: Name,
    *,
    flags: Flags = DEFAULT_FOLDER,
    environment: PlanEnvironment = "production",
    dry_run: DryRun = False,
    out: Out = None,
) -> None:
    """Start an experiment, or bring its flag up to date. It takes effect once the flag file is deployed.

    Example: windsock experiment start cheaper_model
    """
    experiment = read_declared(flags, name).experiment
    files = flag_files(flags)
    after = started(experiment, files, read_holdouts(flags / "holdouts.yaml"), flags)
    carry_out(planned(files, after, environment), flags, out, dry_run=dry_run)


def carry_out(plan: Plan, flags: Path, out: Path | None, *, dry_run: bool) -> None:
    """Show a plan, and write or apply it."""
    for line in text(plan):
        say(line)
    for finding in plan.findings:
        warn(finding)
    if out is not None:
        replace_plain_file(out, dump(plan).encode())
    elif not dry_run:
        written = apply_to_folder(plan, Path(), [flags])
        for path in written:
            say(f"wrote {path}")
        if not written:
            say("nothing to do: it already runs like this")
