"""Collects the input of an analysis (its snapshot) with a handful of aggregate queries."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from math import isfinite
from typing import Final

import ibis
import ibis.expr.types as ir

from windsock.errors import ConfigurationError
from windsock.experiments.data import described, lapses, unit_table
from windsock.experiments.data.collected import Collected, Day, Exposed
from windsock.experiments.data.newest import newest, quiet_since
from windsock.experiments.data.segment_sums import MAX_COMBINATIONS, ArmSums, parts, total
from windsock.experiments.data.sources import Scope, rows_of
from windsock.experiments.data.unit_table import Moment
from windsock.experiments.data.unseen import unseen
from windsock.experiments.data.warehouse import Row, Warehouse, utc
from windsock.experiments.documents import Experiment
from windsock.experiments.metrics import Metric, Quantile
from windsock.experiments.reading import DeclaredExperiment
from windsock.experiments.statistics.calendar import COUNTS
from windsock.experiments.statistics.effects import Columns
from windsock.experiments.statistics.moments import ShiftedSums

_SMALLEST: Final = 1e-290
"""A sum of squares below it has lost digits, or is 0: the smallest normal number is 2e-308."""

_FAR: Final = 1e-3
"""A variance below this fraction of the squared mean is recomputed around the mean."""


def collect(
    warehouse: Warehouse, declared: DeclaredExperiment, environment: str, now: datetime | None = None
) -> Collected:
    """Collect what an experiment's analysis needs.

    Args:
        warehouse: Where the tables are.
        declared: The experiment and its metrics.
        environment: The environment to analyse.
        now: The time of the analysis, with a time zone; by default the current time, or that of the newest
            row if the data isn't live. A time that has not come makes it a preview.

    Raises:
        ConfigurationError: A table or column is missing, or a value isn't a number.
        UnreachableError: The connection to the warehouse was lost.
    """
    clock = warehouse.now()
    scope = Scope(declared.experiment, environment, declared.places)
    rows = newest(warehouse, scope, declared.metrics, clock)
    at = now or max(rows.values(), default=clock)
    collected = _Collector(warehouse, declared, scope, at).run()
    missing = unseen(warehouse, scope, declared.metrics, collected.metrics)
    quiet = quiet_since(warehouse, min(at, clock))
    return replace(collected, preview=at > clock, unseen=dict(missing), newest=rows, quiet_since=quiet)


def collect_earlier(
    warehouse: Warehouse, declared: DeclaredExperiment, environment: str, now: datetime
) -> Collected:
    """Collect what the effects at an earlier time need; who was left out isn't asked again."""
    scope = Scope(declared.experiment, environment, declared.places)
    return _Collector(warehouse, declared, scope, now, whole=False).run()


