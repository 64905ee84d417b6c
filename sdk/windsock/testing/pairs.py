"""Pairwise combinations: rows in which any two values of different columns occur together."""

from collections.abc import Sequence
from itertools import combinations, product
from typing import TypeVar

T = TypeVar("T")

_Pair = tuple[tuple[int, int], tuple[int, int]]


def pairwise_rows(columns: Sequence[Sequence[T]]) -> list[tuple[T, ...]]:
    """Choose rows greedily, with one value per column, until every pair occurs in some row.

    Each row starts with a pair that no row has yet, and takes the value that covers most for every other
    column. The rows depend only on the columns. A single column yields one row per value.

    Args:
        columns: The columns, each with at least one value.
    """
    if len(columns) == 1:
        return [(value,) for value in columns[0]]
    left = _pairs(columns)
    rows = []
    while left:
        row = _row(columns, next(iter(left)), left)
        for pair in combinations(sorted(row.items()), 2):
            left.pop(pair, None)
        rows.append(tuple(column[row[place]] for place, column in enumerate(columns)))
    return rows


def _pairs(columns: Sequence[Sequence[object]]) -> dict[_Pair, None]:
    """Every pair of (column, index) and (column, index), in order."""
    return {
        ((first, one), (second, other)): None
        for first, second in combinations(range(len(columns)), 2)
        for one, other in product(range(len(columns[first])), range(len(columns[second])))
    }


def _row(columns: Sequence[Sequence[object]], begin: _Pair, left: dict[_Pair, None]) -> dict[int, int]:
    row = dict(begin)
    for place, column in enumerate(columns):
        if place not in row:
            covered = [
                sum(_pair((place, index), chosen) in left for chosen in row.items())
                for index in range(len(column))
            ]
            row[place] = covered.index(max(covered))
    return row


def _pair(one: tuple[int, int], other: tuple[int, int]) -> _Pair:
    return (one, other) if one < other else (other, one)
