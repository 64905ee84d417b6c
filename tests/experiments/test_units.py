"""Why the unit of analysis is the unit of randomisation: per-request tests reject A/A experiments, ours do not."""

import numpy as np
from scipy import stats
from tea_tasting.aggr import Aggregates

from windsock.experiments.statistics.designs import FixedHorizon
from windsock.experiments.statistics.effects import Columns, compare

RUNS, USERS = 1000, 400


def test_requests_of_one_user_are_not_independent() -> None:
    random = np.random.default_rng(8)
    per_request = per_unit = 0
    for _ in range(RUNS):
        requests = 1 + random.poisson(random.gamma(0.7, 12.0, USERS))
        of = np.repeat(np.arange(USERS), requests)
        cost = random.gamma(2.0, 0.5, USERS)[of] * random.gamma(4.0, 0.25, len(of))
        treated = np.arange(USERS) < USERS // 2
        per_request += stats.ttest_ind(cost[treated[of]], cost[~treated[of]], equal_var=False).pvalue < 0.05
        total = np.bincount(of, cost)
        arms = [moments(total[arm], requests[arm].astype(float)) for arm in (~treated, treated)]
        effect = compare(*arms, Columns("n", "d"))
        per_unit += FixedHorizon(effect.freedom).p_value(effect.absolute / effect.absolute_error) < 0.05
    assert per_request / RUNS > 0.35
    assert 0.03 < per_unit / RUNS < 0.075


def moments(n: np.ndarray, d: np.ndarray) -> Aggregates:
    covariance = np.cov(n, d)
    return Aggregates(
        len(n), {"n": n.mean(), "d": d.mean()}, {"n": covariance[0, 0], "d": covariance[1, 1]}, {("n", "d"): covariance[0, 1]}
    )  # fmt: skip
