"""One arm's moments, from the shifted sums that a database returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer
from tea_tasting.aggr import Aggregates

Pair = tuple[str, str]


def _as_text(products: Mapping[Pair, float]) -> dict[str, float]:
    return {"*".join(pair): value for pair, value in products.items()}


def _as_pairs(products: object) -> object:
    if not isinstance(products, Mapping):
        return products
    return {
        tuple(pair.split("*")) if isinstance(pair, str) else pair: value for pair, value in products.items()
    }


Products = Annotated[Mapping[Pair, float], BeforeValidator(_as_pairs), PlainSerializer(_as_text)]
"""A number for each pair of columns; the JSON key is `one*other`."""


@dataclass(frozen=True, slots=True)
class ShiftedSums:
    """Sums over one arm's units of x - shift, and of products of two such differences.

    The shift is any constant near the mean: without it an offset of 1e8 costs all digits of a variance (Chan,
    Golub and LeVeque, Algorithms for computing the sample variance, The American Statistician 37, 1983).

    Attributes:
        units: Number of units summed.
        shifts: The constant of each column.
        sums: Sum of (x - shift) of each column.
        products: Sum of (x - shift)(y - shift) of each pair, including a column with itself.
    """

    units: int
    shifts: Mapping[str, float]
    sums: Mapping[str, float]
    products: Products

    def __add__(self, other: "ShiftedSums") -> "ShiftedSums":
        """Return the sums over the units of both.

        Raises:
            ValueError: They have different shifts.
        """
        if self.shifts != other.shifts:
            raise ValueError("sums with different shifts cannot be added")
        return ShiftedSums(
            self.units + other.units,
            self.shifts,
            {name: value + other.sums[name] for name, value in self.sums.items()},
            {pair: value + other.products[pair] for pair, value in self.products.items()},
        )


def aggregates(arm: ShiftedSums) -> Aggregates:
    """Turn sums into tea-tasting's aggregates: count, means, sample variances and covariances.

    Args:
        arm: At least two units.

    Raises:
        ValueError: There are fewer than two units.
    """
    if arm.units < 2:
        raise ValueError(f"an arm has {arm.units} units: a variance needs at least 2")
    means = {name: arm.shifts[name] + value / arm.units for name, value in arm.sums.items()}
    centred = {
        (one, other): (value - arm.sums[one] * arm.sums[other] / arm.units) / (arm.units - 1)
        for (one, other), value in arm.products.items()
    }
    variances = {one: max(0.0, value) for (one, other), value in centred.items() if one == other}
    covariances = {pair: value for pair, value in centred.items() if pair[0] != pair[1]}
    return Aggregates(arm.units, means, variances, covariances)
