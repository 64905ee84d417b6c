"""Intervals and p-values from collected sums; pure: the same sums always give the same result."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from windsock.experiments.data.collecting import Collected
from windsock.experiments.data.segment_sums import ArmSums
from windsock.experiments.data.unit_table import columns_of
from windsock.experiments.documents import Experiment
from windsock.experiments.metrics import Kind, Metric
from windsock.experiments.progress import Progress
from windsock.experiments.quantities import duration_words
from windsock.experiments.reading import DeclaredExperiment
from windsock.experiments.statistics import minimum_events
from windsock.experiments.statistics.e_processes import (
    event_ratio_bounds,
    event_ratio_evidence,
)
from windsock.experiments.statistics.effects import Effect, compare
from windsock.experiments.statistics.moments import aggregates
from windsock.experiments.statistics.multiplicity import e_bh, e_from_p, holm
from windsock.experiments.statistics.sample_ratio import sample_ratio_evidence

MISMATCH_ALPHA: Final = 0.001
"""Error rate over all looks at which a sample ratio mismatch is declared."""

_ROUNDING: Final = 1e-9
"""A standard error below this fraction of the mean is rounding error: the metric doesn't vary."""

_RATIO_ROUNDING: Final = 1e-7
"""The same for a ratio, whose variance is the remainder of three sums that cancel."""

_SAME_UNITS: Final = "its units must be written as those of the exposures are"

_EXACT: Final = "exact and one-sided; the interval has two sides"

_RARE: Final = 0.1
"""Share of a guardrail's error that its events alone may spend while they are too few for its own test."""

Interval = tuple[float, float]


class MetricRole(StrEnum):
    """What a metric decides."""

    GOAL = "goal"
    GUARDRAIL = "guardrail"
    SECONDARY = "secondary"


class ComparisonOutcome(StrEnum):
    """What a comparison says at this look.

    Attributes:
        BETTER: Significantly better.
        WORSE: Significantly worse; a guardrail: by more than its margin.
        WITHIN: A guardrail shown to be within its margin; a goal within the minimum effect.
        OPEN: Undecided.
        NOTHING: No number can be given; the note says why.
    """

    BETTER = "better"
    WORSE = "worse"
    WITHIN = "within"
    OPEN = "open"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of one arm against control.

    Attributes:
        metric: The metric's name.
        arm: The arm.
        role: What the metric decides.
        outcome: What it says at this look.
        confidence: The interval's confidence, over all looks.
        units: Matured units in control and in the arm.
        events: Units of each with a nonzero value.
        effect: The effect; None if it can't be computed.
        interval: The absolute effect's interval; none for an exact test.
        relative: The relative effect's interval.
        p_value: Valid at every look of the design: of a goal, adjusted for the others; of a guardrail,
        against
            "it got no worse".
        margin: A guardrail's accepted relative worsening.
        exact: An exact e-process instead of a normal approximation.
        note: Why the effect can't be computed, or a remark on it.
    """

    metric: str
    arm: str
    role: MetricRole
    outcome: ComparisonOutcome
    confidence: float
    units: tuple[int, int]
    events: tuple[int, int] = (0, 0)
    effect: Effect | None = None
    interval: Interval | None = None
    relative: Interval | None = None
    p_value: float | None = None
    margin: float | None = None
    exact: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether units were split between the arms as declared.

    Attributes:
        counts: Units of each declared arm.
        shares: Declared share of each arm.
        p_value: Valid at every look; below `MISMATCH_ALPHA` is a mismatch.
    """

    counts: Mapping[str, int]
    shares: Mapping[str, float]
    p_value: float

    @property
    def mismatch(self) -> bool:
        """Whether the arms differ from the declared shares by more than chance."""
        return self.p_value < MISMATCH_ALPHA


