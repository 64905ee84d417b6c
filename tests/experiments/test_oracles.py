"""Our statistics against scipy, statsmodels, tea-tasting, gsdesign and ville, to 1e-9 where both are
exact."""

import math

import gsdesign
import numpy as np
import pytest
import statsmodels.api as sm
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower
from tea_tasting import Mean, RatioOfMeans
from tea_tasting.aggr import Aggregates
from ville._boundaries import best_rho, normal_mixture
from ville.evalues import ebh, p_to_e

from windsock.experiments.statistics import (
    calendar,
    confidence_sequences,
    continuous_looks,
    group_sequential,
    planning,
)
from windsock.experiments.statistics.designs import (
    FixedHorizon,
    GroupSequential,
    OpenEnded,
    UntilDate,
    UpToMaximum,
)
from windsock.experiments.statistics.e_processes import (
    event_ratio_bounds,
    event_ratio_evidence,
    share_evidence,
)
from windsock.experiments.statistics.effects import Columns, compare
from windsock.experiments.statistics.moments import ShiftedSums, aggregates
from windsock.experiments.statistics.multiplicity import e_bh, e_from_p, holm
from windsock.experiments.statistics.sample_ratio import sample_ratio_evidence

EVERY_DESIGN = (
    UpToMaximum(0.4),
    OpenEnded(400, 1000),
    FixedHorizon(),
    FixedHorizon(57.3),
    GroupSequential((0.3, 0.6, 1.0), 2),
    GroupSequential((0.3, 0.6, 1.0), 2, (500.0, 4000.0)),
    UntilDate(calendar.history([(0.2, 500.0), (0.5, 900.0), (0.7, 4000.0)])),
)


def moments_of(columns: dict[str, np.ndarray], shift: float = 0.0) -> Aggregates:
    names = list(columns)
    count = len(columns[names[0]])
    return aggregates(
        ShiftedSums(
            count,
            dict.fromkeys(names, shift),
            {name: math.fsum(columns[name] - shift) for name in names},
            {
                (a, b): math.fsum((columns[a] - shift) * (columns[b] - shift))
                for a in names for b in names if a <= b
            },
        )
    )  # fmt: skip


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_absolute_effects_are_those_of_scipy_and_statsmodels(offset) -> None:
    """Values on a grid of 1/64, which a float holds exactly at either offset."""
    random = np.random.default_rng(1)
    arms = [np.round(random.gamma(2, scale, size) * 64) / 64 for scale, size in ((3, 4000), (3.1, 3000))]
    control, treatment = arms
    effect = compare(*(moments_of({"x": each + offset}, offset + 3) for each in arms), Columns("x"))
    error = math.sqrt(treatment.var(ddof=1) / 3000 + control.var(ddof=1) / 4000)
    # at the offset the two means themselves are floats in steps of 1.5e-8
    assert effect.absolute == pytest.approx(treatment.mean() - control.mean(), abs=3e-8 if offset else 1e-9)
    assert effect.absolute_error == pytest.approx(error, rel=1e-9)
    if not offset:
        welch = stats.ttest_ind(treatment, control, equal_var=False)
        design, z = FixedHorizon(effect.freedom), effect.absolute / effect.absolute_error
        assert z == pytest.approx(welch.statistic, rel=1e-9)
        assert design.p_value(z) == pytest.approx(welch.pvalue, rel=1e-9)
        interval = sm.stats.CompareMeans.from_data(treatment, control).tconfint_diff(usevar="unequal")
        assert effect.absolute_interval(design.multiplier(0.05)) == pytest.approx(interval, rel=1e-9)


