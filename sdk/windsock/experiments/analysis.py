"""Intervals and p-values from collected sums; pure: the same sums always give the same result."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from windsock.experiments.comparing import Comparing
from windsock.experiments.comparison import Comparison, ComparisonOutcome, MetricRole
from windsock.experiments.data.collected import Collected
from windsock.experiments.documents import Experiment
from windsock.experiments.reading import DeclaredExperiment
from windsock.experiments.statistics.sample_ratio import sample_ratio_evidence

MISMATCH_ALPHA: Final = 0.001
"""Error rate over all looks at which a sample ratio mismatch is declared."""


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
        comparisons: Every metric of every arm, goals first.
    """

    declared: DeclaredExperiment
    collected: Collected
    ratio: SampleRatio
    comparisons: tuple[Comparison, ...]

    @property
    def fraction(self) -> float | None:
        """Share of the declared maximum that the slowest goal has come to; None without a maximum."""
        found = [each.fraction for each in self.of_role(MetricRole.GOAL) if each.fraction is not None]
        return min(found, default=None)

    def of_role(self, role: MetricRole) -> list[Comparison]:
        """The comparisons of one role."""
        return [each for each in self.comparisons if each.role is role]


def analyse(declared: DeclaredExperiment, collected: Collected) -> Analysis:
    """Compute every comparison of an experiment.

    Args:
        declared: The experiment and its metrics.
        collected: From `collect`, or from a snapshot.
    """
    found = Comparing(declared, collected).all()
    return Analysis(
        declared, collected, _ratio(declared.experiment, collected), publishable(found, collected)
    )


def analyse_goals(goals: DeclaredExperiment, collected: Collected) -> Analysis:
    """Compute the goals only, for a collection that has nothing else."""
    found = Comparing(goals, collected).goals()
    return Analysis(goals, collected, _ratio(goals.experiment, collected), publishable(found, collected))


def publishable(comparisons: Iterable[Comparison], collected: Collected) -> tuple[Comparison, ...]:
    """The comparisons without their results if these are a preview's, which nobody may act on."""
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
