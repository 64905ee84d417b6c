"""`windsock experiment report`: the report as a file."""

from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._experiment_arguments import Flags, Name
from windsock.cli._experiment_options import Data, Environment, Now, moment, place
from windsock.cli._say import say
from windsock.errors import UnreachableError
from windsock.experiments.result import analyze
from windsock.experiments.running.hand_written import declared_or_running
from windsock.flagfiles.files import DEFAULT_FOLDER, replace_plain_file


def command(
    name: Name,
    *,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("report.html"),
    flags: Flags = DEFAULT_FOLDER,
    data: Data = None,
    environment: Environment = "production",
    at: Now = None,
    looks: Annotated[
        int, typer.Option(min=0, max=60, help="Points in the chart of the effect over time.")
    ] = 12,
) -> None:
    """Write the report: one HTML file without scripts, to read, print and send.

    Example: windsock experiment report cheaper_model --out report.html
    """
    declared_or_running(flags, name)  # a wrong name is reported before a database starts
    if not out.absolute().parent.is_dir():
        raise UnreachableError(f"{out}: cannot be written: there is no folder {out.parent}")
    with place(data) as where:
        result = analyze(name, where, flags=flags, environment=environment, now=moment(at), looks=looks)
    replace_plain_file(out, result.report().encode())
    say(result.decision.sentence)
    say(f"wrote {out}")
