"""A result's summary: as plain data for programs, and as a commit message for people."""

import json
from datetime import datetime

from windsock.experiments.comparison import Comparison
from windsock.experiments.decision import trusted
from windsock.experiments.reporting.left_out import data_end
from windsock.experiments.result import Result
from windsock.experiments.segments import segments


def as_data(result: Result) -> dict[str, object]:
    """The decision, each comparison, and the snapshot they come from."""
    decision = result.decision
    analysis = trusted(result.analysis, decision)
    return {
        "state": decision.state.value,
        "action": decision.action.value,
        "arm": decision.arm,
        "sentence": decision.sentence,
        "reasons": list(decision.reasons),
        "waits": [{"metric": each.metric, "until": _time(each.until)} for each in decision.waits],
        "comparisons": [_comparison(each) for each in analysis.comparisons],
        "segments": [
            {"attribute": each.attribute, "value": each.value, **_comparison(each.comparison)}
            for each in segments(analysis)
        ],
        "latency_p95_ms": dict(analysis.collected.slow_ms),
        "snapshot": json.loads(result.snapshot()),
    }


def _comparison(each: Comparison) -> dict[str, object]:
    effect = each.effect
    return {
        "metric": each.metric,
        "arm": each.arm,
        "role": each.role.value,
        "outcome": each.outcome.value,
        "control": effect.control if effect else None,
        "treatment": effect.treatment if effect else None,
        "absolute": effect.absolute if effect else None,
        "absolute_interval": each.interval,
        "relative_interval": [_finite(end) for end in each.relative] if each.relative else None,
        "confidence": each.confidence,
        "p_value": each.p_value,
        "units": each.units,
        "events": each.events,
        "note": each.note,
        "fraction": each.fraction,
        "waits_for": each.waits_for or None,
        "looks_worse": each.looks_worse,
        "expected": _time(each.expected),
    }


def _time(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None


def _finite(value: float) -> float | None:
    return value if abs(value) != float("inf") else None


def message(result: Result) -> list[str]:
    """The proposal as a commit message: what, then why."""
    decision, experiment = result.decision, result.analysis.declared.experiment
    what = {"ship": f"Ship {decision.arm} of {experiment.name}", "stop": f"Stop {experiment.name}"}
    first = what.get(decision.action.value, f"Go on with {experiment.name}")
    collected = result.analysis.collected
    where = f"Version {experiment.version} in {collected.environment}, {collected.now:%Y-%m-%d %H:%M} UTC."
    reasons = [f"- {each}" for each in decision.reasons]
    return [
        f"{first}: {decision.state.value}",
        "",
        decision.sentence,
        where,
        *data_end(result.analysis),
        *([""] if reasons else []),
        *reasons,
    ]
