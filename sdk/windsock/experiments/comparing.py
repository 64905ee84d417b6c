"""Compares arms with control, metric by metric: goals, guardrails, secondary metrics; pure."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from windsock.experiments import not_yet
from windsock.experiments.comparison import Comparison, ComparisonOutcome, Interval, MetricRole
from windsock.experiments.data.collected import Collected
from windsock.experiments.data.segment_sums import ArmSums
from windsock.experiments.data.unit_table import columns_of
from windsock.experiments.metrics import Kind, Metric
from windsock.experiments.progress import Progress
from windsock.experiments.reading import DeclaredExperiment
from windsock.experiments.statistics import minimum_events
from windsock.experiments.statistics.designs import Design
from windsock.experiments.statistics.e_processes import (
    event_ratio_bounds,
    event_ratio_evidence,
)
from windsock.experiments.statistics.effects import Effect, compare
from windsock.experiments.statistics.moments import aggregates
from windsock.experiments.statistics.multiplicity import e_bh, e_from_p, holm
from windsock.experiments.unproven_harm import one_look
from windsock.experiments.wording import number

_ROUNDING: Final = 1e-9
"""A standard error below this fraction of the mean is rounding error: the metric doesn't vary."""

_RATIO_ROUNDING: Final = 1e-7
"""The same for a ratio, whose variance is the remainder of three sums that cancel."""

_SAME_UNITS: Final = "its units must be written as those of the exposures are"

_EXACT: Final = "exact and one-sided; the interval has two sides"

_CONSTANT: Final = "every unit of an arm has the same value"

_E_BH: Final = "e-BH, which keeps false discoveries among secondary metrics rare, asks for more evidence"

_HOLM: Final = (
    "by Holm's method, which leaves it more error than its interval shows once other goals are decided"
)

_RARE: Final = 0.1
"""Share of a guardrail's error that its events alone may spend while they are too few for its own test."""


