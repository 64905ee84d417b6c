"""The always-valid test: against the formula's own sums, under the null, and for a rise."""

import math
import random

import pytest

from windsock.healing.attribution import ALPHA, Evidence, Window, log_ratio, threshold


@pytest.mark.parametrize(("calls", "others", "failed"), [(3, 7, 4), (5, 5, 5), (10, 2, 3), (1, 9, 1)])
@pytest.mark.parametrize("odds", [1.5, 8.0])
def test_the_ratio_has_the_expectation_one_where_the_variant_does_nothing(calls, others, failed, odds):
    expected = 0.0
    for k in range(max(0, failed - others), min(failed, calls) + 1):
        chance = math.comb(calls, k) * math.comb(others, failed - k) / math.comb(calls + others, failed)
        expected += chance * math.exp(log_ratio(Window(calls, k, others, failed - k), math.log(odds)))
    assert expected == pytest.approx(1.0, abs=1e-9)


def test_one_fault_is_the_safe_logrank_test_s_event():
    # one event among 2 of the variant and 6 others, at odds 4: 4 * 8 / (2 * 4 + 6)
    assert math.exp(log_ratio(Window(2, 1, 6, 0), math.log(4))) == pytest.approx(4 * 8 / 14)


@pytest.mark.parametrize(
    "window", [Window(5, 0, 9, 0), Window(5, 5, 0, 0), Window(0, 0, 9, 9), Window(5, 5, 9, 9)]
)
def test_windows_that_tell_nothing(window):
    assert Evidence().after(window).log_e == pytest.approx(0.0, abs=1e-9)


def test_the_levels_of_all_variants_add_up_to_alpha():
    assert sum(math.exp(-threshold(order)) for order in range(1, 100_000)) == pytest.approx(ALPHA, rel=1e-4)


def run(random_, quiet, rise, windows):
    """The windows until an accusation; None where there is none. In the middle all fail for a while."""
    evidence = Evidence()
    for number in range(windows):
        rate = 0.8 if windows // 2 <= number < windows // 2 + 3 and not rise else quiet
        faults = sum(random_.random() < rate + rise for _ in range(4))
        other = sum(random_.random() < rate for _ in range(16))
        evidence = evidence.after(Window(4, faults, 16, other))
        if evidence.log_e >= threshold(1):
            return number
    return None


def test_shared_outages_accuse_rarely_and_a_rise_is_found():
    random_ = random.Random(3)
    accused = sum(run(random_, 0.02, 0.0, 40) is not None for _ in range(400))
    assert accused <= 0.05 * 400
    found = [run(random_, 0.02, 0.2, 200) for _ in range(100)]
    assert None not in found
    assert sorted(found)[50] <= 10
