"""Ten million exposures joined to ten million events, three metrics with CUPED, on DuckDB over Parquet.

`python bench/experiments_duckdb.py [MILLIONS]`. The package's collection against the same sums written by
hand, least of two interleaved rounds, at a memory limit of 4 GB and two threads.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from windsock.experiments.data.collecting import collect
from windsock.experiments.data.warehouse import open_folder
from windsock.experiments.documents import Experiment
from windsock.experiments.metrics import Metric
from windsock.experiments.reading import DeclaredExperiment

RESULTS = Path(__file__).parent / "results" / "experiments_duckdb.json"
NOW = datetime(2026, 4, 15, tzinfo=UTC)
ROUNDS, MEMORY = 2, "4GB"

MAKE = """
copy (select 'big' as experiment, 1 as version, 'production' as environment, 'user-' || i as unit,
    case when hash(i) % 2 = 0 then 'control' else 'treatment' end as arm,
    timestamptz '2026-03-01 00:00:00+00' + to_seconds(hash(i + 7) % 1209600) as first_exposed_at,
    0.5::real as allocation, null::text as key_fingerprint, null::text as excluded
  from range({rows}) t(i)) to '{folder}/exposures.parquet';
copy (select 'user-' || (hash(i) % {rows}) as unit,
    timestamptz '2026-02-15 00:00:00+00' + to_seconds(hash(i + 3) % 3456000) as moment,
    (hash(i + 11) % 10000) / 100.0::double as a, (hash(i + 13) % 1000) / 7.0::double as b,
    (hash(i + 17) % 2)::double as c
  from range({rows}) t(i)) to '{folder}/events.parquet';
"""

BY_HAND = """
with units as (
    select unit, min(arm) as arm, min(first_exposed_at) as t from exposures
    where experiment = 'big' and version = 1 and environment = 'production'
    group by unit having min(arm) = max(arm) and max(excluded) is null
        and min(first_exposed_at) <= timestamptz '2026-04-08 00:00:00+00'
), near as (
    select unit, {sums} from units join events using (unit)
    where moment >= t - interval 14 day and moment < t + interval 7 day group by unit
)
select arm, count(*), {moments} from units left join near using (unit) group by arm
"""


def by_hand() -> str:
    """The same sums, as somebody would write them once."""
    sums = ", ".join(
        f"sum({x}) filter (moment >= t) as {x}1, sum({x}) filter (moment < t) as {x}0" for x in "abc"
    )
    moments = ", ".join(
        f"sum(coalesce({x}1, 0)), sum(coalesce({x}0, 0)), sum(coalesce({x}1, 0) ^ 2), "
        f"sum(coalesce({x}0, 0) ^ 2), sum(coalesce({x}1, 0) * coalesce({x}0, 0))"
        for x in "abc"
    )
    return BY_HAND.format(sums=sums, moments=moments)


def declared() -> DeclaredExperiment:
    """Three metrics of one table."""
    metrics = {
        f"metric_{x}": Metric.model_validate(
            {"source": {"table": "events", "at": "moment"}, "kind": "mean", "value": x, "better": "higher"}
        )
        for x in "abc"
    }
    experiment = Experiment.model_validate(
        {
            "name": "big", "hypothesis": "none", "owner": "bench", "settings": "big",
            "arms": {"control": {}, "treatment": {"x": 1}}, "metrics": {"goal": list(metrics)},
            "minimum_effect": 0.01,
        }
    )  # fmt: skip
    return DeclaredExperiment(experiment, metrics)


def timed(action: Callable[[], object]) -> tuple[float, object]:
    started = time.perf_counter()
    result = action()
    return time.perf_counter() - started, result


def main() -> None:
    rows = int(float(sys.argv[1] if len(sys.argv) > 1 else 10) * 1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        duckdb.execute(MAKE.format(rows=rows, folder=folder))
        with open_folder(Path(folder), memory=MEMORY) as warehouse:
            ours, hand = [], []
            for _ in range(ROUNDS):
                seconds, expected = timed(lambda: warehouse.backend.con.execute(by_hand()).fetchall())
                hand.append(seconds)
                seconds, collected = timed(lambda: collect(warehouse, declared(), "production", NOW))
                ours.append(seconds)
    for arm, units, *moments in expected:
        found = collected.metrics["metric_a"][arm].sums
        assert found.units == units
        assert abs(found.sums["n_metric_a"] - moments[0]) < 1e-9 * moments[0]
    result = {
        "exposures": rows, "events": rows, "metrics": 3, "memory limit": MEMORY, "threads": 2,
        "seconds by hand": round(min(hand), 2), "seconds ours": round(min(ours), 2),
        "ratio": round(min(ours) / min(hand), 2),
        "peak RSS of the process, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
