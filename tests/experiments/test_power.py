"""What `windsock experiment power` says about the past that it read."""

import re
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.experiments import engines
from tests.experiments.data import NOW, SHORT, START, Rows, declare
from windsock.cli import _experiment_power as cli
from windsock.errors import ConfigurationError
from windsock.experiments.planning import Assumed, Power, power

DOCUMENT = f"{SHORT}metrics: {{goal: [cost_per_request], secondary: [thumbs]}}\n"
NO_METRICS = "metrics: {}\n"
ON_REVENUE = DOCUMENT.replace("goal: [cost_per_request], secondary: [thumbs]", "goal: [revenue]")


def folders(tmp_path: Path, document: str = DOCUMENT, metrics: str = NO_METRICS) -> tuple[Path, Path]:
    """The folder of flags with the experiment, and an empty one for data."""
    flags, data = tmp_path / "flagd", tmp_path / "data"
    data.mkdir()
    return declare(flags, document, metrics), data


def past(units: int) -> Rows:
    rows = Rows()
    for number in range(units):
        rows.request(f"user-{number}", START, cost=0.01 + 0.001 * (number % 7))
    rows.event("thumbs", "user-0", START, 1.0)
    return rows


@pytest.mark.parametrize(("units", "said"), [(999, True), (1_000, False)])
def test_a_past_too_short_to_replay_is_said(tmp_path, units, said) -> None:
    flags, data = folders(tmp_path)
    with engines.parquet(past(units), data):
        found = power("cheaper_model", data, flags=flags, now=START + (NOW - START) / 10)
    lines = list(cli.lines(found))
    assert ("Not replayed on the past: 999 units in the past; 1,000 are needed." in lines) is said
    assert any(line.startswith("Replayed on the past") for line in lines) is not said


def test_a_metric_without_a_past_says_why(tmp_path, capsys, monkeypatch) -> None:
    flags, data = folders(tmp_path)
    with engines.parquet(past(100), data):
        monkeypatch.setattr(cli, "console_of", lambda _: Console(width=200))
        cli.command("cheaper_model", flags=flags, data=str(data), at=f"{START + (NOW - START) / 10:%FT%TZ}")
    assert "thumbs: 1 unit had a row in the last 7 days" in capsys.readouterr().out.lower()


@pytest.mark.parametrize(
    ("assumed", "message"),
    [
        (Assumed(0.0, 1.0), "must not be zero"),
        (Assumed(1.0, 0.0), "must not be zero"),
        (Assumed(nan, 1.0), "must be finite numbers"),
        (Assumed(inf, 1.0), "must be finite numbers"),
        (Assumed(1.0, nan), "must be finite numbers"),
        (Assumed(1.0, inf), "must be finite numbers"),
        (Assumed(1e-300, 1e300), "a change of 5e-302 is too small to find beside a deviation of 1e+300"),
        (Assumed(1.0, 1e6), "is too small to find beside a deviation of 1e+06; cap the metric"),
        (Assumed(1.0, 1.0, 0.0), "new units a day: between 0.0001 and 1e+09, not 0"),
        (Assumed(1.0, 1.0, inf), "new units a day: between 0.0001 and 1e+09, not inf"),
        (Assumed(1.0, 1.0, nan), "new units a day"),
    ],
)
def test_numbers_that_no_experiment_can_have_are_refused(tmp_path, assumed, message) -> None:
    declare(tmp_path, DOCUMENT, NO_METRICS)
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        power("cheaper_model", assumed, flags=tmp_path)


BUYERS = """\
metrics:
  revenue: {source: {event: purchase}, kind: mean, value: value, better: higher, covariate: 0d}
"""


@pytest.mark.parametrize(("requests", "told"), [(True, "2,000 units with a request in the last 7 days; 100 had a row"),
                                                (False, "100 units with a row of the metric in the last 7 days: who")])  # fmt: skip
def test_users_who_bought_nothing_count_as_zero_where_they_are_known(tmp_path, requests, told) -> None:
    flags, data = folders(tmp_path, ON_REVENUE, BUYERS)
    rows = past(2_000 if requests else 0)
    for number in range(100):
        rows.event("purchase", f"user-{20 * number}", START, 10.0 + number % 5)
    with engines.parquet(rows, data):
        found = power("cheaper_model", data, flags=flags, now=START + (NOW - START) / 10)
    assert told in found.past
    assert found.mean == pytest.approx(12.0 * (100 / 2_000 if requests else 1))
    assert any(told in line for line in cli.lines(found))
    if requests:
        spread = sum((10.0 + number % 5) ** 2 for number in range(100)) / 2_000 - found.mean**2
        assert found.deviation == pytest.approx(spread**0.5, rel=1e-3)


def test_a_few_requests_do_not_replace_the_past_of_everybody_else(tmp_path) -> None:
    """A new flag that two of the staff have tried: neither bought anything, thousands of others did."""
    flags, data = folders(tmp_path, ON_REVENUE, BUYERS)
    rows = past(2)
    for number in range(3_000):
        rows.event("purchase", f"buyer-{number}", START, 10.0 + number % 5)
    with engines.parquet(rows, data):
        found = power("cheaper_model", data, flags=flags, now=START + (NOW - START) / 10)
    assert "3,000 units with a row of the metric in the last 7 days: who would be exposed" in found.past
    assert found.mean == pytest.approx(12.0)


@pytest.mark.slow
def test_the_planned_units_reach_the_power_where_most_buy_nothing(tmp_path) -> None:
    """Planned on buyers alone, the same experiment would find the effect in far fewer cases."""
    document = ON_REVENUE.replace("minimum_effect: 5%", "minimum_effect: 20%\nmaximum: {units: 9000}")
    flags, data = folders(tmp_path, document, BUYERS)
    random, rows = np.random.default_rng(1), past(4_000)
    for number in range(0, 4_000, 5):
        rows.event("purchase", f"user-{number}", START, float(random.gamma(4, 5)))
    with engines.parquet(rows, data):
        found = power("cheaper_model", data, flags=flags, now=START + (NOW - START) / 10)
        (data / "usage_logs.parquet").unlink()
        buyers = power("cheaper_model", data, flags=flags, now=START + (NOW - START) / 10)
    reached = [share_found(plan, random) for plan in (found, buyers)]
    assert 0.7 < reached[0] < 0.9  # 80 %; four standard errors of 400 runs are 8 points
    assert reached[1] < 0.4


def share_found(plan: Power, random: np.random.Generator) -> float:
    """How often one look at the planned number of units finds a fifth more revenue."""
    half = next(each.units for each in plan.designs if each.name == "one look at the end") // 2
    bought = np.where(random.random((400, 2, half)) < 0.2, random.gamma(4, 5, (400, 2, half)), 0.0)
    bought[:, 1] *= 1.2
    means, errors = bought.mean(axis=2), bought.var(axis=2, ddof=1) / half
    return float(np.mean(np.abs(means[:, 1] - means[:, 0]) > 1.96 * np.sqrt(errors.sum(axis=1))))