def test_ratios_and_cuped_are_tea_tastings() -> None:
    random = np.random.default_rng(3)
    arms = []
    for size, lift in ((3000, 1.0), (2000, 1.1)):
        level = random.gamma(2, 1, size)
        requests, before = 1 + random.poisson(3 * level), 1 + random.poisson(3 * level)
        columns = {
            "n": lift * requests * level + random.normal(0, 1, size), "d": requests.astype(float),
            "n0": before * level + random.normal(0, 1, size), "d0": before.astype(float),
        }  # fmt: skip
        arms.append(moments_of(columns, 2.0))
    for columns, oracle in (
        (Columns("n"), Mean("n", use_t=False)),
        (Columns("n", None, "n0"), Mean("n", "n0", use_t=False)),
        (Columns("n", "d"), RatioOfMeans("n", "d", use_t=False)),
        (Columns("n", "d", "n0", "d0"), RatioOfMeans("n", "d", "n0", "d0", use_t=False)),
    ):
        ours, theirs = compare(*arms, columns), oracle.analyze_aggregates(*arms)
        assert ours.absolute == pytest.approx(theirs.effect_size, rel=1e-9)
        assert ours.relative == pytest.approx(theirs.rel_effect_size, rel=1e-9)
        quantile = FixedHorizon().multiplier(0.05)
        assert ours.absolute_interval(quantile) == pytest.approx(
            (theirs.effect_size_ci_lower, theirs.effect_size_ci_upper), rel=1e-9
        )
        assert ours.relative_interval(quantile) == pytest.approx(
            (theirs.rel_effect_size_ci_lower, theirs.rel_effect_size_ci_upper), rel=1e-9
        )


def test_cuped_takes_off_the_share_that_the_covariate_explains() -> None:
    """The variance falls by ρ² (Deng, Xu, Kohavi and Walker 2013, eq. 5)."""
    random = np.random.default_rng(4)
    correlation = 0.7
    arms = []
    for _ in range(2):
        before = random.standard_normal(200_000)
        after = correlation * before + math.sqrt(1 - correlation**2) * random.standard_normal(200_000)
        arms.append(moments_of({"x": after, "b": before}))
    plain, adjusted = compare(*arms, Columns("x")), compare(*arms, Columns("x", None, "b"))
    saved = 1 - (adjusted.absolute_error / plain.absolute_error) ** 2
    assert saved == pytest.approx(correlation**2, abs=0.005)


def test_ratios_agree_with_clustered_regression() -> None:
    """The delta method is statsmodels' cluster-robust error of a regression on requests (Deng et al. 2018)."""
    random = np.random.default_rng(5)
    units, treated = 2000, np.arange(2000) % 2
    requests = 1 + random.poisson(4, units)
    of = np.repeat(np.arange(units), requests)
    value = random.gamma(2, 1, units)[of] + 0.1 * treated[of] + random.normal(0, 0.3, len(of))
    fit = sm.OLS(value, sm.add_constant(treated[of].astype(float))).fit(
        cov_type="cluster", cov_kwds={"groups": of, "use_correction": False}
    )
    total = np.bincount(of, value)
    arms = [
        moments_of({"n": total[treated == arm], "d": requests[treated == arm].astype(float)})
        for arm in (0, 1)
    ]
    effect = compare(*arms, Columns("n", "d"))
    assert effect.absolute == pytest.approx(fit.params[1], rel=1e-9)
    assert effect.absolute_error == pytest.approx(fit.bse[1], rel=1e-3)  # n - 1 against n


@pytest.mark.parametrize("design", EVERY_DESIGN, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.001])
def test_p_value_and_interval_say_the_same(design, two_sided, alpha) -> None:
    critical = design.multiplier(alpha, two_sided=two_sided)
    assert design.p_value(critical, two_sided=two_sided) == pytest.approx(alpha, rel=1e-6)


@pytest.mark.parametrize("drift", [-1.0, 0.0, 0.5, 2.5, 6.0])
@pytest.mark.parametrize("boundary", [2.5, 3.5, None])
def test_power_by_each_planned_look_is_gsdesigns(boundary, drift) -> None:
    fractions = [0.2, 0.5, 0.7, 1.0]
    critical = group_sequential.critical_values(fractions, 0.05)
    if boundary is not None:
        critical = [boundary / fraction**0.5 for fraction in fractions]
    ours = [group_sequential.power(fractions[:look], critical[:look])(drift) for look in range(1, 5)]
    theirs, grid, before = [], None, 0.0
    for information, bound in zip(fractions, critical, strict=True):

        def advance(low, high, information=information, grid=grid, before=before):
            if grid is None:
                return gsdesign.h1(r=150, theta=drift, info=information, a=low, b=high)
            return gsdesign.hupdate(150, drift, information, low, high, drift, before, grid)

        theirs.append(sum(np.sum(advance(*outside)[2]) for outside in ((bound, np.inf), (-np.inf, -bound))))
        grid, before = advance(-bound, bound), information
    assert ours == pytest.approx(list(np.cumsum(theirs)), abs=1e-9)