class _Collector:
    def __init__(
        self,
        warehouse: Warehouse,
        declared: DeclaredExperiment,
        scope: Scope,
        now: datetime,
        *,
        whole: bool = True,
    ) -> None:
        self._warehouse = warehouse
        self._declared = declared
        self._scope = scope
        self._now = now
        self._whole = whole
        self._sql: dict[str, str] = {}
        self._caps: dict[str, float] = {}

    def run(self) -> Collected:
        experiment = self._declared.experiment
        chosen = unit_table.exposures(self._warehouse, self._scope, experiment.version)
        unsplit = self._unsplit(chosen)
        units = unit_table.units(chosen, split=bool(experiment.segments) and not unsplit)
        self._sql["the units"] = self._warehouse.sql(units)
        every = self._warehouse.kept(units)
        until = self._until(every, experiment)
        moment = Moment(self._now, until)
        exposed = self._exposed(every, chosen, moment)
        if exposed.total:
            kept = unit_table.analysed(every, moment)
            served = self._as_served(exposed, kept) if self._whole else exposed
            exposed = replace(served, arrived=self._arrived(exposed, kept))
        groups = self._metrics(unit_table.analysed(every, moment)) if exposed.total else {}
        goals = {name: groups[name] for name in experiment.metrics.goal if name in groups}
        return Collected(
            environment=self._scope.environment,
            now=self._now,
            until=until,
            exposed=exposed,
            metrics={name: total(group) for name, group in groups.items()},
            caps=self._caps,
            sql=self._sql,
            segments=() if unsplit or not goals else tuple(parts(goals, experiment.segments)),
            unsplit=unsplit,
            slow_ms=self._slow(unit_table.analysed(every, moment)) if exposed.total and self._whole else {},
        )

    def _unsplit(self, chosen: ir.Table) -> str:
        """Why units can't be split into the declared segments; empty if they can."""
        if not self._declared.experiment.segments:
            return ""
        if "attributes" not in chosen.columns:
            return "the exposures have no column `attributes`"
        texts = chosen.attributes.cast("string")
        found = self._rows("combinations of attributes", chosen.aggregate(combinations=texts.nunique()))
        combinations = _int(found[0]["combinations"])
        if combinations <= MAX_COMBINATIONS:
            return ""
        return f"they have {combinations:,} combinations of values; name attributes with fewer"

    def _rows(self, question: str, expression: ir.Table, where: str = "") -> list[Row]:
        self._sql[question] = query = self._warehouse.sql(expression)
        return self._warehouse.rows(expression, where, query)

    def _until(self, every: ir.Table, experiment: Experiment) -> datetime | None:
        """The first exposure of the last unit within the maximum, if there are more."""
        maximum = experiment.maximum
        kept = unit_table.analysed(every, Moment(self._now))
        if maximum is None:
            return None
        if maximum.units is not None:
            last = kept.order_by("exposed_at").select("exposed_at").limit(1, offset=maximum.units - 1)
            found = self._rows("the last unit within the maximum", last)
            return utc(found[0]["exposed_at"]) if found else None
        assert maximum.duration is not None  # noqa: S101 - the model has one of the two
        found = self._rows("the first exposure", kept.aggregate(first=kept.exposed_at.min()))
        first = found[0]["first"]
        return utc(first) + maximum.duration if first is not None else None

    def _exposed(self, every: ir.Table, chosen: ir.Table, moment: Moment) -> Exposed:
        status = ibis.cases(
            (every.crossed, "crossed"),
            (every.excluded.notnull(), "excluded"),
            (every.exposed_at > ibis.literal(moment.now, type="timestamp('UTC')"), "later"),
            else_="counted",
        )
        if moment.until is not None:
            beyond = every.exposed_at > ibis.literal(moment.until, type="timestamp('UTC')")
            status = ((status == "counted") & beyond).ifelse("beyond", status)
        day = every.exposed_at.date()
        summary = every.mutate(status=status, day=day)
        grouped = summary.group_by("status", "arm", "excluded", "day").aggregate(
            units=summary.unit.count(), first=summary.exposed_at.min()
        )
        rows = self._rows("who was exposed", grouped)
        if not self._whole:
            return _exposed(rows, [], [])
        return _exposed(rows, self._left_out(), self._served(chosen))

    def _as_served(self, exposed: Exposed, kept: ir.Table) -> Exposed:
        """Add the units that were served something other than their arm."""
        experiment = self._declared.experiment
        horizon = max(metric.delay + metric.window for metric in self._declared.metrics.values())
        arms = lapses.profiles(self._warehouse, experiment)
        found = [each for each in lapses.lapses(self._warehouse, experiment, arms) if each.start <= self._now]
        affected: Counter[str] = Counter()
        if found:
            row = self._rows("units whose arm wasn't served", lapses.affected_units(kept, found, horizon))[0]
            for number, each in enumerate(found):
                affected[each.sentence] += _int(row[f"lapse_{number}"])
        served_otherwise = lapses.units_served_otherwise(self._warehouse, self._scope, kept, arms, horizon)
        rows = self._rows("who got another profile", served_otherwise) if served_otherwise is not None else []
        needed = lapses.TABLES if experiment.are_profiles else (lapses.WITHDRAWALS,)
        return replace(
            exposed,
            lapses={what: units for what, units in affected.items() if units},
            moved={str(row["arm"]): _int(row["units"]) for row in rows},
            unchecked=tuple(name for name in needed if self._warehouse.find(name) is None),
        )

    def _arrived(self, exposed: Exposed, kept: ir.Table) -> tuple[int, ...]:
        """How many units arrived in each part of the declared duration so far."""
        maximum = self._declared.experiment.maximum
        if maximum is None or maximum.duration is None or exposed.first is None:
            return ()
        part = maximum.duration.total_seconds() / COUNTS
        since = kept.exposed_at.epoch_seconds() - int(exposed.first.timestamp())
        parts = kept.mutate(part=(since / part).floor())
        rows = self._rows("when they came", parts.group_by("part").aggregate(units=parts.unit.count()))
        found: Counter[int] = Counter()
        for row in rows:
            found[min(max(_int(row["part"]), 0), COUNTS - 1)] += _int(row["units"])
        elapsed = int((self._now - exposed.first).total_seconds() / part)
        return tuple(found[number] for number in range(min(elapsed + 1, COUNTS)))

    def _left_out(self) -> list[Row]:
        """Units of the experiment's other versions and environments."""
        experiment, environment = self._declared.experiment, self._scope.environment
        table = self._warehouse.table("windsock.exposures")
        others = table.filter(
            table.experiment == experiment.name,
            (table.version != experiment.version) | (table.environment != environment),
        )
        grouped = others.group_by("version", "environment").aggregate(units=others.unit.nunique())
        return self._rows("what was left out", grouped)

    def _served(self, chosen: ir.Table) -> list[Row]:
        """Recorded allocations and key fingerprints."""
        grouped = chosen.group_by("arm", key=chosen.key_fingerprint.cast("string")).aggregate(
            low=chosen.allocation.cast("float64").min(), high=chosen.allocation.cast("float64").max()
        )
        return self._rows("which allocation was served", grouped)

    def _metrics(self, kept: ir.Table) -> dict[str, dict[tuple[str, str], ArmSums]]:
        found: dict[str, dict[tuple[str, str], ArmSums]] = {}
        for number, group in enumerate(_alike(self._declared.metrics), 1):
            rows = rows_of(self._warehouse, self._scope, group)
            table = unit_table.outcomes(kept, rows, group, self._now)
            caps = {name: cap for name, metric in group.items() if (cap := self._cap(table, name, metric))}
            self._caps |= caps
            question = f"the sums of {', '.join(group)}" if len(group) < 4 else f"the sums of source {number}"
            found |= self._sums(question, unit_table.capped(table, caps), group)
        return found

    def _slow(self, kept: ir.Table) -> dict[str, float]:
        """The latency that 95 % of each arm's requests stay within."""
        if not described.is_described(self._declared.metrics):
            return {}
        slow = described.slow_requests(self._warehouse, self._scope, kept, self._now)
        rows = self._rows("the latency that 95 % of the requests stay within", slow)
        return {str(row["arm"]): float(str(row["slow"])) for row in rows if row["slow"] is not None}

    def _cap(self, table: ir.Table, name: str, metric: Metric) -> float | None:
        """A declared cap, or the quantile of what units had before their first exposure."""
        if not isinstance(metric.cap, Quantile):
            return metric.cap
        before = table[f"n0_{name}"]
        row = self._rows(
            f"the cap of {name}",
            table.aggregate(cap=before.quantile(metric.cap.quantile)),
            self._scope.where(name),
        )[0]
        cap = row["cap"]
        return float(str(cap)) if cap is not None and float(str(cap)) > 0 else None

    def _sums(
        self, question: str, table: ir.Table, group: Mapping[str, Metric]
    ) -> dict[str, dict[tuple[str, str], ArmSums]]:
        columns = {name: unit_table.columns_of(name, metric) for name, metric in group.items()}
        where = self._scope.where(next(iter(group)))
        rows = self._rows(question, unit_table.sums(table, list(columns.values()), {}), where)
        for name, metric in columns.items():
            _check_finite(rows, metric, self._scope.where(name))
        shifts = _shifts(rows, columns.values())
        if shifts:
            rows = self._rows(question, unit_table.sums(table, list(columns.values()), shifts), where)
        return {
            name: {
                (str(row["arm"]), str(row.get("attributes"))): _arm_sums(row, name, metric, shifts)
                for row in rows
            }
            for name, metric in columns.items()
        }


