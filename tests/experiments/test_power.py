"""What `windsock experiment power` says about the past that it read."""

import re
from math import inf, nan

import pytest
from rich.console import Console

from tests.experiments import engines
from tests.experiments.data import NOW, START, Rows
from windsock.cli import _experiment_power as cli
from windsock.errors import ConfigurationError
from windsock.experiments.planning import Assumed, power

DOCUMENT = """\
name: cheaper_model
hypothesis: It costs less.
owner: ada
settings: teacher
arms: {control: {}, cheaper: {reasoning_model: small}}
metrics: {goal: [cost_per_request], secondary: [thumbs]}
minimum_effect: 5%
"""


def past(units: int) -> Rows:
    rows = Rows()
    for number in range(units):
        rows.request(f"user-{number}", START, cost=0.01 + 0.001 * (number % 7))
    rows.event("thumbs", "user-0", START, 1.0)
    return rows


@pytest.mark.parametrize(("units", "said"), [(999, True), (1_000, False)])
def test_a_past_too_short_to_replay_is_said(tmp_path, units, said) -> None:
    flags, data = tmp_path / "flagd", tmp_path / "data"
    (flags / "experiments").mkdir(parents=True)
    (flags / "experiments" / "cheaper_model.yaml").write_text(DOCUMENT)
    data.mkdir()
    with engines.parquet(past(units), data):
        found = power("cheaper_model", data, flags=flags, now=START + (NOW - START) / 10)
    lines = list(cli.lines(found))
    assert ("Not replayed on the past: 999 units in the past; 1,000 are needed." in lines) is said
    assert any(line.startswith("Replayed on the past") for line in lines) is not said


def test_a_metric_without_a_past_says_why(tmp_path, capsys, monkeypatch) -> None:
    flags, data = tmp_path / "flagd", tmp_path / "data"
    (flags / "experiments").mkdir(parents=True)
    (flags / "experiments" / "cheaper_model.yaml").write_text(DOCUMENT)
    data.mkdir()
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
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "cheaper_model.yaml").write_text(DOCUMENT)
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        power("cheaper_model", assumed, flags=tmp_path)
