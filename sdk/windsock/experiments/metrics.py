"""Metrics: those of `flagd/metrics.yaml`, and the built-in ones."""

from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from windsock.experiments.quantities import Duration, Share

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""Letters, digits and underscores, as in SQL."""

Column = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
Table = Annotated[str, Field(pattern=r"^[A-Za-z_]\w{0,62}(\.[A-Za-z_]\w{0,62}){0,2}$")]


_LARGEST: Final = 1e15
"""The largest value that a document may name: the squares of more would lose their digits in sums."""


class Kind(StrEnum):
    """How events become one number for each unit.

    Attributes:
        MEAN: Sum of the values of a unit.
        PROPORTION: Whether a unit has an event (with a value other than zero, if events have values).
        COUNT: How many events a unit has.
        RATIO: Sum of the values over the sum of another column, or over the events: a value per event.
        SHARE: Share of the events whose value lies above a threshold.
    """

    MEAN = "mean"
    PROPORTION = "proportion"
    COUNT = "count"
    RATIO = "ratio"
    SHARE = "share"

    @property
    def is_ratio(self) -> bool:
        """Whether the metric has a denominator, so that the delta method is used."""
        return self in (Kind.RATIO, Kind.SHARE)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EventSource(_Model):
    """Rows of `windsock.metric_events` with one name."""

    event: Annotated[str, Field(min_length=1, max_length=200)]


class TableSource(_Model):
    """A table or view of the team's own.

    Attributes:
        table: Its name, with its schema.
        unit: The column with the unit's id.
        at: The column with the time.
    """

    table: Table
    unit: Column = "unit"
    at: Column = "at"


class SqlSource(_Model):
    """One SELECT that gives `unit`, `at`, and what `value` and `per` name. It runs as `windsock_analyst`."""

    sql: Annotated[str, Field(min_length=1, max_length=20_000)]


class Quantile(_Model):
    """The cap is a quantile of the units' values before their first exposure, the same for every arm."""

    quantile: Annotated[float, Field(ge=0.5, le=0.9999)]


def _source_kind(value: object) -> str | None:
    """Which of the sources a document means, so that a mistake in it is one message."""
    if isinstance(value, str):
        return "requests"
    has = value.__contains__ if isinstance(value, dict) else partial(hasattr, value)
    tags = {"event": "an event", "table": "a table", "sql": "a SELECT"}
    return next((tag for name, tag in tags.items() if has(name)), None)


Source = Annotated[
    Annotated[Literal["requests"], Tag("requests")]
    | Annotated[EventSource, Tag("an event")]
    | Annotated[TableSource, Tag("a table")]
    | Annotated[SqlSource, Tag("a SELECT")],
    Discriminator(
        _source_kind,
        custom_error_type="source",
        custom_error_message="a source is `requests`, {event: NAME}, {table: NAME} or {sql: SELECT}",
    ),
]

Cap = Annotated[
    Annotated[float, Field(ge=1e-12, le=_LARGEST), Tag("number")] | Annotated[Quantile, Tag("quantile")],
    Discriminator(lambda value: "quantile" if isinstance(value, dict | Quantile) else "number"),
]


class Metric(_Model):
    """A metric: rows of a source, turned into one number per unit.

    Attributes:
        source: `requests` for usage_logs, an event, a table, or a SELECT.
        kind: How events become one number for each unit.
        value: The column that is summed, or compared with the threshold.
        per: A ratio's denominator; events are counted without it.
        threshold: What a share's events are above.
        better: Whether more or less of it is wanted.
        window: How long after its first exposure a unit counts; a unit younger than that waits.
        delay: How long after its first exposure a unit begins to count.
        cap: The most that one unit may contribute.
        covariate: How far back before the first exposure CUPED looks; `0d` turns it off.
    """

    description: str = ""
    source: Source
    kind: Kind
    value: Column | None = None
    per: Column | None = None
    threshold: Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)] | None = None
    better: Literal["higher", "lower"]
    window: Duration = timedelta(days=7)
    delay: Duration = timedelta(0)
    cap: Cap | None = None
    covariate: Duration = timedelta(days=14)

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        needs_value = self.kind in (Kind.MEAN, Kind.RATIO, Kind.SHARE)
        if needs_value and self.value is None:
            raise ValueError(f"a {self.kind} needs `value`, the column that it is made of")
        if (self.threshold is not None) != (self.kind is Kind.SHARE):
            raise ValueError("`threshold` goes with kind: share, and a share needs one")
        if self.per is not None and self.kind is not Kind.RATIO:
            raise ValueError("`per` goes with kind: ratio")
        if self.window <= timedelta(0):
            raise ValueError("`window` must be longer than zero")
        if isinstance(self.cap, Quantile) and self.covariate <= timedelta(0):
            raise ValueError("a cap by quantile needs `covariate`: it is taken from before the exposure")
        return self


class Metrics(_Model):
    """The document `flagd/metrics.yaml`."""

    metrics: dict[Name, Metric] = Field(default_factory=dict)


def _request_metric(description: str, kind: Kind, value: str, better: Literal["higher", "lower"]) -> Metric:
    return Metric(description=description, source="requests", kind=kind, value=value, better=better)


BUILT_IN: Final[dict[str, Metric]] = {
    "cost_per_request": _request_metric("What one request costs", Kind.RATIO, "cost", "lower"),
    "tokens_per_request": _request_metric("Tokens in and out of one request", Kind.RATIO, "tokens", "lower"),
    "latency_ms": _request_metric("Mean time of one request", Kind.RATIO, "latency_ms", "lower"),
    "slow_share": Metric(
        description="Share of the requests that take longer than 3 seconds",
        source="requests",
        kind=Kind.SHARE,
        value="latency_ms",
        threshold=3000,
        better="lower",
    ),
    "error_rate": _request_metric(
        "Share of the requests that end in an error", Kind.RATIO, "failed", "lower"
    ),
    "heal_rate": _request_metric("Share of the requests that were healed", Kind.RATIO, "was_healed", "lower"),
    "assigned_model_share": _request_metric(
        "Share of the requests that the assigned model answered", Kind.RATIO, "answered_by_assigned", "higher"
    ),
    "failing_units": _request_metric(
        "Share of the units with a failed request", Kind.PROPORTION, "failed", "lower"
    ),
    "thumbs": Metric(
        description="Mean rating by users",
        source=EventSource(event="thumbs"),
        kind=Kind.RATIO,
        value="value",
        better="higher",
    ),
    "judge_pass": Metric(
        description="Share of the judged answers that pass",
        source=EventSource(event="judge"),
        kind=Kind.SHARE,
        value="value",
        threshold=0.5,
        better="higher",
    ),
}
"""Built-in metrics of usage_logs and metric_events; a declared metric of the same name wins."""


class Guardrail(_Model):
    """A metric that must not get worse by more than a margin.

    Attributes:
        metric: Its name.
        margin: The relative worsening that is accepted, at most 99 %; nothing loses more than all of it.
    """

    metric: Name
    margin: Annotated[Share, Field(le=0.99)] = 0.0
