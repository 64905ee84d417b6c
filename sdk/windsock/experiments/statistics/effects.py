"""The effect of an arm and its standard error: means, ratios by the delta method, CUPED, relative effects."""

from dataclasses import dataclass
from math import exp, inf, sqrt

from tea_tasting.aggr import Aggregates


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a metric in the aggregates.

    Attributes:
        numerator: The unit's value, or the numerator of a ratio.
        denominator: The denominator of a ratio; none for a mean per unit.
        numerator_before: The numerator before the first exposure, for CUPED.
        denominator_before: The ratio's denominator before the first exposure.
    """

    numerator: str
    denominator: str | None = None
    numerator_before: str | None = None
    denominator_before: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that the metric has."""
        every = (self.numerator, self.denominator, self.numerator_before, self.denominator_before)
        return tuple(name for name in every if name is not None)


@dataclass(frozen=True, slots=True)
class Effect:
    """Treatment against control, and how precisely it is known.

    Attributes:
        control: The metric in control.
        treatment: The metric in the other arm.
        absolute: Treatment - control.
        absolute_error: Its standard error; 0 if nothing varies.
        log_ratio_error: Standard error of log(treatment / control); infinite if a mean isn't above zero.
        freedom: Welch and Satterthwaite's degrees of freedom, for one look at a fixed horizon.
    """

    control: float
    treatment: float
    absolute: float
    absolute_error: float
    log_ratio_error: float
    freedom: float = inf

    @property
    def relative(self) -> float:
        """Treatment / control - 1; infinite if control is zero."""
        return self.treatment / self.control - 1 if self.control else inf

    def absolute_interval(self, multiplier: float) -> tuple[float, float]:
        """The effect plus or minus this many standard errors."""
        return (
            self.absolute - multiplier * self.absolute_error,
            self.absolute + multiplier * self.absolute_error,
        )

    def relative_interval(self, multiplier: float) -> tuple[float, float] | None:
        """The relative effect's interval, computed on the log scale, so that it can't go below -100 %.

        None if a mean isn't above zero, because a ratio is meaningless then.
        """
        if self.log_ratio_error == inf:
            return None
        factor = exp(min(multiplier * self.log_ratio_error, 700.0))
        ratio = 1 + self.relative
        return ratio / factor - 1, ratio * factor - 1


def compare(control: Aggregates, treatment: Aggregates, columns: Columns) -> Effect:
    """Compare an arm to control by Welch's standard error, the delta method and CUPED.

    The delta method for ratios at the unit of randomisation: Deng, Knoblich and Lu, Applying the delta method
    in metric analytics (KDD 2018), eq. 4; the variances are tea-tasting's. CUPED with one coefficient
    for both arms: Deng, Xu, Kohavi and Walker, Improving the sensitivity of online controlled experiments
    (WSDM 2013), eq. 4 and 5.

    Args:
        control: Control's moments.
        treatment: The other arm's.
        columns: The metric's columns.
    """
    coefficient, centre = _cuped(control + treatment, columns)
    means = [_mean(arm, columns, coefficient, centre) for arm in (control, treatment)]
    errors = [_variance(arm, columns, coefficient) / arm.count() for arm in (control, treatment)]
    relative = (
        sum(error / mean**2 for error, mean in zip(errors, means, strict=True)) if min(means) > 0 else inf
    )
    weights = sum(
        error**2 / (arm.count() - 1) for error, arm in zip(errors, (control, treatment), strict=True)
    )
    freedom = sum(errors) ** 2 / weights if weights else inf
    return Effect(means[0], means[1], means[1] - means[0], sqrt(sum(errors)), sqrt(relative), freedom)


def _cuped(both: Aggregates, columns: Columns) -> tuple[float, float]:
    """The regression coefficient on the covariate and the covariate's mean, over both arms."""
    before, before_per = columns.numerator_before, columns.denominator_before
    if before is None or not both.mean(before_per):
        return 0.0, 0.0
    variance = both.ratio_var(before, before_per)
    if not variance:
        return 0.0, 0.0
    covariance = both.ratio_cov(columns.numerator, columns.denominator, before, before_per)
    return covariance / variance, both.mean(before) / both.mean(before_per)


def _mean(arm: Aggregates, columns: Columns, coefficient: float, centre: float) -> float:
    mean: float = arm.mean(columns.numerator) / arm.mean(columns.denominator)
    if not coefficient:
        return mean
    before: float = arm.mean(columns.numerator_before) / arm.mean(columns.denominator_before)
    adjusted: float = mean - coefficient * (before - centre)
    return adjusted


def _variance(arm: Aggregates, columns: Columns, coefficient: float) -> float:
    variance: float = arm.ratio_var(columns.numerator, columns.denominator)
    if coefficient:
        before = columns.numerator_before, columns.denominator_before
        variance += coefficient**2 * arm.ratio_var(*before)
        variance -= 2 * coefficient * arm.ratio_cov(columns.numerator, columns.denominator, *before)
    return max(0.0, variance)
