"""What an examination finds in the database."""

import time

from windsock.doctor.checkup import Report, look_at_database


def test_a_clock_that_is_wrong(database: str, monkeypatch) -> None:
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 40)
    report = Report(lambda _: None)
    look_at_database(report, database)
    assert report.problems
    [clock] = [check for check in report.checks if check.name == "clock"]
    assert not clock.ok
    assert clock.found.startswith("40.0 s ahead of the database's")
