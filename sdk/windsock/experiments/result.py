"""The functions of `windsock.experiments`: analyse, decide and report in one call each."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from windsock.errors import ConfigurationError
from windsock.experiments.analysis import Analysis, analyse, analyse_goals
from windsock.experiments.data.collected import Collected
from windsock.experiments.data.collecting import collect, collect_earlier
from windsock.experiments.data.recorded_looks import since_first_look
from windsock.experiments.data.warehouse import Backend, Warehouse, open_warehouse
from windsock.experiments.decision import Decision, decide
from windsock.experiments.documents import PlannedLooks
from windsock.experiments.reading import DeclaredExperiment
from windsock.experiments.reporting.page import page, sections
from windsock.experiments.running.hand_written import declared_or_running, readable
from windsock.experiments.snapshot import Snapshot, from_json, to_json


@dataclass(frozen=True, slots=True)
class Result:
    """An analysis and its decision; in a notebook it shows its report.

    Attributes:
        analysis: Every comparison.
        decision: The state and the proposal.
        history: Analyses of the experiment at earlier looks, oldest first.
    """

    analysis: Analysis
    decision: Decision
    history: tuple[Analysis, ...] = ()

    def report(self) -> str:
        """The report, one HTML file without scripts."""
        return page(self.analysis, self.decision, self.history)

    def sections(self) -> str:
        """The body of the report, to embed in another page."""
        return sections(self.analysis, self.decision, self.history)

    def snapshot(self) -> str:
        """The data it was computed from, as JSON; `restore` computes it again."""
        return to_json(Snapshot(self.analysis.declared, self.analysis.collected))

    def _repr_html_(self) -> str:
        """The report in an iframe, so that its styles don't affect the notebook."""
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
    analysis = analyse(read.declared, read.collected)
    return Result(analysis, decide(analysis))


def analyze(
    name: str,
    data: str | Path | Backend | Warehouse,
    *,
    flags: str | Path = "flagd",
    environment: str = "production",
    now: datetime | None = None,
    looks: int = 0,
) -> Result:
    """Analyse an experiment.

    Args:
        name: The experiment, declared in `<flags>/experiments/<name>.yaml`; without a document, a flag's
            experiment, whose figures are exploratory.
        data: A PostgreSQL URL, a folder of Parquet and CSV files, an Ibis connection or its URL.
        flags: The folder of the flags.
        environment: The environment whose exposures and outcomes count.
        now: The time of the analysis, with a time zone; by default the current time, or that of the newest
            row if `data` is files.
        looks: How many earlier looks to compute as well, for the report's effect over time.

    Raises:
        ConfigurationError: A document is wrong, a table or column is missing, or a value cannot be summed.
        UnreachableError: There is no such experiment, or the data can't be reached.
    """
    if now is not None and now.tzinfo is None:
        raise ConfigurationError("now: the time of an analysis needs a time zone")
    declared = declared_or_running(Path(flags), name)
    warehouse = data if isinstance(data, Warehouse) else open_warehouse(data)
    with contextlib.nullcontext() if isinstance(data, Warehouse) else warehouse:
        declared = readable(declared, warehouse)
        collected = collect(warehouse, declared, environment, now)
        since = since_first_look(warehouse, declared, environment, collected.now)
        collected = replace(collected, since=since)
        history = tuple(_earlier(warehouse, declared, collected, looks))
    analysis = analyse(declared, collected)
    return Result(analysis, decide(analysis), history)


def _earlier(
    warehouse: Warehouse, declared: DeclaredExperiment, last: Collected, looks: int
) -> Iterator[Analysis]:
    """The goals at earlier looks, evenly spaced since the first unit matured."""
    names = declared.experiment.metrics.goal
    if isinstance(declared.experiment.design, PlannedLooks):  # by the clock of the slowest metric
        names = list(declared.metrics)
    goals = DeclaredExperiment(
        declared.experiment.model_copy(update={"segments": []}),
        {name: declared.metrics[name] for name in names},
        declared.places,
    )
    if last.exposed.first is None or looks < 1 or not names:
        return
    horizon = max(metric.delay + metric.window for metric in goals.metrics.values())
    start = last.exposed.first + horizon
    newest = datetime.fromisoformat(last.exposed.days[-1].date).replace(tzinfo=UTC) + timedelta(days=1)
    end = min(last.now, newest + horizon)
    for look in range(1, looks + 1):
        at = start + (end - start) * look / (looks + 1)
        if start < at < last.now:
            yield analyse_goals(goals, collect_earlier(warehouse, goals, last.environment, at))


def report(result: Result, path: str | Path) -> None:
    """Write the report of an analysis: one self-contained HTML file.

    Args:
        result: From `analyze` or `restore`.
        path: The file; one that exists is overwritten.

    Raises:
        OSError: It can't be written.
    """
    Path(path).write_text(result.report(), encoding="utf-8")