@pytest.mark.parametrize("looks", [(0.5, 1.0), (0.25, 0.5, 0.75, 1.0), (0.1, 0.2, 0.9, 1.0)])
@pytest.mark.parametrize("late", [0.0, 0.3, 0.7, 0.95])
def test_late_looks_with_the_limits_of_the_planned_ones_keep_the_error(looks, late) -> None:
    limits = group_sequential.critical_values(looks, 0.05)
    following = (*looks[1:], 1.0)
    taken = [at + late * (then - at) for at, then in zip(looks, following, strict=True)]
    called = group_sequential.power(taken, limits)(0.0)
    assert called <= 0.05 + 1e-9
    assert (late == 0) == (called == pytest.approx(0.05, abs=1e-9))


def test_continuous_boundary_is_the_limit_of_many_planned_looks() -> None:
    looks = 400
    fractions = [(look + 1) / looks for look in range(looks)]
    critical = [continuous_looks.multiplier(0.05, fraction) for fraction in fractions]
    spent = group_sequential.power(fractions, critical)(0.0)
    assert 0.043 < spent < 0.05  # between looks a path may cross and come back
    drift = 2.8
    powered = group_sequential.power(fractions, critical)(drift)
    assert powered == pytest.approx(planning.power_up_to_maximum(drift, 0.05), abs=0.01)


ARRIVALS = {
    "twice as many at the end": lambda share: (2 * share + share**2) / 3,
    "half as many at the end": lambda share: (4 * share - share**2) / 3,
    "nearly all at the end": lambda share: share**4,
    "half of them at once": lambda share: 0.5 * min(1.0, share / 0.05) + 0.5 * share,
    "most of them in the last tenth": lambda share: 0.1 * share + 0.9 * max(0.0, share - 0.9) / 0.1,
}


def until(share: float, arrived) -> UntilDate:
    """The design at a share of a duration in which units arrive so."""
    parts = [part / calendar.COUNTS for part in range(1, calendar.COUNTS) if part / calendar.COUNTS < share]
    return UntilDate(calendar.history((at, 20_000 * arrived(at)) for at in (*parts, share)))


@pytest.mark.parametrize("two_sided", [True, False])
def test_with_even_arrivals_a_date_is_a_number_of_units(two_sided) -> None:
    for share in (0.2, 0.4, 0.77, 1.0):
        ours, theirs = until(share, lambda at: at), UpToMaximum(share)
        for alpha in (0.05, 0.001):
            expected = theirs.multiplier(alpha, two_sided=two_sided)
            assert ours.multiplier(alpha, two_sided=two_sided) == pytest.approx(expected, rel=1e-6)
        assert ours.p_value(3.0, two_sided=two_sided) == pytest.approx(
            theirs.p_value(3.0, two_sided=two_sided), rel=1e-4
        )


@pytest.mark.parametrize("arrived", ARRIVALS.values(), ids=ARRIVALS)
def test_until_a_date_the_error_is_kept_however_units_arrive(arrived) -> None:
    """The exact probability that forty looks call an A/A experiment, by the recursion for planned looks."""
    shares = [look / 40 for look in range(1, 41)]
    limits = [until(share, arrived).multiplier(0.05) for share in shares]
    units = [arrived(share) for share in shares]
    called = group_sequential.power(units, limits)(0.0)
    assert 0.03 < called < 0.05
    by_time = [UpToMaximum(share).multiplier(0.05) for share in shares]
    worst = group_sequential.power(units, by_time)(0.0)
    if arrived(0.5) < 0.5:
        assert worst > called  # what it would be if time were taken for information


