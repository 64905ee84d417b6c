"""Champion and challenger on the same items: the criteria, and what they are worth when looked at again and again."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binomtest

from windsock.experiments.champion import judge

CRITERIA = SimpleNamespace(
    min_improvement_pct=2.0, min_samples=1000, confidence_level=0.95, min_accuracy_delta=0.01
)


def items(both: int, won: int, lost: int, neither: int) -> tuple[list[bool], list[bool]]:
    champion = [True] * both + [False] * won + [True] * lost + [False] * neither
    challenger = [True] * both + [True] * won + [False] * lost + [False] * neither
    return champion, challenger


def test_a_better_challenger_wins() -> None:
    verdict = judge(*items(700, 150, 60, 190), CRITERIA)
    assert verdict.challenger_wins
    assert verdict.unmet == ()
    assert verdict.accuracy_delta == pytest.approx(0.9 / 10 / 1.1 * 1.1, abs=0.01)
    assert verdict.improvement_pct == pytest.approx(100 * 90 / 760)


@pytest.mark.parametrize(
    ("counts", "unmet"),
    [
        ((600, 150, 60, 100), ("min_samples",)),
        ((900, 80, 75, 100), ("min_accuracy_delta", "min_improvement_pct", "confidence_level")),
        ((1500, 60, 38, 100), ("min_improvement_pct", "confidence_level")),
        ((0, 0, 0, 0), ("min_samples", "min_accuracy_delta", "min_improvement_pct", "confidence_level")),
    ],
)
def test_what_is_not_met_is_named(counts, unmet) -> None:
    verdict = judge(*items(*counts), CRITERIA)
    assert not verdict.challenger_wins
    assert verdict.unmet == unmet


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (5, 0), (60, 41), (400, 380)])
def test_one_look_is_mcnemars_exact_test(won, lost) -> None:
    expected = binomtest(won, won + lost, alternative="greater").pvalue if won + lost else 1.0
    verdict = judge(*items(100, won, lost, 100), CRITERIA, always_valid=False)
    assert 1 - verdict.confidence == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.slow
def test_looking_every_hour_promotes_an_equal_model_in_less_than_one_week_of_fifty() -> None:
    random = np.random.default_rng(9)
    promoted = {True: 0, False: 0}
    for _ in range(60):
        champion, challenger = (random.random((40, 100)) < 0.8 for _ in range(2))
        for always_valid in promoted:
            promoted[always_valid] += any(
                judge(
                    champion[: hour + 1].ravel().tolist(), challenger[: hour + 1].ravel().tolist(), CRITERIA,
                    always_valid=always_valid,
                ).challenger_wins
                for hour in range(9, 40)
            )  # fmt: skip
    assert promoted[True] <= 1
    assert promoted[False] >= 5


def test_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        judge([True, False], [True], CRITERIA)
