# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["gbstats==0.8.0"]  # needs numpy and pandas below 2, so it has an environment of its own
# ///
"""GrowthBook's statistics on the cases that come in as JSON: `uv run --script tests/experiments/gbstats_answers.py`."""

import json
import sys

from gbstats.frequentist.tests import (
    FrequentistConfig,
    SequentialConfig,
    SequentialTwoSidedTTest,
    TwoSidedTTest,
)
from gbstats.models.statistics import (
    ProportionStatistic,
    RatioStatistic,
    RegressionAdjustedStatistic,
    SampleMeanStatistic,
)
from gbstats.utils import check_srm


def statistic(kind, arm):
    """One arm's statistic from its sums."""
    n = arm["n"]
    if kind == "proportion":
        return ProportionStatistic(n=n, sum=arm["x"])
    main = SampleMeanStatistic(n=n, sum=arm["x"], sum_squares=arm["xx"])
    if kind == "mean":
        return main
    other = SampleMeanStatistic(n=n, sum=arm["y"], sum_squares=arm["yy"])
    if kind == "ratio":
        return RatioStatistic(n=n, m_statistic=main, d_statistic=other, m_d_sum_of_products=arm["xy"])
    return RegressionAdjustedStatistic(
        n=n, post_statistic=main, pre_statistic=other, post_pre_sum_of_products=arm["xy"], theta=0
    )


def answers(case):
    """Estimate, interval and p-value for one look and for any number of them; the p-value of the arms' sizes."""
    arms = [statistic(case["kind"], arm) for arm in case["arms"]]
    plain = {"alpha": case["alpha"], "difference_type": "absolute"}
    once = TwoSidedTTest(*arms, FrequentistConfig(**plain))
    always = SequentialTwoSidedTTest(
        *arms, SequentialConfig(**plain, sequential_tuning_parameter=case["tight_at"])
    )
    sizes = check_srm([arm["n"] for arm in case["arms"]], [0.5, 0.5])
    numbers = (once.point_estimate, *once.confidence_interval, once.p_value, once.dof)
    return [float(each) for each in (*numbers, *always.confidence_interval, always.p_value, sizes)]


if __name__ == "__main__":
    json.dump([answers(case) for case in json.load(sys.stdin)], sys.stdout)
