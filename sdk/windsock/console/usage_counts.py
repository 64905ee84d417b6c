"""What the usage log adds up to, in total and over time, for one grouping, span and settings class."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from windsock.console.drawing import MOST
from windsock.console.reading import QUERIES
from windsock.console.views.usage import BY, SPANS

if TYPE_CHECKING:
    import psycopg

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """What to count.

    Attributes:
        by: A grouping, one of `BY`.
        span: How far back, one of `SPANS`.
        flag: Only the requests of this settings class; None for all.
    """

    by: str
    span: str
    flag: str | None


@dataclass(frozen=True, slots=True)
class UsageCounts:
    """The answer.

    Attributes:
        since: The beginning of the span.
        until: When it was counted.
        totals: A row per group, those with most requests first.
        over_time: Rows of the groups that are drawn, by point in time.
    """

    since: datetime
    until: datetime
    totals: Sequence[Row]
    over_time: Sequence[Row]


NOTHING_YET: Final = UsageCounts(datetime.min.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC), (), ())
"""What a page shows while a question is counted for the first time."""


def counted(connection: "psycopg.Connection[Row]", question: UsageQuestion) -> UsageCounts:
    """Count a span that ends now."""
    back, step = SPANS[question.span]
    until = datetime.now(UTC)
    parameters = {"since": until - back, "flag": question.flag, "step": step.total_seconds()}
    totals = connection.execute(_of(question.by, "totals"), parameters).fetchall()
    drawn = [row[0] for row in totals[:MOST]]
    parts = {"parts": [part for part in drawn if part is not None], "none": None in drawn}
    over_time = (
        connection.execute(_of(question.by, "over_time"), parameters | parts).fetchall() if totals else []
    )
    return UsageCounts(until - back, until, totals, over_time)


def _of(by: str, query: str) -> bytes:
    """A query with the requested grouping; the column comes from our table, never from the URL."""
    return QUERIES[query].replace(b"{part}", BY[by].column.encode())
