"""Exact e-processes for counts: no normal approximation, no minimum sample, valid at every look.

Under the null, an e-process has expectation at most 1 at any stopping time, so that it reaches 1/alpha
with probability at most alpha (Ville, 1939; Ramdas, Grünwald, Vovk and Shafer, Statistical Science 38, 2023).
"""

from math import exp, log, log1p

from windsock.experiments.statistics.roots import bisect

LARGEST_EXPONENT = 700.0
"""An e-value is capped at exp(700), the order of the largest float."""
_SURE = 1e-12
_ODDS = (1.1, 1.25, 1.5, 2.0, 3.0)


def share_evidence(successes: int, others: int, share: float, *, above_share: bool = True) -> float:
    """The e-value against "the success probability is at most `share`" (or at least, with `above_share` off).

    A mixture of likelihood ratios over a uniform prior on the alternative's side: each ratio has expectation
    at most 1 under the whole composite null, hence so does the mixture (Ramdas et al. 2023, section 3.2; the
    integral is the incomplete beta function).

    Args:
        successes: Trials that went one way.
        others: Trials that went the other way.
        share: Between 0 and 1 exclusive.
        above_share: Evidence that the probability is above `share`; else below it.
    """
    from scipy.special import betainc, betaln  # noqa: PLC0415 - takes 0.3 s to import

    if not above_share:
        return share_evidence(others, successes, 1 - share)
    a, b = successes + 1, others + 1
    mass = float(betainc(b, a, 1 - share))  # of the beta posterior above `share`
    if mass <= 0:
        return 0.0
    value = float(betaln(a, b)) + log(mass) - successes * log(share) - others * log1p(-share) - log1p(-share)
    return exp(min(value, LARGEST_EXPONENT))


def rate_evidence(successes: int, trials: int, rate: float) -> float:
    """The e-value against "the success probability is at most `rate`", by sums and logarithms alone.

    The mean of the likelihood ratios of a few larger odds: `share_evidence` with a coarser mixture, which a
    database computes too.

    Args:
        successes: Trials that succeeded.
        trials: All trials.
        rate: Between 0 and 1.
    """
    exponents = (successes * log(odds) - trials * log1p(rate * (odds - 1)) for odds in _ODDS)
    return sum(exp(min(each, LARGEST_EXPONENT)) for each in exponents) / len(_ODDS)


def share_bounds(successes: int, others: int, alpha: float) -> tuple[float, float]:
    """A confidence sequence for a success probability: each bound is passed with probability at most alpha/2.

    Args:
        successes: Trials that went one way.
        others: Trials that went the other way.
        alpha: One minus the confidence, over all looks.

    Returns:
        Lower and upper bound, between 0 and 1.
    """
    if successes + others == 0:
        return 0.0, 1.0

    def lower(success: int, other: int) -> float:
        seen = success / (success + other)
        if success == 0:
            return 0.0
        return bisect(
            lambda share: 2 / alpha - share_evidence(success, other, share),
            _SURE,
            max(_SURE, min(seen, 1 - _SURE)),
        )

    return lower(successes, others), 1 - lower(others, successes)


def event_ratio_bounds(
    control_events: int, treatment_events: int, odds: float, alpha: float
) -> tuple[float, float]:
    """A confidence sequence for the ratio of two arms' event rates, from the units that had the event.

    Given that a unit has the event, its arm is a coin toss whose odds are the allocation's times the ratio of
    the rates, so that bounds of the share are bounds of the ratio, exactly and at every look.

    Args:
        control_events: Units of control with the event.
        treatment_events: Units of the other arm with the event.
        odds: The other arm's allocation over control's.
        alpha: One minus the confidence, over all looks.
    """
    low, high = share_bounds(treatment_events, control_events, alpha)
    return low / (1 - low) / odds, high / (1 - high) / odds if high < 1 else float("inf")


def event_ratio_evidence(
    control_events: int, treatment_events: int, odds: float, limit: float = 1.0, *, above_limit: bool = True
) -> float:
    """The e-value against "the ratio of event rates is at most `limit`"; at least, with `above_limit` off.

    Args:
        control_events: Units of control with the event.
        treatment_events: Units of the other arm with it.
        odds: The other arm's allocation over control's.
        limit: The ratio of rates that is still accepted, above zero.
        above_limit: Evidence of a larger ratio; else of a smaller one.
    """
    share = odds * limit / (1 + odds * limit)
    return share_evidence(treatment_events, control_events, share, above_share=above_limit)


def event_ratio_p_value(
    control_events: int, treatment_events: int, odds: float, *, above_one: bool = True
) -> float:
    """The exact binomial test of "the ratio of event rates is at most 1", for one look only.

    Clopper and Pearson, Biometrika 26 (1934): the binomial tail is an incomplete beta function.

    Args:
        control_events: Units of control with the event.
        treatment_events: Units of the other arm with it.
        odds: The other arm's allocation over control's.
        above_one: Against a ratio above 1; else against one below 1.
    """
    from scipy.special import betainc  # noqa: PLC0415 - takes 0.3 s to import

    many, few, share = treatment_events, control_events, odds / (1 + odds)
    if not above_one:
        many, few, share = few, many, 1 - share
    return float(betainc(many, few + 1, share)) if many else 1.0
