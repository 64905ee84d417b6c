"""What an examination finds on the machine and in the database."""

import time
from pathlib import Path

import pytest
from tests.processor import at_most

from windsock.doctor.checkup import Report, look_at_database, look_at_machine


def test_a_clock_that_is_wrong(database: str, monkeypatch) -> None:
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 40)
    report = Report(lambda _: None)
    look_at_database(report, database)
    assert report.problems
    [clock] = [check for check in report.checks if check.name == "clock"]
    assert not clock.ok
    assert clock.found.startswith("40.0 s ahead of the database's")


@pytest.mark.parametrize(
    "code",
    [
        "from windsock.contrib.asgi import RequestMiddleware, lifespan\n",
        "from windsock.contrib.asgi import (\n    RequestMiddleware,\n    lifespan,\n)\n",
        "import windsock\nINSTALLED_APPS += ['windsock.contrib.django']\n",
        "from windsock import feature, start\n",
    ],
    ids=["lifespan", "lines", "django", "imported"],
)
def test_a_service_that_a_framework_starts_is_started(tmp_path: Path, monkeypatch, code: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "service.py").write_text(f"import windsock\n{code}")
    report = Report(lambda _: None)
    look_at_machine(report)
    assert [check.found for check in report.checks if check.name == "started"] == ["by service.py"]


@pytest.mark.parametrize(
    "code",
    ["from windsock.contrib.asgi import RequestMiddleware\n\nlifespan = None\n",
     "from windsock.contrib.asgi import (\n    RequestMiddleware,\n)\n\nlifespan = None\n"],
    ids=["line", "lines"],
)  # fmt: skip
def test_a_lifespan_of_its_own_starts_nothing(tmp_path: Path, monkeypatch, code: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "service.py").write_text(f"import windsock\n{code}")
    report = Report(lambda _: None)
    look_at_machine(report)
    assert [check.ok for check in report.checks if check.name == "started"] == [False]


@pytest.mark.parametrize(
    "text",
    ["\n" * 40_000, "from windsock import " * 10_000, "from windsock.contrib.asgi import (\n" * 4_000],
    ids=["blank lines", "imports", "brackets"],
)
def test_no_python_file_takes_long_to_read(tmp_path: Path, monkeypatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "service.py").write_text(text)
    with at_most(5):  # not by reading the rest of the file from each line on
        look_at_machine(Report(lambda _: None))
