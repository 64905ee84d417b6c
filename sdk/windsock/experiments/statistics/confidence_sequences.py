"""Confidence sequences that never end: the asymptotic normal mixture.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and asymptotic confidence
sequences, Annals of Statistics 52 (2024), Theorem 2.2; the mixture is Robbins' (1970), as in Howard, Ramdas,
McAuliffe and Sekhon, Time-uniform, nonparametric, nonasymptotic confidence sequences, Annals of Statistics 49
(2021), eq. 14 for two sides and eq. 15 (half-normal mixture) for one.
"""

from math import exp, log, sqrt

from windsock.experiments.statistics.normal import cdf
from windsock.experiments.statistics.roots import above, bisect

_LARGEST_EXPONENT = 700.0


def tightest_at(alpha: float) -> float:
    """The mixture variance, in units of the desired information, that makes the sequence tightest there.

    Waudby-Smith et al., appendix B.2: ρ² t = -2 log alpha + log(1 - 2 log alpha), up to the usual
    approximation.

    Args:
        alpha: Between 0 and 1 exclusive.
    """
    return -2 * log(alpha) + log(1 - 2 * log(alpha))


def evidence(z: float, mixture: float, *, two_sided: bool = True) -> float:
    """The e-value against no effect: at most 1/alpha is reached with probability alpha, whenever one looks.

    Args:
        z: Estimate over its standard error.
        mixture: ρ² times the sample so far, above zero.
        two_sided: Any effect; else an effect above zero.
    """
    shrink = mixture / (1 + mixture)
    exponent = min(z * z / 2 * shrink, _LARGEST_EXPONENT)
    value = exp(exponent) / sqrt(1 + mixture)
    return value if two_sided else 2 * value * cdf(z * sqrt(shrink))


def multiplier(alpha: float, mixture: float, *, two_sided: bool = True) -> float:
    """Half the width of the interval, in standard errors, so that it holds at every sample size at once.

    Args:
        alpha: One minus the confidence.
        mixture: ρ² times the sample so far, above zero.
        two_sided: An interval with two ends; else one bound.
    """
    if two_sided:  # closed form: eq. 14 of Howard et al.
        return sqrt((1 + 1 / mixture) * log((1 + mixture) / alpha**2))

    def short_of(z: float) -> float:
        return log(evidence(z, mixture, two_sided=False)) + log(alpha)

    return bisect(short_of, -10.0, above(short_of))
