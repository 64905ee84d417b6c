"""The experiment's demo on real parts: exposures, report and decision come out right."""

from windsock.demo.experiment import USERS, report, tell


def test_the_small_model_is_shipped_and_the_tiny_one_is_not(tmp_path):
    counted = []
    told = tell(counted.append)
    assert counted[-1] == told.users == USERS
    assert (told.result.decision.state.value, told.result.decision.arm) == ("win", "small")
    exposed = told.result.analysis.collected.exposed
    assert exposed.total == USERS
    assert (exposed.crossed, dict(exposed.excluded)) == (0, {})
    report(told.result, tmp_path / "report.html")
    assert "Ship small" in (tmp_path / "report.html").read_text()