def _alike(metrics: Mapping[str, Metric]) -> Iterator[dict[str, Metric]]:
    """Group metrics that one query can answer: they share a source and the time units take to mature."""
    groups: defaultdict[object, dict[str, Metric]] = defaultdict(dict)
    for name, metric in metrics.items():
        source = metric.source if isinstance(metric.source, str) else metric.source.model_dump_json()
        groups[source, metric.delay + metric.window][name] = metric
    yield from groups.values()


def _exposed(rows: list[Row], others: list[Row], served: list[Row]) -> Exposed:
    counts: defaultdict[str, int] = defaultdict(int)
    counted: defaultdict[str, int] = defaultdict(int)
    excluded: defaultdict[str, int] = defaultdict(int)
    days: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        units, status = _int(row["units"]), str(row["status"])
        counts[status] += units
        if status == "excluded":
            excluded[str(row["excluded"])] += units
        elif status == "counted":
            counted[str(row["arm"])] += units
            days[str(row["day"])[:10], str(row["arm"])] += units
    versions: defaultdict[int, int] = defaultdict(int)
    environments: defaultdict[str, int] = defaultdict(int)
    for row in others:
        environments[str(row["environment"])] += _int(row["units"])
        versions[_int(row["version"])] += _int(row["units"])
    firsts = [utc(row["first"]) for row in rows if row["status"] == "counted"]
    return Exposed(
        counted=dict(counted),
        crossed=counts["crossed"],
        excluded=dict(excluded),
        later=counts["later"],
        beyond=counts["beyond"],
        days=tuple(Day(day, arm, units) for (day, arm), units in sorted(days.items())),
        other_versions=dict(versions),
        other_environments=dict(environments),
        allocations=_allocations(served),
        keys=tuple(sorted({str(row["key"]) for row in served if row["key"] is not None})),
        first=min(firsts, default=None),
    )