class Comparing:
    """Compares arms with control.

    Args:
        declared: The experiment and its metrics.
        collected: The sums that are compared.
        parts: Number of parts that the units are split into; each goal is corrected for all of them.
        whole: The sums of all units, if `collected` has those of one part.
    """

    def __init__(
        self,
        declared: DeclaredExperiment,
        collected: Collected,
        parts: int = 1,
        whole: Collected | None = None,
    ) -> None:
        self._experiment = declared.experiment
        self._metrics = declared.metrics
        self._collected = collected
        self._progress = Progress(declared, collected, whole)
        roles = declared.experiment.metrics
        self._margins = {each.metric: each.margin for each in roles.guardrails}
        arms = len(declared.experiment.treatments)
        self._goals = len(roles.goal) * arms * max(1, parts)
        self._guards = max(1, len(roles.guardrails) * arms)

    def all(self) -> Iterator[Comparison]:
        """Every comparison, goals first."""
        roles = self._experiment.metrics
        arms = self._experiment.treatments
        yield from self.goals()
        for guardrail in roles.guardrails:
            for arm in arms:
                yield self._guardrail(guardrail.metric, arm)
        rest = [self._compare(name, arm, MetricRole.SECONDARY) for name in roles.secondary for arm in arms]
        yield from _discovered(rest, self._experiment.alpha)

    def goals(self) -> Iterator[Comparison]:
        """The goals, corrected for each other, and what they wait for."""
        found = list(self.corrected(self.each_goal()))
        slowest = self._slowest_guardrail()
        if slowest and any(each.outcome is ComparisonOutcome.BETTER for each in found):
            held = self.corrected(self.each_goal(slowest))
            found = [self._waiting(each, then, slowest) for each, then in zip(found, held, strict=True)]
        yield from found

    def each_goal(self, behind: str = "") -> list[Comparison]:
        """The goals, each on its own, and none ahead of the named metric."""
        arms, names = self._experiment.treatments, self._experiment.metrics.goal
        return [self._compare(name, arm, MetricRole.GOAL, behind) for name in names for arm in arms]

    def corrected(self, goals: list[Comparison]) -> Iterator[Comparison]:
        """Goals with p-values adjusted by Holm's method, which has more power than Bonferroni's.

        Those without a p-value yet count as 1, or each would be the only one while it is the first to come.
        """
        p_values = holm([1.0 if each.p_value is None else each.p_value for each in goals])
        for each, p_value in zip(goals, p_values, strict=True):
            if each.p_value is None or each.effect is None:
                yield each
                continue
            found = replace(each, p_value=p_value)
            if each.outcome is ComparisonOutcome.OPEN and p_value <= self._experiment.alpha:
                better = _improvement(each.effect.absolute, self._metrics[each.metric]) > 0
                outcome = ComparisonOutcome.BETTER if better else ComparisonOutcome.WORSE
                found = replace(found, outcome=outcome, note=_HOLM)
            yield found

    def _slowest_guardrail(self) -> str:
        """The guardrail without a margin whose window is the longest; empty if there is none.

        One with a margin needs no waiting: it has to be shown to hold.
        """
        names = [name for name, margin in self._margins.items() if not margin and name in self._metrics]
        return max(names, key=self._progress.lasts, default="")

    def _waiting(self, each: Comparison, then: Comparison, guardrail: str) -> Comparison:
        """Hold back a better goal until it would be better by the guardrail's clock, too.

        So a guardrail has been watched for as many units as the verdict needs before an arm wins.
        """
        if each.outcome is not ComparisonOutcome.BETTER or then.outcome is ComparisonOutcome.BETTER:
            return each
        ahead = self._progress.lasts(guardrail) - self._progress.lasts(each.metric)
        return replace(each, waits_for=guardrail, expected=self._collected.now + ahead)

    def _guardrail(self, name: str, arm: str) -> Comparison:
        """A guardrail; without a margin, also whether it looks worse."""
        found = self._compare(name, arm, MetricRole.GUARDRAIL)
        if found.margin or found.effect is None:
            return found
        normal = bool(found.effect.absolute_error) and self._enough(found)
        p_value = one_look(found, self._metrics[name], None if normal else self._odds(arm))
        return replace(found, looks_worse=p_value <= self._experiment.alpha / self._guards)

    def _odds(self, arm: str) -> float:
        """An arm's allocation over control's."""
        return self._experiment.shares[arm] / self._experiment.shares[self._experiment.control]

    def _enough(self, each: Comparison) -> bool:
        return min(each.events) >= self._needed(each)

    def _needed(self, each: Comparison) -> int:
        return minimum_events.needed(proportion=self._metrics[each.metric].kind is Kind.PROPORTION)

    def _compare(self, name: str, arm: str, role: MetricRole, behind: str = "") -> Comparison:
        metric, sums = self._metrics[name], self._collected.metrics.get(name, {})
        control, treatment = sums.get(self._experiment.control), sums.get(arm)
        tests = {MetricRole.GOAL: self._goals, MetricRole.GUARDRAIL: self._guards, MetricRole.SECONDARY: 1}[
            role
        ]
        alpha = self._experiment.alpha / tests
        empty = Comparison(
            name,
            arm,
            role,
            ComparisonOutcome.NOTHING,
            1 - alpha,
            (control.sums.units if control else 0, treatment.sums.units if treatment else 0),
            (control.events if control else 0, treatment.events if treatment else 0),
            margin=self._margins.get(name) if role is MetricRole.GUARDRAIL else None,
            fraction=self._progress.fraction(name),
        )
        if control is None or treatment is None or min(empty.units) < 2:
            return not_yet.too_young(empty, self._progress)
        if not control.seen + treatment.seen:
            return replace(empty, note=self._collected.unseen.get(name) or _nothing_seen(metric))
        if role is MetricRole.GUARDRAIL and metric.kind is Kind.PROPORTION:
            return not_yet.unless_it_says_something(self._exact(empty, metric, alpha), self._progress)
        return self._normal(empty, (control, treatment), alpha, behind)

    def _normal(
        self, empty: Comparison, arms: tuple[ArmSums, ArmSums], alpha: float, behind: str
    ) -> Comparison:
        """Compare by a normal approximation, once there are enough events."""
        metric = self._metrics[empty.metric]
        moments = [aggregates(arm.sums) for arm in arms]
        columns = columns_of(empty.metric, metric)
        if not all(moment.mean(columns.denominator) for moment in moments):
            return replace(empty, note="an arm has no events to divide by")
        effect = compare(moments[0], moments[1], columns)
        if alarm := self._alarm(empty, metric, effect, alpha * _RARE):
            return alarm
        rounding = _RATIO_ROUNDING if columns.denominator else _ROUNDING
        if effect.absolute_error <= rounding * max(abs(effect.control), abs(effect.treatment)):
            same = replace(empty, effect=effect)
            what = f"it is {number(effect.control)} in both arms" if same.is_same else _CONSTANT
            return replace(same, note=f"the metric does not vary: {what}")
        clocks = (empty.metric, behind) if behind else (empty.metric,)
        return self._looked(replace(empty, effect=effect), effect, alpha, clocks)

    def _looked(self, known: Comparison, effect: Effect, alpha: float, clocks: tuple[str, ...]) -> Comparison:
        """Judge an effect if this is a look at it, and if there are enough events."""
        design = self._progress.design(effect, *clocks)
        if design is None:
            return not_yet.before_its_look(known, self._progress)
        if self._enough(known):
            return self._judged(known, effect, design, alpha)
        early = not_yet.too_few_events(known, self._progress, self._needed(known))
        if early.outcome is ComparisonOutcome.NOT_YET:
            return early
        found = self._judged(known, effect, design, alpha)  # no more will come: shown, and decides nothing
        return replace(found, outcome=ComparisonOutcome.OPEN, p_value=None, note=early.note)

    def _judged(self, known: Comparison, effect: Effect, design: Design, alpha: float) -> Comparison:
        """Add the interval, the p-value and what they say."""
        metric, two_sided = self._metrics[known.metric], known.role is not MetricRole.GUARDRAIL
        if not two_sided:  # each end holds on its own
            known = replace(known, confidence=1 - 2 * alpha)
        width = design.multiplier(alpha, two_sided=two_sided)
        gain = _improvement(effect.absolute, metric) / effect.absolute_error
        found = replace(
            known,
            interval=effect.absolute_interval(width),
            relative=effect.relative_interval(width),
            p_value=design.p_value(gain if two_sided else -gain, two_sided=two_sided),
        )
        if effect.control < 0 or effect.treatment < 0:
            found = replace(found, note="negative values: the relative effect is undefined")
        found = replace(found, outcome=self._outcome(found, metric))
        return not_yet.unless_it_says_something(found, self._progress, width)

    def _outcome(self, found: Comparison, metric: Metric) -> ComparisonOutcome:
        low, high = _improvements(found.relative, metric) if found.relative else (None, None)
        worst, best = _improvements(found.interval or (0.0, 0.0), metric)
        if found.margin is not None:
            if low is None or high is None:
                low, high = worst, best
            if high < -found.margin:
                return ComparisonOutcome.WORSE
            return ComparisonOutcome.WITHIN if low > -found.margin else ComparisonOutcome.OPEN
        if best < 0:
            return ComparisonOutcome.WORSE
        if worst > 0:
            return ComparisonOutcome.BETTER
        smallest = self._experiment.minimum_effect
        if low is not None and high is not None and -smallest < low and high < smallest:
            return ComparisonOutcome.WITHIN
        return ComparisonOutcome.OPEN

    def _exact(self, empty: Comparison, metric: Metric, alpha: float) -> Comparison:
        """A guardrail on a proportion of units: exact at any count, from the units with the event."""
        odds = self._odds(empty.arm)
        control, treatment = empty.events
        more_is_worse = metric.better == "lower"
        margin = empty.margin or 0.0
        limit = 1 + margin if more_is_worse else 1 - margin
        harm = event_ratio_evidence(control, treatment, odds, limit, above_limit=more_is_worse)
        safe = event_ratio_evidence(control, treatment, odds, limit, above_limit=not more_is_worse)
        low, high = event_ratio_bounds(control, treatment, odds, alpha)
        outcome = (
            ComparisonOutcome.WORSE
            if harm * alpha >= 1
            else ComparisonOutcome.WITHIN
            if safe * alpha >= 1
            else ComparisonOutcome.OPEN
        )
        rates = [events / units for events, units in zip(empty.events, empty.units, strict=True)]
        effect = Effect(rates[0], rates[1], rates[1] - rates[0], 0.0, 0.0)
        return replace(
            empty, outcome=outcome, effect=effect, relative=(low - 1, high - 1), p_value=min(1.0, 1 / harm),
            exact=True, note=_EXACT if control + treatment else "no unit had the event",
        )  # fmt: skip

    def _alarm(self, empty: Comparison, metric: Metric, effect: Effect, alpha: float) -> Comparison | None:
        """Harm in a guardrail that has too few events for a normal approximation, from their number alone.

        Waiting for the events of both arms would let a failing arm win because control hardly ever fails.
        """
        if (
            empty.role is not MetricRole.GUARDRAIL
            or self._enough(empty)
            or min(effect.control, effect.treatment) < 0
        ):
            return None
        found = self._exact(empty, metric, alpha)
        if found.outcome is not ComparisonOutcome.WORSE:
            return None
        control, treatment = empty.events
        note = (
            f"{treatment:,} units with an event against {control:,} in control; exact, by their number alone"
        )
        return replace(found, effect=effect, note=note)


def _nothing_seen(metric: Metric) -> str:
    if metric.value is None:
        return f"no event of this metric was found after an exposure; {_SAME_UNITS}"
    return (
        f"no event with a value in {metric.value} was found after an exposure: the column is empty, or "
        f"nobody had one; {_SAME_UNITS}"
    )


def _improvement(value: float, metric: Metric) -> float:
    return value if metric.better == "higher" else -value


def _improvements(interval: Interval, metric: Metric) -> Interval:
    return interval if metric.better == "higher" else (-interval[1], -interval[0])


def _discovered(rest: list[Comparison], alpha: float) -> list[Comparison]:
    """Secondary metrics, significant only where e-BH keeps the false discovery rate at alpha."""
    kept = e_bh([0.0 if each.p_value is None else e_from_p(each.p_value) for each in rest], alpha)
    decided = (ComparisonOutcome.BETTER, ComparisonOutcome.WORSE)
    return [
        replace(each, outcome=ComparisonOutcome.OPEN, note=f"{each.outcome} by its interval alone; {_E_BH}")
        if each.outcome in decided and not keep
        else each
        for each, keep in zip(rest, kept, strict=True)
    ]