@pytest.mark.parametrize("arrived", ARRIVALS.values(), ids=ARRIVALS)
def test_planned_looks_in_time_keep_the_error_too(arrived) -> None:
    shares = [0.25, 0.5, 0.75, 1.0]
    units = [arrived(share) for share in shares]
    limits = [GroupSequential(shares, look, units[:look]).multiplier(0.05) for look in (1, 2, 3, 4)]
    called = group_sequential.power(units, limits)(0.0)
    assert called == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("one_sided", [False, True])
def test_confidence_sequences_are_villes(one_sided) -> None:
    for information, rho in ((1.0, 0.5), (50.0, 8.0), (1000.0, 100.0)):
        theirs = float(normal_mixture(information, 0.05, rho, one_sided=one_sided)) / math.sqrt(information)
        ours = confidence_sequences.multiplier(0.05, information / rho, two_sided=not one_sided)
        assert ours == pytest.approx(theirs, rel=1e-9)


def test_the_mixture_is_tightest_where_it_is_meant_to_be() -> None:
    best = confidence_sequences.multiplier(0.05, 1000 / best_rho(1000, 0.05))
    ours = confidence_sequences.multiplier(0.05, confidence_sequences.tightest_at(0.05))
    assert best <= ours == pytest.approx(best, rel=1e-3)


def test_share_evidence_is_the_integral_of_the_likelihood_ratio() -> None:
    for successes, others, share in ((10, 2, 0.5), (3, 40, 0.05), (0, 7, 0.2)):

        def ratio(q, k=successes, n=others, null=share):
            return (q / null) ** k * ((1 - q) / (1 - null)) ** n / (1 - null)

        expected, _ = integrate.quad(ratio, share, 1, epsabs=1e-13, epsrel=1e-11)
        assert share_evidence(successes, others, share) == pytest.approx(expected, rel=1e-8)


def test_sample_ratio_evidence_is_the_ratio_of_two_likelihoods() -> None:
    counts, shares = (30, 50, 20), (0.3, 0.5, 0.2)
    alternative = stats.dirichlet_multinomial.logpmf(counts, [100 * share for share in shares], sum(counts))
    null = stats.multinomial.logpmf(counts, sum(counts), shares)
    assert sample_ratio_evidence(counts, shares) == pytest.approx(math.exp(alternative - null), rel=1e-9)
    assert sample_ratio_evidence((0, 0), (0.5, 0.5)) == 1.0


@pytest.mark.parametrize("shares", [(0.5, 0.4), (0.5, 0.5, 0.0), (1.0,)])
def test_shares_that_do_not_add_up_are_refused(shares) -> None:
    with pytest.raises(ValueError, match="add up to 1"):
        sample_ratio_evidence((10, 10), shares)


def test_bounds_of_an_event_ratio_are_where_the_evidence_is() -> None:
    low, high = event_ratio_bounds(40, 90, 0.8, 0.05)
    assert event_ratio_evidence(40, 90, 0.8, low) == pytest.approx(40, rel=1e-6)
    assert event_ratio_evidence(40, 90, 0.8, high, above_limit=False) == pytest.approx(40, rel=1e-6)
    assert event_ratio_bounds(0, 0, 1.0, 0.05) == (0.0, math.inf)


def test_holm_is_statsmodels_and_e_bh_is_villes() -> None:
    random = np.random.default_rng(6)
    p_values = (random.random(12) ** 4).tolist()
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist(), rel=1e-12)
    e_values = [e_from_p(value) for value in p_values]
    assert e_values == pytest.approx(p_to_e(np.array(p_values), 0.5).tolist(), rel=1e-12)
    assert e_bh(e_values, 0.1) == ebh(np.array(e_values), 0.1).tolist()
    assert holm([]) == [] == e_bh([], 0.1)


def test_units_needed_are_statsmodels() -> None:
    def power_of(drift: float) -> float:
        return planning.power_fixed(drift, 0.05)

    spread = planning.Spread(2.0, 0.5, 0.5)
    units = planning.units_needed(0.1, spread, power_of)
    theirs = 2 * TTestIndPower().solve_power(effect_size=0.05, alpha=0.05, power=0.8)
    assert units == pytest.approx(theirs, rel=2e-3)
    assert planning.detectable(units, spread, power_of) == pytest.approx(0.1, rel=1e-3)