@dataclass(frozen=True, slots=True)
class Analysis:
    """The analysis of one version of an experiment at one look.

    Attributes:
        declared: The experiment and its metrics.
        collected: What it was computed from.
        ratio: Whether units were split between the arms as declared.
        fraction: Share of the declared maximum so far; None without a maximum.
        comparisons: Every metric of every arm, goals first.
    """

    declared: DeclaredExperiment
    collected: Collected
    ratio: SampleRatio
    fraction: float | None
    comparisons: tuple[Comparison, ...]

    def of_role(self, role: MetricRole) -> list[Comparison]:
        """The comparisons of one role."""
        return [each for each in self.comparisons if each.role is role]


def analyse(declared: DeclaredExperiment, collected: Collected) -> Analysis:
    """Compute every comparison of an experiment.

    Args:
        declared: The experiment and its metrics.
        collected: From `collect`, or from a snapshot.
    """
    comparing = Comparing(declared, collected)
    ratio, fraction = _ratio(declared.experiment, collected), comparing.progress.fraction
    return Analysis(declared, collected, ratio, fraction, said(comparing.all(), collected))


def analyse_goals(goals: DeclaredExperiment, collected: Collected) -> Analysis:
    """Compute the goals only, for a collection that has nothing else."""
    comparing = Comparing(goals, collected)
    ratio, fraction = _ratio(goals.experiment, collected), comparing.progress.fraction
    return Analysis(goals, collected, ratio, fraction, said(comparing.goals(), collected))


def said(comparisons: Iterable[Comparison], collected: Collected) -> tuple[Comparison, ...]:
    """Comparisons as they may be told: those of a preview say nothing."""
    if not collected.preview:
        return tuple(comparisons)
    nothing = ComparisonOutcome.NOTHING
    return tuple(
        replace(each, outcome=nothing, interval=None, relative=None, p_value=None, note="a preview")
        for each in comparisons
    )


def _ratio(experiment: Experiment, collected: Collected) -> SampleRatio:
    counts = {arm: collected.exposed.counted.get(arm, 0) for arm in experiment.arms}
    shares = experiment.shares
    evidence = sample_ratio_evidence(list(counts.values()), [shares[arm] for arm in counts])
    return SampleRatio(counts, shares, min(1.0, 1 / evidence))


