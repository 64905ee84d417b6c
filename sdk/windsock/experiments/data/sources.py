"""The rows behind metrics, as one table with a unit, a time, and each metric's columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from windsock.errors import ConfigurationError
from windsock.experiments.data.checked_select import check_table
from windsock.experiments.data.warehouse import Warehouse
from windsock.experiments.documents import Experiment
from windsock.experiments.metrics import EventSource, Kind, Metric, SqlSource, TableSource
from windsock.flag_names import OVERRIDE
from windsock.text import did_you_mean
from windsock.usage.data import OVERRIDDEN

_REQUEST_COLUMNS: Final = (
    "latency_ms", "environment", "flag", "healed", "input_tokens", "output_tokens", "values",
)  # fmt: skip
"""What every metric of requests reads of usage_logs."""

_UNIT_COLUMNS: Final = {"user": "user_id", "request": "request_id"}


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows of windsock's own tables belong to the experiment.

    Attributes:
        experiment: The experiment.
        environment: The environment to analyse.
        places: File and line of each metric, for error messages; may be empty.
    """

    experiment: Experiment
    environment: str
    places: Mapping[str, str] = field(default_factory=dict)

    def where(self, metric: str) -> str:
        """How an error message begins that is about a metric."""
        place = self.places.get(metric)
        return f"{place}: metric {metric}" if place else f"metric {metric}"


def rows_of(warehouse: Warehouse, scope: Scope, metrics: Mapping[str, Metric]) -> ir.Table:
    """Return the rows of one source, with `value_<metric>` and `per_<metric>` for each metric.

    Args:
        warehouse: Where the tables are.
        scope: The experiment and the environment.
        metrics: Metrics that share one source.

    Raises:
        ConfigurationError: A column is missing, or its type can't be summed.
    """
    name, first = next(iter(metrics.items()))
    table, unit, at = _table(warehouse, scope, name, first)
    where = scope.where(name)
    columns = {"unit": _unit(table, unit, where), "at": in_utc(table, at, where)}
    for metric_name, metric in metrics.items():
        columns[f"value_{metric_name}"] = _value(table, metric, scope.where(metric_name))
        columns[f"per_{metric_name}"] = _per(table, metric, scope.where(metric_name))
    return table.select(**columns)


def requested_units(warehouse: Warehouse, scope: Scope) -> ir.Table | None:
    """Who used the experiment's flag, and when: `unit` and `at` of each request; None if unknown."""
    unit, logs = _UNIT_COLUMNS.get(scope.experiment.unit), warehouse.find("public.usage_logs")
    if unit is None or logs is None or not {unit, "requested_at", "environment", "flag"} <= set(logs.columns):
        return None
    requests = logs.filter(logs.environment == scope.environment, logs.flag == scope.experiment.flag)
    return requests.select(
        unit=requests[unit].cast("string"), at=in_utc(requests, "requested_at", "usage_logs")
    )


def time_without_zone(warehouse: Warehouse, scope: Scope, name: str, metric: Metric) -> str:
    """The column of a team's own source whose time has no zone; empty if it has one, or is a file's."""
    if warehouse.connection is None or not isinstance(metric.source, TableSource | SqlSource):
        return ""
    table, _, at = _table(warehouse, scope, name, metric)
    kind = table[at].type()
    return at if isinstance(kind, dt.Timestamp) and kind.timezone is None else ""


def _table(warehouse: Warehouse, scope: Scope, name: str, metric: Metric) -> tuple[ir.Table, str, str]:
    """The source's table, its column of units, and its column of times."""
    source, unit = metric.source, scope.experiment.unit
    where = scope.where(name)
    if isinstance(source, TableSource):
        check_table(source.table, where)
        return warehouse.table(source.table, where), source.unit, source.at
    if isinstance(source, SqlSource):
        return warehouse.select(source.sql, where), "unit", "at"
    if isinstance(source, EventSource):
        events = with_columns(warehouse.table("windsock.metric_events", where), where, "name", "environment")
        chosen = events.filter(events.name == source.event, events.environment == scope.environment)
        if "attributes" in chosen.columns:
            marked = _compact(chosen.attributes).contains(f'"{OVERRIDDEN}":true')
            chosen = chosen.filter(marked.isnull() | ~marked)
        return chosen, _UNIT_COLUMNS.get(unit, "unit"), "occurred_at"
    if unit not in _UNIT_COLUMNS:
        raise ConfigurationError(
            f"{where}: requests know their user and request, not {unit!r}; "
            f"use an event, or a table of your own with a column for {unit!r}"
        )
    return _requests(warehouse, scope, where), _UNIT_COLUMNS[unit], "requested_at"


