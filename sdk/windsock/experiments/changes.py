"""How two declarations of an experiment differ in what its error promise rests on."""

from collections.abc import Iterator, Mapping

from windsock.experiments.documents import Experiment, Maximum, PlannedLooks
from windsock.experiments.metrics import Metric
from windsock.experiments.quantities import duration_text
from windsock.experiments.reading import DeclaredExperiment

_MOST_TOLD = 5


def changes(then: DeclaredExperiment, now: DeclaredExperiment) -> tuple[str, ...]:
    """Say what has changed: the error and the looks, and the goals and guardrails with how they are computed.

    Secondary metrics and segments decide nothing, so they may change at any time. Arms, audience and
    allocation can't change within a version: `start` refuses that.

    Args:
        then: As declared at an earlier look.
        now: As declared now.
    """
    before, after = dict(_facts(then)), dict(_facts(now))
    found = [
        f"{name} was {before[name]} and is {after[name]}"
        for name in before
        if name in after and before[name] != after[name]
    ]
    more = len(found) - _MOST_TOLD
    return (*found[:_MOST_TOLD], f"{more:,} more differ") if more > 0 else tuple(found)


def _facts(declared: DeclaredExperiment) -> Iterator[tuple[str, str]]:
    """What the promise rests on, by name."""
    experiment, roles = declared.experiment, declared.experiment.metrics
    yield "alpha", f"{experiment.alpha:g}"
    yield "the minimum effect", f"{experiment.minimum_effect:g}"
    yield "the maximum", _maximum(experiment.maximum)
    yield "the design", _design(experiment)
    guarded = sorted(f"{each.metric} (margin {each.margin:g})" for each in roles.guardrails)
    yield "the goal", ", ".join(sorted(roles.goal))
    yield "the list of guardrails", ", ".join(guarded) or "empty"
    for name in (*roles.goal, *(each.metric for each in roles.guardrails)):
        for field, value in _computed(declared.metrics, name):
            yield f"the {field} of {name}", value


def _maximum(maximum: Maximum | None) -> str:
    if maximum is None:
        return "none"
    return f"{maximum.units:,} units" if maximum.duration is None else duration_text(maximum.duration)


def _design(experiment: Experiment) -> str:
    design = experiment.design
    if isinstance(design, PlannedLooks):
        return f"looks at {', '.join(f'{look:g}' for look in design.looks)}"
    return design


def _computed(metrics: Mapping[str, Metric], name: str) -> Iterator[tuple[str, str]]:
    metric = metrics.get(name)
    if metric is not None:
        for field, value in metric.model_dump(mode="json", exclude={"description"}).items():
            yield field, "none" if value is None else str(value)
