"""Several comparisons at once: Holm for the family-wise error, e-BH for the false discovery rate."""

from collections.abc import Sequence
from math import sqrt


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the family-wise error (Holm, Scandinavian Journal of Statistics 6, 1979).

    It requires only that each p-value is valid, so anytime-valid p-values stay anytime-valid.

    Returns:
        Adjusted p-values in the order given.
    """
    adjusted = [1.0] * len(p_values)
    reached = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = reached
    return adjusted


def e_bh(e_values: Sequence[float], alpha: float) -> list[bool]:
    """Which discoveries keep the false discovery rate at `alpha`, under any dependence.

    Wang and Ramdas, False discovery rate control with e-values (JRSS B 84, 2022), section 3: reject the k
    largest, k the most for which the k-th largest is at least (number of tests) / (k alpha).
    """
    order = sorted(range(len(e_values)), key=e_values.__getitem__, reverse=True)
    count = 0
    for k, index in enumerate(order, 1):
        if e_values[index] * k * alpha >= len(e_values):
            count = k
    found = set(order[:count])
    return [index in found for index in range(len(e_values))]


def e_from_p(p_value: float) -> float:
    """Turn a p-value into an e-value (Vovk and Wang, Annals of Statistics 49, 2021, eq. 1 with κ = 1/2)."""
    return 1 / (2 * sqrt(p_value)) if p_value > 0 else float("inf")
