"""Experiments on the AI Teacher's own traffic: what goes wrong with one is called what it is."""

import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from app.core.config import Settings
from app.main import app
from fastapi.testclient import TestClient
from tests.waiting import eventually

import windsock

WINDSOCK = Path(sys.executable).parent / "windsock"
REPOSITORY = Path(__file__).parents[2]
PUPILS = 300
NO_DIFFERENCE = "NO EFFECT: No arm changes a goal by 20 % or more: keep control."

TIMES = (
    ("windsock.exposures", "first_exposed_at"),
    ("public.usage_logs", "requested_at"),
    ("windsock.withdrawals", "withdrawn_at"),
)

pytestmark = pytest.mark.slow


class School:
    """The service, its database, and the experiment's commands."""

    def __init__(self, client, endpoint, sql, flags):
        self.client, self.endpoint, self.sql, self.flags = client, endpoint, sql, flags
        self.pupils = []

    def windsock(self, *arguments):
        done = subprocess.run(
            [WINDSOCK, *arguments], capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def declare(self, name, arm):
        (self.flags / "experiments").mkdir(exist_ok=True)
        (self.flags / "experiments" / f"{name}.yaml").write_text(
            f"name: {name}\nhypothesis: It answers better.\nowner: ann\nsettings: teacher\n"
            f"arms: {{control: {{}}, other: {arm}}}\n"
            "metrics: {goal: [cost_per_request], guardrails: [error_rate]}\n"
            f"minimum_effect: 20%\nmaximum: {{units: {PUPILS}}}\n"
        )
        self.windsock("experiment", "start", name)
        windsock.reload()

    def ask(self, pupil):
        """One question, as long as the pupil's id says."""
        words = " ".join(["why"] * (5 + pupil.int % 40))
        reply = self.client.post("/chat", json={"user_id": str(pupil), "message": words})
        assert reply.status_code == 200, reply.text
        return reply.json()

    def enrol(self, count):
        """Pupils whose ids are the same in every run, each with a full wallet and one question."""
        new = [uuid.uuid5(uuid.NAMESPACE_OID, f"pupil {len(self.pupils) + each}") for each in range(count)]
        for pupil in new:
            self.sql("insert into profiles (id) values (%s)", pupil)
            self.sql("insert into wallets (user_id, tier, balance) values (%s, 'free', 100)", pupil)
            self.ask(pupil)
        self.pupils += new
        self.recorded("usage_logs", len(self.pupils))
        self.recorded("windsock.exposures", len(self.pupils))

    def recorded(self, table, count):
        eventually(lambda: self.sql(f"select count(*) from {table}")[0][0] >= count)

    def arm_of(self, pupil):
        return self.sql("select arm from windsock.exposures where unit = %s", str(pupil))[0][0]

    def status(self, name):
        self._let_a_week_pass()
        return " ".join(self.windsock("experiment", "status", name).split())

    def report(self, name):
        self._let_a_week_pass()
        self.windsock("experiment", "report", name, "--out", "report.html", "--looks", "0")
        return " ".join(Path("report.html").read_text().split())

    def _let_a_week_pass(self):
        """Everything that was recorded since the last time happened eight days ago."""
        for table, column in TIMES:
            self.sql(
                f"update {table} set {column} = {column} - interval '8 days'"
                f" where {column} > now() - interval '4 days'"
            )


@pytest.fixture
def school(*, monkeypatch, flags, endpoint, database_url, mirror, sql):
    (flags / "teacher.flagd.json").write_bytes((REPOSITORY / "flagd/teacher.flagd.json").read_bytes())
    for name, value in {"BASE_URL": endpoint.url, "API_KEY": "none", "LOG": ""}.items():
        monkeypatch.setenv(f"OPENAI_{name}", value)
    monkeypatch.setenv("WALLET_SECONDS", "30")
    monkeypatch.setenv("ENVIRONMENT", "production")
    mirror("teacher")
    with TestClient(app) as client:
        yield School(client, endpoint, sql, flags)


def test_an_a_a_test_and_each_fault_injected_into_it_are_called_what_they_are(school):
    school.declare("a_a", "{retrieval_top_k: 10}")  # what the code has anyway
    school.enrol(PUPILS)
    assert school.status("a_a").startswith(NO_DIFFERENCE)
    assert NO_DIFFERENCE.partition(": ")[2] in school.report("a_a")

    late, *others = [pupil for pupil in school.pupils if school.arm_of(pupil) == "other"]
    school.windsock("profile", "create", "deeper", "--set", "retrieval_top_k=50")
    school.windsock("profile", "assign", "deeper", str(late))
    eventually(lambda: Settings.for_user(str(late)).retrieval_top_k == 50)
    school.ask(late)
    school.recorded("usage_logs", PUPILS + 1)
    shown = school.status("a_a")
    assert shown.startswith(NO_DIFFERENCE)
    assert "1 unit of other had a profile after the first exposure" in shown

    crossing = others[: PUPILS // 20]
    flag = school.flags / "teacher.experiment.flagd.json"
    declared = flag.read_text()
    flag.write_text(declared.replace('["other", 5000]', '["control", 5000]'))  # by hand, not by `start`
    windsock.reload()
    for pupil in crossing:
        school.ask(pupil)
    school.recorded("windsock.exposures", PUPILS + len(crossing))
    shown = school.status("a_a")
    assert shown.startswith(
        f"INVALID: a_a cannot be judged: {len(crossing)} of {PUPILS} units were in two arms."
    )
    assert f"{len(crossing)} units in two arms, counted in none." in shown

    school.sql("delete from windsock.exposures where unit = any(%s)", [str(each) for each in crossing])
    lost = [str(each) for each in others[len(crossing) : len(others) // 2]]
    school.sql("delete from windsock.exposures where unit = any(%s)", lost)
    shown = school.status("a_a")
    assert shown.startswith("INVALID: a_a cannot be judged: the arms differ from the declared sizes (")
    assert "the arms differ from the declared sizes" in school.report("a_a")


def test_a_model_that_its_vendor_turns_off_contaminates_the_version(school):
    school.declare("large", "{reasoning_model: gpt-4o}")
    school.enrol(24)
    assert school.status("large").startswith("COLLECTING: ")
    school.endpoint.models = ("gpt-4o-mini",)
    treated = [pupil for pupil in school.pupils if school.arm_of(pupil) == "other"]
    assert {school.ask(pupil)["model"] for pupil in treated} == {"gpt-4o-mini"}  # healed, request by request
    school.recorded("windsock.withdrawals", 1)
    shown = school.status("large")
    assert shown.startswith(
        "INVALID: large cannot be judged: version 1 is contaminated: reasoning_model of other was withdrawn on "
    )
    assert f"while {len(treated)} of its units were being counted; declare a new version." in shown
    assert "version 1 is contaminated: reasoning_model of other was withdrawn" in school.report("large")