def _requests(warehouse: Warehouse, scope: Scope, where: str) -> ir.Table:
    """usage_logs, one row per request that used the flag, with the columns the built-in metrics need."""
    logs = with_columns(warehouse.table("public.usage_logs", where), where, *_REQUEST_COLUMNS)
    if "variant" in logs.columns:
        logs = logs.filter(logs.variant.isnull() | (_text(logs.variant) != OVERRIDE))
    ended = logs.latency_ms.notnull()
    if "status" in logs.columns:  # added later; a row without either doesn't belong to a request
        ended |= logs.status.notnull()
    chosen = logs.filter(logs.environment == scope.environment, logs.flag == scope.experiment.flag, ended)
    added = {
        "was_healed": _one(chosen.healed.cast("string") != "[]"),
        "tokens": chosen.input_tokens.fill_null(0) + chosen.output_tokens.fill_null(0),
    }
    if "status" in chosen.columns:
        added["failed"] = _one(_text(chosen.status) == "error")
    model = next((field for field in _fields(scope.experiment) if "model" in field), None)
    if "answered_model" in chosen.columns and model is not None:
        key = ibis.literal(f'"{model}":')
        served = _compact(chosen["values"]).contains(key.concat('"', _text(chosen.answered_model), '"'))
        fell = _compact(chosen.healed).contains(f'"field":"{model}"')  # `values` then has what it fell to
        added["answered_by_assigned"] = _one(served & ~fell)
    return chosen.mutate(**added)


def _text(column: ir.Value) -> ir.StringValue:
    """A column as text; DuckDB reads an empty one of a file as integers."""
    return column.cast("string")


def _compact(document: ir.Value) -> ir.StringValue:
    """A JSON document as text, because the warehouses share no JSON operator.

    The space after keys is removed, because some warehouses write it and some don't.
    """
    return document.cast("string").replace('": ', '":')


def _fields(experiment: Experiment) -> list[str]:
    return sorted({field for arm in experiment.arms.values() if isinstance(arm, dict) for field in arm})


def _one(condition: ir.Value) -> ir.Value:
    """1 if it holds, 0 if not, and NULL if that is unknown."""
    return ibis.cases((condition, 1.0), (~condition, 0.0))


def with_columns(table: ir.Table, where: str, *columns: str) -> ir.Table:
    """A table that has these columns.

    Args:
        table: The table.
        where: The metric or the table, for error messages.
        columns: The names.

    Raises:
        ConfigurationError: One is missing.
    """
    for column in columns:
        _column(table, column, where)
    return table


def _column(table: ir.Table, column: str, where: str) -> ir.Value:
    if column not in table.columns:
        raise ConfigurationError(
            f"{where}: there is no column {column!r}{did_you_mean(column, table.columns)}"
        )
    return table[column]


def _unit(table: ir.Table, column: str, where: str) -> ir.Value:
    """The unit as text, whatever its type: a uuid and its text are the same unit."""
    return _column(table, column, where).cast("string")


def in_utc(table: ir.Table, column: str, where: str) -> ir.Value:
    """The time in UTC; a timestamp without a time zone counts as UTC.

    Args:
        table: Where the column is.
        column: Its name.
        where: The metric or the table, for error messages.

    Raises:
        ConfigurationError: It is missing, or not a time.
    """
    value = _column(table, column, where)
    kind = value.type()
    if kind.is_timestamp() or kind.is_date():
        return value.cast("timestamp('UTC')")
    raise ConfigurationError(
        f"{where}: the column {column!r} is {_kind(kind)}, not a timestamp; cast it in a SELECT"
    )


def number(table: ir.Table, column: str, where: str) -> ir.Value:
    """A column as a float.

    Args:
        table: Where the column is.
        column: Its name.
        where: The metric, for error messages.

    Raises:
        ConfigurationError: It is missing, or not a number.
    """
    value = _column(table, column, where)
    kind = value.type()
    if kind.is_boolean():
        return _one(value)
    if not kind.is_numeric():
        raise ConfigurationError(
            f"{where}: the column {column!r} is {_kind(kind)}, not a number; cast it in a SELECT"
        )
    return value.cast("float64")


def _value(table: ir.Table, metric: Metric, where: str) -> ir.Value:
    if metric.value is None:
        return ibis.literal(1.0)
    value = number(table, metric.value, where)
    if metric.kind is Kind.SHARE:
        return _one(value > metric.threshold)
    return value


def _per(table: ir.Table, metric: Metric, where: str) -> ir.Value:
    if metric.per is not None:
        return number(table, metric.per, where)
    if metric.value is None:
        return ibis.literal(1.0)
    return table[metric.value].notnull().ifelse(1.0, 0.0)


def _kind(kind: dt.DataType) -> str:
    """A type as people call it."""
    return "text" if kind.is_string() else "of another type" if kind.is_unknown() else str(kind)
