"""Sample ratio mismatch (SRM): whether units fell into the arms by the declared shares."""

from collections.abc import Sequence
from math import exp, lgamma, log

from windsock.experiments.statistics.e_processes import LARGEST_EXPONENT

_CONCENTRATION = 100.0
"""Weight of the prior around the declared shares; a larger one detects smaller mismatches."""


def sample_ratio_evidence(counts: Sequence[int], shares: Sequence[float]) -> float:
    """The e-value against "units fall into arms with these shares".

    The Dirichlet-multinomial mixture of Lindon and Malek, Anytime-valid inference for multinomial count data
    (NeurIPS 2022), eq. 6. Its reciprocal is a p-value valid at every look.

    Args:
        counts: Units in each arm.
        shares: Declared share of each arm; each above 0, summing to 1.

    Returns:
        At least 0; 1 if nothing was counted.

    Raises:
        ValueError: The shares don't add up to 1, one isn't positive, or their number isn't the counts'.
    """
    if len(counts) != len(shares) or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"shares {list(shares)} must be positive, add up to 1, and be one for each count")
    total = sum(counts)
    value = lgamma(_CONCENTRATION) - lgamma(total + _CONCENTRATION)
    for count, share in zip(counts, shares, strict=True):
        prior = _CONCENTRATION * share
        value += lgamma(count + prior) - lgamma(prior) - count * log(share)
    return exp(min(value, LARGEST_EXPONENT))
