"""An experiment is decided from its page: the proposal as a plan, recorded, and carried out when asked."""

import json

import pytest
from tests.console.test_editing import git_apply, hidden, shown_patch
from tests.experiments import engines
from tests.experiments.data import GOOD
from tests.experiments.test_decision import many

import windsock
from windsock.api import Role

pytestmark = pytest.mark.slow  # each report takes seconds


@pytest.fixture
def declared(database, connection, folder, monkeypatch):
    """A running experiment that is won."""
    monkeypatch.setenv("CONFIGURATION_API_WRITABLE", "true")
    text = GOOD.replace("  secondary: [revenue]\n", "").replace(", margin: 50%", "").replace("5000", "900")
    text = text.replace("{reasoning_model: small}", "{temperature: 0.3, retrieval: {top_k: 20}}")
    (folder / "experiments" / "cheaper_model.yaml").write_text(text)
    with engines.postgres(many(1000, costs={"control": 0.02, "cheaper": 0.015}), database):
        pass
    return folder


@pytest.fixture
def running(declared, admin):
    windsock.reload()
    plan = admin.send("/experiment/plan", name="cheaper_model", action="start").text
    form = {"name": "cheaper_model", "action": "start", "plan": hidden(plan, "plan")}
    assert admin.send("/experiment/apply", **form).status_code == 200
    return declared


def snapshots(connection):
    return connection.execute("select experiment, decision from windsock.analysis_snapshots").fetchall()


def form_of(page, do):
    form = page.partition('action="/experiment/decide/apply"')[2]
    return {name: hidden(form, name) for name in ("name", "proposal", "plan")} | {"do": do}


def flags_of(folder):
    return {
        key: flag
        for path in folder.glob("*.flagd.json")
        for key, flag in json.loads(path.read_text())["flags"].items()
    }


def test_a_won_arm_is_shipped_behind_its_plan(running, admin, connection):
    page = admin.get("/experiment", name="cheaper_model").text
    assert "Decide…" in page
    plan = admin.send("/experiment/decide", name="cheaper_model").text
    assert "Ship <bdi>cheaper</bdi>" in plan
    assert "Cost per request is better in cheaper" in plan
    assert "~ teacher/variants/production/temperature  0.5 → 0.3" in plan
    assert "- teacher.experiment/targeting" in plan
    assert "10,000 of 10,000 users" in plan
    assert snapshots(connection) == [], "a plan records nothing"
    done = admin.send("/experiment/decide/apply", **form_of(plan, "apply"))
    assert "not running" in done.text
    assert snapshots(connection) == [("cheaper_model", "win")]
    flags = flags_of(running)
    assert flags["teacher"]["variants"] == {
        "production": {"temperature": 0.3, "retrieval": {"top_k": 20}},
        "development": {"temperature": 0.1},
    }
    assert "targeting" not in flags["teacher.experiment"]
    assert admin.get("/changes").text.count("the admin") >= 3, "start, and both flags of shipping"


def test_a_decision_is_recorded_and_nothing_else(running, admin, connection):
    before = flags_of(running)
    plan = admin.send("/experiment/decide", name="cheaper_model").text
    done = admin.send("/experiment/decide/apply", **form_of(plan, "record"))
    assert "Recorded" in done.text
    assert snapshots(connection) == [("cheaper_model", "win")]
    assert flags_of(running) == before


def test_a_proposal_that_is_another_by_now_is_refused(running, admin, connection):
    plan = admin.send("/experiment/decide", name="cheaper_model").text
    form = form_of(plan, "apply")
    assert admin.send("/experiment/decide/apply", **form | {"plan": "x"}).status_code == 409
    connection.execute("update usage_logs set cost = 0.01")
    assert admin.send("/experiment/decide/apply", **form).status_code == 409
    assert snapshots(connection) == []
    assert flags_of(running)["teacher"]["variants"]["production"] == {"temperature": 0.5}


def test_an_experiment_that_does_not_run_is_recorded_only(declared, admin, connection):
    plan = admin.send("/experiment/decide", name="cheaper_model").text
    assert "cheaper_model doesn&#39;t run" in plan
    assert "Record and ship" not in plan
    admin.send("/experiment/decide/apply", **form_of(plan, "apply") | {"plan": ""})
    assert snapshots(connection) == [("cheaper_model", "win")]


def test_without_writing_the_proposal_is_a_patch(running, admin, connection, monkeypatch):
    monkeypatch.delenv("CONFIGURATION_API_WRITABLE")
    windsock.reload()
    plan = admin.send("/experiment/decide", name="cheaper_model")
    assert "Record and ship" not in plan.text
    for part in plan.text.split("<pre")[1:]:
        git_apply(shown_patch(type(plan)(200, text=f"<pre{part}")), running.parent)
    assert flags_of(running)["teacher"]["variants"]["production"]["temperature"] == 0.3


def test_an_experiment_without_data_goes_on(admin, connection):
    plan = admin.send("/experiment/decide", name="cheaper").text
    assert "Go on" in plan
    assert "Record only" not in plan
    done = admin.send("/experiment/decide/apply", **form_of(plan, "record") | {"plan": ""})
    assert "Recorded" in done.text
    assert snapshots(connection) == [("cheaper", "collecting")]


def test_an_editor_decides_nothing(as_role):
    editor = as_role(Role.EDITOR)
    for path in ("/experiment/decide", "/experiment/decide/apply"):
        assert editor.send(path, name="cheaper").status_code == 403
