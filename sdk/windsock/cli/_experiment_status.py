"""`windsock experiment status`: the table at the terminal."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._experiment_arguments import Flags, Name
from windsock.cli._experiment_options import Data, Environment, Now, moment, place
from windsock.cli._lines import Grid, console_of, print_grid, print_lines
from windsock.cli._say import print_json
from windsock.errors import WindsockError
from windsock.experiments.comparison import Comparison, ComparisonOutcome, MetricRole
from windsock.experiments.decision import trusted
from windsock.experiments.documents import HandWritten
from windsock.experiments.reporting.left_out import left_out
from windsock.experiments.reporting.summary import as_data
from windsock.experiments.result import Result, analyze
from windsock.experiments.running.hand_written import declared_or_running
from windsock.experiments.running.starting import flag_files, has_ended, running
from windsock.experiments.segments import Segment, segments
from windsock.experiments.wording import (
    SEGMENTS_NOTE,
    interval_text,
    metric_title,
    number,
    percent,
    sentence,
    signed,
    slow_requests,
)
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.flagfiles.sets import flag_set

_STYLES = {ComparisonOutcome.BETTER: "green", ComparisonOutcome.WORSE: "red"}


def command(
    name: Name,
    *,
    flags: Flags = DEFAULT_FOLDER,
    data: Data = None,
    environment: Environment = "production",
    at: Now = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: decision, metrics and snapshot.")
    ] = False,
) -> None:
    """Show where an experiment is: effects, guardrails, and what is left out.

    Example: windsock experiment status cheaper_model
    """
    declared_or_running(flags, name)  # a wrong name is reported before a database starts
    with place(data) as where:
        result = analyze(name, where, flags=flags, environment=environment, now=moment(at))
    if as_json:
        print_json(as_data(result))
        return
    console = console_of(80)
    for line in (*lines(result), *not_running(result, flags)):
        print_lines(console, line)
    analysis = trusted(result.analysis, result.decision)
    metrics = [(metric_title(each.metric), each) for each in analysis.comparisons]
    print_grid(console, grid("metric", metrics))
    for line in (*without_number(analysis.comparisons), *without_verdict(analysis.comparisons)):
        print_lines(console, line)
    if slow := slow_requests(analysis):
        print_lines(console, slow)
    if found := segments(analysis):
        print_lines(console, SEGMENTS_NOTE)
        print_grid(console, grid("segment", [(_title(each), each.comparison) for each in found]))
    for line in left_out(result.analysis):
        print_lines(console, line)


def lines(result: Result) -> Iterator[str]:
    """The sentences above the table."""
    analysis, decision = result.analysis, result.decision
    yield f"{decision.state.value.upper()}: {decision.sentence}"
    counts = ", ".join(f"{count:,} {arm}" for arm, count in analysis.ratio.counts.items())
    progress = "" if analysis.fraction is None else f", {percent(analysis.fraction)} of the maximum"
    ratio = f" Sample ratio: p = {analysis.ratio.p_value:.2g} at every look."
    yield f"Units: {counts}{progress}.{ratio if any(analysis.ratio.counts.values()) else ''}"


def not_running(result: Result, flags: Path) -> Iterator[str]:
    """Say that no flag runs it (yet), unless its arms are profiles or a flag file can't be read."""
    experiment = result.analysis.declared.experiment
    if experiment.are_profiles or isinstance(experiment, HandWritten):
        return
    try:
        served = flag_set(flag_files(flags)).flags
    except WindsockError:  # `windsock lint` says what is wrong with a flag file
        return
    if running(experiment, served) is None:
        if has_ended(experiment, served) or any(result.analysis.ratio.counts.values()):
            yield f"{experiment.name} doesn't run now. To run it again, give its document a new version."
        else:
            yield f"{experiment.name} doesn't run yet: `windsock experiment start {experiment.name}`."


def without_number(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Why comparisons have no number, a sentence for each reason."""
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for each in comparisons:
        if not each.is_told and each.note:
            reasons[each.note].append(metric_title(each.metric))
    for reason, titles in reasons.items():
        yield sentence(f"{', '.join(dict.fromkeys(titles)).capitalize()}: {reason}")


def without_verdict(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Why a secondary metric is open although its interval leaves out zero, or a goal is decided."""
    for each in comparisons:
        held = each.role is MetricRole.SECONDARY and each.outcome is ComparisonOutcome.OPEN and each.note
        if held or each.is_decided_beside_its_interval:
            yield sentence(f"{metric_title(each.metric).capitalize()} in {each.arm}: {each.note}")


def _title(each: Segment) -> str:
    return f"{each.attribute}: {each.value}, {metric_title(each.comparison.metric)}"


def grid(what: str, rows: Sequence[tuple[str, Comparison]]) -> Grid:
    """Comparisons with a title each, for 80 columns."""
    table = Grid()
    for heading in (what, "arm"):
        table.add_column(heading, overflow="fold")
    for heading in ("control", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("interval", no_wrap=True)
    table.add_column("says", overflow="fold", ratio=1)
    for title, each in rows:
        change = interval = "–"
        if each.effect is not None and each.relative is not None:
            change, interval = signed(each.effect.relative), interval_text(*each.relative)
        elif each.effect is not None and each.interval is not None:
            change = number(each.effect.absolute)
            interval = f"{number(each.interval[0])} to {number(each.interval[1])}"
        says = (each.outcome.value, _STYLES.get(each.outcome, ""))
        control = number(each.effect.control) if each.effect else "–"
        table.row(title, each.arm, control, change, interval, says)
    return table