class Comparing:
    """Compares arms with control.

    Args:
        declared: The experiment and its metrics.
        collected: The sums that are compared.
        parts: Number of parts that the units are split into; each goal is corrected for all of them.

    Attributes:
        progress: How far the experiment has come.
    """

    def __init__(self, declared: DeclaredExperiment, collected: Collected, parts: int = 1) -> None:
        self._experiment = declared.experiment
        self._metrics = declared.metrics
        self._collected = collected
        self.progress = Progress(declared, collected)
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
                yield self._compare(guardrail.metric, arm, MetricRole.GUARDRAIL)
        rest = [self._compare(name, arm, MetricRole.SECONDARY) for name in roles.secondary for arm in arms]
        yield from _discovered(rest, self._experiment.alpha)

    def goals(self) -> Iterator[Comparison]:
        """The goals, corrected for each other."""
        yield from self.corrected(self.each_goal())

    def each_goal(self) -> list[Comparison]:
        """The goals, each on its own."""
        arms, names = self._experiment.treatments, self._experiment.metrics.goal
        return [self._compare(name, arm, MetricRole.GOAL) for name in names for arm in arms]

    def corrected(self, goals: list[Comparison]) -> Iterator[Comparison]:
        """Goals with p-values adjusted by Holm's method, which has more power than Bonferroni's."""
        tested = [each for each in goals if each.p_value is not None]
        adjusted = dict(zip(map(id, tested), holm([each.p_value or 0.0 for each in tested]), strict=True))
        for each in goals:
            p_value = adjusted.get(id(each))
            if p_value is None or each.effect is None:
                yield each
                continue
            found = replace(each, p_value=p_value)
            if (
                each.outcome is ComparisonOutcome.OPEN
                and p_value <= self._experiment.alpha
                and self._gated(each)
            ):
                better = _improvement(each.effect.absolute, self._metrics[each.metric]) > 0
                found = replace(
                    found, outcome=ComparisonOutcome.BETTER if better else ComparisonOutcome.WORSE
                )
            yield found

    def _gated(self, each: Comparison) -> bool:
        proportion = self._metrics[each.metric].kind is Kind.PROPORTION
        return minimum_events.enough(min(each.events), proportion=proportion)

    def _compare(self, name: str, arm: str, role: MetricRole) -> Comparison:
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
        )
        if control is None or treatment is None or min(empty.units) < 2:
            return replace(empty, note=self._waiting(metric, empty.units))
        if not control.seen + treatment.seen:
            return replace(empty, note=self._collected.unseen.get(name) or _nothing_seen(metric))
        if role is MetricRole.GUARDRAIL and metric.kind is Kind.PROPORTION:
            return self._exact(empty, metric, alpha)
        return self._normal(empty, metric, (control, treatment), alpha)

    def _waiting(self, metric: Metric, units: tuple[int, int]) -> str:
        taken = duration_words(metric.delay + metric.window)
        return f"{units[0]:,} and {units[1]:,} units have been in for the {taken} that this metric takes"

    def _normal(
        self, empty: Comparison, metric: Metric, arms: tuple[ArmSums, ArmSums], alpha: float
    ) -> Comparison:
        """Compare by a normal approximation, once there are enough events."""
        moments = [aggregates(arm.sums) for arm in arms]
        columns = columns_of(empty.metric, metric)
        if not all(moment.mean(columns.denominator) for moment in moments):
            return replace(empty, note="an arm has no events to divide by")
        effect = compare(moments[0], moments[1], columns)
        if alarm := self._alarm(empty, metric, effect, alpha * _RARE):
            return alarm
        rounding = _RATIO_ROUNDING if columns.denominator else _ROUNDING
        if effect.absolute_error <= rounding * max(abs(effect.control), abs(effect.treatment)):
            return replace(
                empty, effect=effect, note="the metric does not vary: every unit of an arm has the same value"
            )
        design = self.progress.design(empty.metric, effect)
        two_sided = empty.role is not MetricRole.GUARDRAIL
        width = design.multiplier(alpha, two_sided=two_sided)
        gain = _improvement(effect.absolute, metric) / effect.absolute_error
        found = replace(
            empty,
            effect=effect,
            interval=effect.absolute_interval(width),
            relative=effect.relative_interval(width),
            p_value=design.p_value(gain if two_sided else -gain, two_sided=two_sided),
        )
        if not self._gated(empty):
            needed = (
                minimum_events.RATE_EVENTS if metric.kind is Kind.PROPORTION else minimum_events.MEAN_EVENTS
            )
            note = f"{min(empty.events)} units with an event in the smaller arm; it decides from {needed} on"
            return replace(found, outcome=ComparisonOutcome.OPEN, note=note)
        if effect.control < 0 or effect.treatment < 0:
            found = replace(found, note="negative values: the relative effect is undefined")
        return replace(found, outcome=self._outcome(found, metric))

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
        shares = self._experiment.shares
        odds = shares[empty.arm] / shares[self._experiment.control]
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
            or self._gated(empty)
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
        f"no event with a {metric.value} was found after an exposure: the column is empty, or nobody had "
        f"one; {_SAME_UNITS}"
    )


def _improvement(value: float, metric: Metric) -> float:
    return value if metric.better == "higher" else -value


def _improvements(interval: Interval, metric: Metric) -> Interval:
    return interval if metric.better == "higher" else (-interval[1], -interval[0])


def _discovered(rest: list[Comparison], alpha: float) -> list[Comparison]:
    """Secondary metrics, significant only where e-BH keeps the false discovery rate at alpha."""
    tested = [each for each in rest if each.p_value is not None]
    found = e_bh([e_from_p(each.p_value or 0.0) for each in tested], alpha)
    kept = {id(each) for each, keep in zip(tested, found, strict=True) if keep}
    decided = (ComparisonOutcome.BETTER, ComparisonOutcome.WORSE)
    return [
        replace(each, outcome=ComparisonOutcome.OPEN)
        if each.outcome in decided and id(each) not in kept
        else each
        for each in rest
    ]
