"""Turn rows of the usage log into plots over time and tables of totals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from markupsafe import Markup

from windsock.console import drawing


@dataclass(frozen=True, slots=True)
class Grouping:
    """A grouping: a column of the log, and the label for its nulls."""

    column: str
    none: str


BY: Final[Mapping[str, Grouping]] = {
    "profile": Grouping("u.config_id", "no profile"),
    "model": Grouping("u.answered_model", "not said"),
    "variant": Grouping("u.variant", "code default"),
}
SPANS: Final[Mapping[str, tuple[timedelta, timedelta]]] = {
    "day": (timedelta(days=1), timedelta(minutes=30)),
    "week": (timedelta(days=7), timedelta(hours=4)),
    "month": (timedelta(days=30), timedelta(days=1)),
}
"""How far back to look, and the width of one point."""


@dataclass(frozen=True, slots=True)
class GroupUsage:
    """The usage of one profile, model or variant; `p50` and `p95` are in milliseconds."""

    name: str
    requests: int
    errors: int
    healed: int
    p50: float | None
    p95: float | None
    tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot and its description."""

    title: str
    svg: Markup


def part_of(row: Sequence[Any]) -> GroupUsage:
    """One row of the totals; `percentile_cont` returns null if nothing was measured."""
    name, requests, errors, healed, latency, tokens, cost = row
    p50, p95 = latency or (None, None)
    return GroupUsage(name, requests, errors, healed, p50, p95, int(tokens), cost)


def plots(
    rows: Sequence[Sequence[Any]], names: Sequence[str], since: datetime, now: datetime, step: timedelta
) -> list[Plot]:
    """Plots of requests, latency, cost, tokens, errors and heals for each group.

    Args:
        rows: A point in time, then what `part_of` reads.
        names: The groups to draw.
        since: Start of the plots.
        now: End of the plots.
        step: The width of one point.
    """
    width = step.total_seconds()

    def point(moment: datetime) -> int:
        return int(moment.timestamp() // width)

    times = [datetime.fromtimestamp(each * width, UTC) for each in range(point(since), point(now) + 1)]
    at = {}
    for moment, *rest in rows:
        at[point(moment), str(rest[0])] = part_of(rest)

    def drawn(title: str, of: Callable[[GroupUsage], float | None], empty: float | None) -> Plot:
        series = {
            name: [
                of(found)
                if (found := at.get((int(time.timestamp() // step.total_seconds()), name)))
                else empty
                for time in times
            ]
            for name in names
        }
        return Plot(title, drawing.lines(title, times, series))

    return [
        drawn("Requests", lambda part: part.requests, 0.0),
        drawn("Latency p50, ms", lambda part: part.p50, None),
        drawn("Latency p95, ms", lambda part: part.p95, None),
        drawn("Cost", lambda part: part.cost, 0.0),
        drawn("Tokens", lambda part: part.tokens, 0.0),
        drawn("Errors and heals", lambda part: part.errors + part.healed, 0.0),
    ]
