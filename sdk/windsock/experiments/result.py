"""The functions of `windsock.experiments`: analyse, decide and report in one call each."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from windsock.errors import ConfigurationError
from windsock.experiments.analysis import Analysis, analyse
from windsock.experiments.data.collecting import collect
from windsock.experiments.data.warehouse import Backend, Warehouse, open_warehouse
from windsock.experiments.decision import Decision, decide
from windsock.experiments.reading import read_declared
from windsock.experiments.reporting.page import page
from windsock.experiments.snapshot import Snapshot, from_json, to_json


@dataclass(frozen=True, slots=True)
class Result:
    """An analysis and what it decides; in a notebook it shows its report.

    Attributes:
        analysis: Every comparison.
        decision: The state and the proposal.
    """

    analysis: Analysis
    decision: Decision

    def report(self) -> str:
        """The report, one HTML file without scripts."""
        return page(self.analysis, self.decision)

    def snapshot(self) -> str:
        """What it was computed from, as JSON; `restore` computes it again."""
        return to_json(Snapshot(self.analysis.declared, self.analysis.collected))

    def _repr_html_(self) -> str:
        """The report in a frame of its own, so that its styles leave the notebook alone."""
        source = self.report().replace("&", "&amp;").replace('"', "&quot;")
        return f'<iframe srcdoc="{source}" sandbox style="width:100%;height:40em;border:0"></iframe>'


def restore(snapshot: str) -> Result:
    """Compute an analysis again from its snapshot, without a database.

    Args:
        snapshot: From `Result.snapshot`.

    Raises:
        ConfigurationError: It is not a snapshot.
    """
    read = from_json(snapshot)
    return _result(analyse(read.declared, read.collected))


def analyze(
    name: str,
    data: str | Path | Backend | Warehouse,
    *,
    flags: str | Path = "flagd",
    environment: str = "production",
    now: datetime | None = None,
) -> Result:
    """Analyse a declared experiment.

    Args:
        name: The experiment, declared in `<flags>/experiments/<name>.yaml`.
        data: A PostgreSQL URL, a folder of Parquet and CSV files, an Ibis connection or its URL.
        flags: The folder of the flags.
        environment: Whose exposures and outcomes count.
        now: The time of the analysis, with a zone; the current time without it.

    Raises:
        ConfigurationError: A document is wrong, a table or column is missing, or a value cannot be summed.
        UnreachableError: The document is not there, or the data cannot be reached.
    """
    if now is not None and now.tzinfo is None:
        raise ConfigurationError("now: the time of an analysis needs its zone")
    declared = read_declared(Path(flags), name)
    if isinstance(data, Warehouse):
        return _result(analyse(declared, collect(data, declared, environment, now)))
    with open_warehouse(data) as warehouse:
        return _result(analyse(declared, collect(warehouse, declared, environment, now)))


def report(result: Result, path: str | Path) -> None:
    """Write the report of an analysis: one HTML file that needs nothing else."""
    Path(path).write_text(result.report(), encoding="utf-8")


def _result(analysis: Analysis) -> Result:
    return Result(analysis, decide(analysis))