def _allocations(served: list[Row]) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for row in served:
        if row["low"] is None:
            continue
        arm, low, high = str(row["arm"]), float(str(row["low"])), float(str(row["high"]))
        known = found.get(arm, (low, high))
        found[arm] = min(known[0], low), max(known[1], high)
    return found


def _shifts(rows: list[Row], metrics: Iterable[Columns]) -> dict[str, float]:
    """The means of the columns whose spread is small compared with their mean; usually none."""
    shifts = {}
    for metric in metrics:
        for column in metric.names:
            units = sum(_int(row["units"]) for row in rows)
            total = sum(float(str(row[f"s__{column}"])) for row in rows)
            squares = sum(float(str(row[f"p__{column}__{column}"])) for row in rows)
            mean = total / units if units else 0.0
            if isfinite(mean) and mean and abs(squares / units / mean**2 - 1) < _FAR:
                shifts[column] = mean
    return shifts


def _check_finite(rows: list[Row], columns: Columns, where: str) -> None:
    """Refuse values that have no sum, or whose squares have none."""
    names = [f"s__{each}" for each in columns.names]
    names += [f"p__{one}__{other}" for one, other in unit_table.pairs(columns)]
    for row in rows:
        if not all(isfinite(float(str(row[name]))) for name in names):
            raise ConfigurationError(
                f"{where}: arm {row['arm']} has NaN, or values that are infinite or too large to square; "
                "leave them out in the source, or declare a cap"
            )
        for each in columns.names:
            if float(str(row[f"s__{each}"])) and float(str(row[f"p__{each}__{each}"])) < _SMALLEST:
                raise ConfigurationError(
                    f"{where}: arm {row['arm']} has values that are too small to square; give them in a "
                    "smaller unit"
                )


def _arm_sums(row: Row, name: str, columns: Columns, shifts: Mapping[str, float]) -> ArmSums:
    values = {key: float(str(value)) for key, value in row.items() if key.startswith(("s__", "p__"))}
    sums = ShiftedSums(
        units=_int(row["units"]),
        shifts={column: shifts.get(column, 0.0) for column in columns.names},
        sums={column: values[f"s__{column}"] for column in columns.names},
        products={(one, other): values[f"p__{one}__{other}"] for one, other in unit_table.pairs(columns)},
    )
    return ArmSums(sums, _int(row[f"events_{name}"]), _int(row[f"seen_{name}"]))


def _int(value: object) -> int:
    return int(float(str(value))) if value is not None else 0
