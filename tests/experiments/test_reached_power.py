"""The power that `windsock experiment power` says is reached by each quarter, against simulated looks."""

import numpy as np
import pytest

from windsock.experiments.statistics import planning
from windsock.experiments.statistics.designs import TIGHT_AT, GroupSequential, OpenEnded, UpToMaximum

QUARTERS = (0.25, 0.5, 0.75, 1.0)
RUNS, LOOKS = 8_000, 400
PLANNED = (0.3, 0.6, 1.0)


def reached(drift: float, needed: np.ndarray) -> list[float]:
    """The share of walks with this drift that have crossed by each quarter.

    Args:
        drift: The expected Z at the end.
        needed: Standard errors that each of the evenly spaced looks needs.
    """
    random = np.random.default_rng(3)
    steps = random.standard_normal((RUNS, LOOKS), dtype=np.float32) / LOOKS**0.5 + drift / LOOKS
    times = np.arange(1, LOOKS + 1) / LOOKS
    crossed = np.abs(np.cumsum(steps, axis=1)) >= needed * np.sqrt(times)
    return [float(crossed[:, : round(by * LOOKS)].any(axis=1).mean()) for by in QUARTERS]


@pytest.mark.parametrize("drift", [0.0, 2.0, 3.0])
def test_up_to_a_maximum(drift) -> None:
    needed = np.array([UpToMaximum(look / LOOKS).multiplier(0.05) for look in range(1, LOOKS + 1)])
    said = [planning.power_up_to_maximum(drift, 0.05, by) for by in QUARTERS]
    assert said == pytest.approx(reached(drift, needed), abs=0.02)  # few walks cross between two looks alone


@pytest.mark.parametrize("drift", [0.0, 2.0, 3.0])
def test_planned_looks(drift) -> None:
    needed = np.full(LOOKS, np.inf)
    for look, fraction in enumerate(PLANNED, 1):
        needed[round(fraction * LOOKS) - 1] = GroupSequential(PLANNED, look).multiplier(0.05)
    said = [planning.power_planned(drift, 0.05, PLANNED, by) for by in QUARTERS]
    assert said == pytest.approx(reached(drift, needed), abs=0.02)
    assert said[0] == 0.0  # before the first look


@pytest.mark.parametrize("units", [1_000, TIGHT_AT, 300_000])
@pytest.mark.parametrize("drift", [0.0, 3.0, 4.5])
def test_without_an_end_it_depends_on_the_number_of_units(units, drift) -> None:
    """A sequence is tightest at a fixed number of units, so a smaller or larger experiment has less power."""
    needed = np.array([
        OpenEnded(round(units * look / LOOKS), TIGHT_AT).multiplier(0.05) for look in range(1, LOOKS + 1)
    ])  # fmt: skip
    said = [planning.power_open_ended(drift, 0.05, units, by) for by in QUARTERS]
    assert said == pytest.approx(reached(drift, needed), abs=0.03)


def test_one_look_reaches_nothing_before_the_end() -> None:
    said = [planning.power_fixed(2.8016, 0.05, by) for by in QUARTERS]
    assert said == [0.0, 0.0, 0.0, pytest.approx(0.8, abs=1e-4)]
