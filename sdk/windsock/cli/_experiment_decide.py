"""`windsock experiment decide`: the proposal, its evidence, and a snapshot to compute it from again."""

from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._experiment_arguments import Flags, Name
from windsock.cli._experiment_options import Data, Environment, Now, moment, place
from windsock.cli._experiment_start import carry_out
from windsock.cli._lines import console_of, print_lines
from windsock.cli._say import say
from windsock.errors import UnreachableError
from windsock.experiments.data.keeping import keep, refuse_undecidable
from windsock.experiments.reporting.summary import message
from windsock.experiments.result import Result, analyze, restore
from windsock.experiments.running.concluding import concluded
from windsock.experiments.running.hand_written import declared_or_running
from windsock.experiments.running.starting import flag_files, planned
from windsock.flagfiles.files import DEFAULT_FOLDER, replace_plain_file
from windsock.plain_files import read_plain


def command(
    name: Name,
    *,
    flags: Flags = DEFAULT_FOLDER,
    data: Data = None,
    environment: Environment = "production",
    at: Now = None,
    snapshot: Annotated[
        Path | None, typer.Option(help="Write the sums behind the decision to this file.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Also store them in the table windsock.analysis_snapshots.")
    ] = False,
    replay: Annotated[
        Path | None, typer.Option(help="Decide again from such a file, without the data.")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Also change the flag files: ship the arm, or stop.")
    ] = False,
) -> None:
    """Say what to do (ship, stop or go on), as a commit message with the evidence.

    Example: windsock experiment decide cheaper_model --record
    """
    result = _replayed(replay) if replay is not None else None
    if result is None:
        declared_or_running(flags, name)  # a wrong name is reported before a database starts
        with place(data) as where:
            result = analyze(name, where, flags=flags, environment=environment, now=moment(at))
            if record:
                keep(result, where)
    refuse_undecidable(result)
    if snapshot is not None:
        replace_plain_file(snapshot, result.snapshot().encode())
    console = console_of(80)
    for line in message(result):
        print_lines(console, line)
    if apply:
        say("")
        _apply(result, flags, environment)


def _apply(result: Result, flags: Path, environment: str) -> None:
    """Show the plan of the decision, and write the flag files."""
    files = flag_files(flags)
    after = concluded(result.analysis.declared.experiment, result.decision, files, flags, environment)
    carry_out(planned(files, after, environment), flags, None, dry_run=False)


def _replayed(path: Path) -> Result:
    try:
        return restore(read_plain(path).decode())
    except OSError as error:
        raise UnreachableError(f"{path}: cannot be read: {error.strerror}") from error
