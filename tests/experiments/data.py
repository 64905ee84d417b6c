"""A made-up experiment: its document and metrics, and its rows, plain, the same for every engine."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=30)

GOOD = """\
name: cheaper_model
hypothesis: The small model answers as well and costs a fifth less
owner: ann@example.org
settings: teacher
arms:
  control: {}
  cheaper: {reasoning_model: small}
metrics:
  goal: [cost_per_request]
  guardrails:
    - error_rate
    - {metric: failing_units, margin: 50%}
  secondary: [revenue]
minimum_effect: 5%
maximum: {units: 5000}
"""
SHORT = """\
name: cheaper_model
hypothesis: It costs less.
owner: ada
settings: teacher
arms: {control: {}, cheaper: {reasoning_model: small}}
minimum_effect: 5%
"""
"""A document without its metrics."""
METRICS = """\
metrics:
  revenue:
    source: {event: revenue}
    kind: mean
    value: value
    better: higher
    window: 2w
    cap: {quantile: 0.99}
"""


def declare(flags: Path, document: str = GOOD, metrics: str = METRICS) -> Path:
    """Write the experiment's document and its metrics into a folder of flags; give the folder."""
    (flags / "experiments").mkdir(parents=True, exist_ok=True)
    (flags / "experiments" / "cheaper_model.yaml").write_text(document)
    (flags / "metrics.yaml").write_text(metrics)
    return flags


@dataclass
class Rows:
    """Rows of the three tables, by table."""

    exposures: list[dict] = field(default_factory=list)
    usage_logs: list[dict] = field(default_factory=list)
    metric_events: list[dict] = field(default_factory=list)

    def expose(self, unit: str, arm: str, at: datetime, **other: object) -> None:
        self.exposures.append(
            {"experiment": "cheaper_model", "version": 1, "environment": "production", "unit": unit, "arm": arm,
             "first_exposed_at": at, "allocation": 0.5, "flag": "teacher", "revision": "r1", "reason": "SPLIT",
             "key_fingerprint": None, "attributes": "{}", "excluded": None, **other}
        )  # fmt: skip

    def request(self, unit: str, at: datetime, **other: object) -> None:
        number = len(self.usage_logs)
        self.usage_logs.append(
            {"id": f"00000000-0000-0000-0000-{number:012d}", "requested_at": at, "user_id": unit,
             "request_id": f"q{number}", "environment": "production", "flag": "teacher", "healed": "[]",
             "values": '{"reasoning_model": "small"}', "latency_ms": 800.0, "input_tokens": 100,
             "output_tokens": 20, "cost": 0.01, "status": "ok", "answered_model": "small", **other}
        )  # fmt: skip

    def event(self, name: str, unit: str, at: datetime, value: float | None, **other: object) -> None:
        number = len(self.metric_events)
        self.metric_events.append(
            {"id": f"10000000-0000-0000-0000-{number:012d}", "name": name, "unit": unit, "user_id": unit,
             "value": value, "occurred_at": at, "environment": "production", "request_id": None,
             "attributes": "{}", **other}
        )  # fmt: skip


def experiment_rows(units: int = 400, *, offset: float = 0.0, seed: int = 1) -> Rows:
    """Units that arrive over two weeks, with requests and revenue before and after their first exposure."""
    random = np.random.default_rng(seed)
    rows = Rows()
    for number in range(units):
        unit, arm = f"user-{number:05d}", "control" if number % 2 == 0 else "cheaper"
        at = START + timedelta(seconds=float(random.uniform(0, 14 * 86_400)))
        rows.expose(unit, arm, at)
        level = float(random.gamma(2, 1))
        for _ in range(int(random.poisson(2 * level)) + 1):
            later = at + timedelta(seconds=float(random.uniform(-10 * 86_400, 6.9 * 86_400)))
            cost = round(0.01 * level * (0.8 if arm == "cheaper" and later >= at else 1.0), 6)
            failed = bool(random.random() < 0.05)
            rows.request(
                unit, later, cost=cost, latency_ms=round(float(random.lognormal(7, 0.6)), 3),
                status="error" if failed else "ok", healed='[{"field": "reasoning_model"}]' if failed else "[]",
                answered_model="small" if random.random() < 0.9 else "large",
            )  # fmt: skip
        if random.random() < 0.7:
            value = offset + round(float(random.normal(50, 10)) * 64) / 64
            rows.event("revenue", unit, at + timedelta(days=float(random.uniform(0.1, 6))), value)
        if random.random() < 0.4:
            rows.event("thumbs", unit, at + timedelta(days=1), float(random.random() < 0.8))
    return rows
