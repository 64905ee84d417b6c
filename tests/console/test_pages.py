"""Each page on real rows: home, flags, usage, quarantine, experiments."""

import html
import json
import re

import pytest
from openfeature import api as openfeature
from psycopg.types.json import Jsonb
from tests.console.conftest import Person, document, serving
from tests.console.records import fill

import windsock
from windsock.api import Role, create_token
from windsock.console import application
from windsock.console.door import ConsoleDoor
from windsock.console.visits import Route


def hidden(page, name):
    return page.partition(f'name="{name}" value="')[2].partition('"')[0]


def test_home_says_what_needs_doing(admin, connection):
    page = admin.get("/").text
    assert "new_editor expired on 2020-01-01" in page
    connection.execute("update app_configurations set settings = '{\"temperature\": 9}'")
    connection.execute(
        "insert into windsock.mirrors values ('main', 'f', now(), now(), 'the disk is full'),"
        " ('old', 'f', now() - interval '1 hour', null, ''), ('new', 'f', now(), null, '')"
    )
    fill(connection, 10)
    page = admin.get("/").text
    assert "warm does not fit: temperature" in page
    assert "is in trouble: the disk is full" in page
    assert "The mirror old has not reported for 60 min" in page
    assert "Start it again: <code>windsock mirror run</code>." in page
    assert "The mirror new is behind: it has written nothing yet" in page
    assert "model of teacher.profile is withdrawn" in page


def test_home_leaves_another_applications_profile_alone_as_the_mirror_does(admin, connection):
    connection.execute(
        "insert into app_configurations (name, settings) values ('theirs', '{\"speed\": 9}'), ('near', '{\"modle\": 1}')"
    )
    page = admin.get("/").text
    assert "near does not fit: modle" in page
    assert "theirs" not in page


def test_home_of_a_project_without_a_complaint(admin, connection, folder):
    changed = document()
    del changed["flags"]["new_editor"]
    (folder / "teacher.flagd.json").write_text(json.dumps(changed))
    windsock.reload()
    assert "All is well" in admin.get("/").text


@pytest.mark.parametrize(
    ("path", "asked", "area"),
    [("/", {}, "Home"), ("/user", {"id": "a"}, "People"), ("/profile", {"name": "warm"}, "Settings"),
     ("/base", {"flag": "teacher"}, "Settings"), ("/flag", {"key": "new_editor"}, "Flags"),
     ("/experiment", {"name": "cheaper"}, "Experiments"), ("/changes", {}, "Changes")],
)  # fmt: skip
def test_the_area_of_each_page_is_marked(admin, path, asked, area):
    answer = admin.get(path, **asked)
    assert answer.status_code == 200
    assert f' aria-current="page">{area}</a>' in answer.text


def test_flags_in_words(admin):
    page = admin.get("/flags").text
    assert "new_editor" in page
    assert "editors" in page
    assert "new_editor" not in admin.get("/flags", q="teach").text.partition("<main")[2]
    page = admin.get("/flag", key="new_editor").text
    assert "on 10 %, off 90 %" in page
    assert 'aria-label="on 10 %, off 90 %"' in page
    assert "Flags of the teacher" in page, "the commit"
    assert "+ new_editor" in page
    assert "Change(" not in page
    assert admin.get("/flag", key="nothing").status_code == 404


def test_what_if(admin):
    page = admin.get("/flag", key="new_editor", user="ada", attributes="tier=pro").text
    assert "Gives" in page
    assert "a rule decided" in page
    assert "tier = &#34;pro&#34;" in page


def test_ten_thousand_flags_are_pages(admin, folder):
    changed = document()
    body = {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}
    changed["flags"] |= {f"flag_{number:05}": body for number in range(10_000)}
    (folder / "teacher.flagd.json").write_text(json.dumps(changed))
    page = admin.get("/flags")
    assert len(page.content) <= 100_000
    assert "10,002 flags" in page.text
    assert "flag_00060" not in page.text
    assert "flag_00060" in admin.get("/flags", page="2").text


def test_the_last_requests_are_of_the_chosen_class_and_span(admin, connection):
    connection.cursor().executemany(
        "insert into usage_logs (id, requested_at, user_id, environment, flag, values, healed)"
        " values (gen_random_uuid(), now() - %s::interval, %s, 'test', %s, '{}', '[]')",
        [
            ("1 hour", "fresh", "teacher"),
            ("3 days", "older", "teacher"),
            ("1 hour", "foreign", "another-class"),
        ],
    )

    def shown(**asked):
        page = admin.get("/usage", **asked).text
        requests = page[page.index("<h2>Last requests</h2>") :]
        return {user for user in ("fresh", "older", "foreign") if user in requests}

    assert shown(span="day") == {"fresh", "foreign"}
    assert shown(span="week") == {"fresh", "older", "foreign"}
    assert shown(span="week", flag="teacher") == {"fresh", "older"}
    assert shown(span="day", flag="teacher") == {"fresh"}


def test_usage_as_plots_and_a_table(admin, connection):
    assert "No request in the last day" in admin.get("/usage").text
    fill(connection)
    for by, name in ("profile", "warm"), ("model", "small-2026-04"), ("variant", "production"):
        page = admin.get("/usage", by=by, span="week")
        assert page.text.count('<svg viewBox="0 0 420 150"') == 6
        assert name in page.text
        assert len(page.content) <= 100_000
    number = page.text.partition("/request?id=")[2].partition('"')[0]
    row = admin.get("/request", id=number).text
    assert "temperature" in row
    assert "5f3c2a1b9d0e" in row
    assert " UTC</bdi>" in row
    then = html.unescape(row.partition('href="/user?')[2].partition('"')[0])
    assert "&at=20" in then, "what they got at that moment"
    assert admin.http.get(f"/user?{then}").status_code in {200, 422}, "Git may be younger than the request"
    healed = connection.execute("select id from usage_logs where healed <> '[]' limit 1").fetchone()
    assert "failed, fell to small: no such model" in admin.get("/request", id=str(healed[0])).text
    assert admin.get("/request", id="x").status_code == 404


@pytest.mark.parametrize("healed", [{"a": 1}, ["x", None, 3], "x", 4])
@pytest.mark.parametrize("values", [["a"], "x", 4])
def test_a_row_of_other_software_is_shown(admin, connection, values, healed):
    row = connection.execute(
        "insert into usage_logs (id, requested_at, environment, flag, values, healed)"
        " values (gen_random_uuid(), now(), 'test', 'teacher', %s, %s) returning id",
        [Jsonb(values), Jsonb(healed)],
    ).fetchone()
    assert "None." in admin.get("/request", id=str(row[0])).text
    assert admin.get("/usage").status_code == 200


def test_lifting_a_withdrawn_value(admin, reader, connection):
    assert "Nothing is withdrawn" in admin.get("/quarantine").text
    fill(connection, 0)
    page = admin.get("/quarantine").text
    assert "no such model" in page
    assert '<td data-name="Requests" class="n">5</td>' in page
    assert '<button aria-label="Lift' not in reader.get("/quarantine").text
    where = connection.execute(
        "select flag, variant, field, fingerprint from windsock.withdrawals"
    ).fetchone()
    form = dict(zip(("flag", "variant", "field", "fingerprint"), where, strict=True))
    assert "is served again" in admin.send("/quarantine/lift", **form).text
    assert connection.execute("select lifted_at is not null from windsock.withdrawals").fetchone() == (True,)
    assert admin.send("/quarantine/lift", **form).status_code == 404


def test_a_withdrawn_value_of_a_profile_is_taken_out_for_good(admin, reader, connection):
    connection.execute('update app_configurations set settings = \'{"temperature": 1.1, "model": "huge"}\'')
    fill(connection, 0)
    page = admin.get("/quarantine").text
    assert "Take out model of teacher.profile" in page
    assert '<form method="post" action="/profile/plan">' not in reader.get("/quarantine").text
    form = page.partition('action="/profile/plan">')[2].partition("</form>")[0]
    sent = {name: html.unescape(text) for name, text in re.findall('name="([^"]+)" value="([^"]*)"', form)}
    plan = admin.send("/profile/plan", **sent).text
    assert "- model  &#34;huge&#34;" in plan
    assert "~" not in plan.partition('class="plan"')[2].partition("</ul>")[0], "nothing else changes"


def test_a_withdrawn_base_value_is_taken_out_behind_its_plan(admin, connection):
    connection.execute(
        "insert into windsock.withdrawals (flag, variant, field, fingerprint, value, reason, expires_at) values"
        " ('teacher', 'production', 'temperature', 'x', '0.5', 'failed', now() + interval '50 min')"
    )
    page = admin.get("/quarantine").text
    form = page.partition('action="/base/plan">')[2].partition("</form>")[0]
    sent = dict(re.findall('name="([^"]+)" value="([^"]*)"', form))
    assert "- temperature  0.5" in admin.send("/base/plan", **sent).text


def test_home_names_rollouts_at_their_last_step_and_not_those_under_way(admin, folder):
    changed = document()
    for name, until in ("over", 1_700_000_000), ("going", 4_000_000_000):
        rule = {
            "if": [
                {"<": [{"var": "$flagd.timestamp"}, until]},
                "off",
                {"fractional": [["on", 50], ["off", 50]]},
            ]
        }
        changed["flags"][name] = changed["flags"]["new_editor"] | {
            "targeting": rule,
            "metadata": {"owner": "x"},
        }
    (folder / "teacher.flagd.json").write_text(json.dumps(changed))
    page = admin.get("/").text
    assert "The rollout of over has been at its last step since 2023-11-14" in page
    assert "going" not in page
    flags = admin.get("/flags").text
    assert "rolled out" in flags
    assert "rolling out" in flags


@pytest.mark.slow  # its report takes seconds
def test_home_names_a_running_experiment_that_is_invalid(admin, connection, folder):
    changed = document()
    changed["flags"]["teacher"]["metadata"]["experiment"] = "cheaper"
    (folder / "teacher.flagd.json").write_text(json.dumps(changed))
    connection.execute(
        "insert into windsock.analysis_snapshots (experiment, version, environment, taken_at, decision, declared, collected)"
        " values ('cheaper', 1, 'production', now(), 'invalid', '{}', '{}')"
    )
    assert "cheaper is decided: invalid" in admin.get("/").text


def test_changes_are_of_profiles_or_of_files(admin, connection):
    fill(connection, 0)
    connection.execute(
        "insert into windsock.configuration_audit (actor, flag, file, revision_before, revision_after, request, changed)"
        " values ('cy', 'teacher', 'f', '', '', '{}', '{\"/temperature\": [0.4, 0.5]}')"
    )
    found = {}
    for kind in "profile", "file", "another", "":
        page = admin.get("/changes", kind=kind).text
        found[kind] = {who for who in ("Ann", "cy") if f"<bdi>{who}</bdi></td>\n" in page}
    assert found == {"profile": {"Ann"}, "file": {"cy"}, "another": {"Ann", "cy"}, "": {"Ann", "cy"}}


def test_pages_say_that_git_cannot_be_read(admin, folder):
    page = admin.get("/changes").text
    assert "Flags of the teacher" in page
    assert re.search(
        r'data-name="When \(UTC\)">\d{4}-\d\d-\d\d \d\d:\d\d:\d\d</td><td data-name="Who"><bdi>Ann', page
    )
    (folder.parent / ".git").rename(folder.parent / "elsewhere")
    page = admin.get("/changes")
    assert page.status_code == 200
    assert "Git can't be read: git rev-parse: " in page.text


def test_flags_say_their_age_and_who_changed_them_last(admin):
    page = admin.get("/flags").text.partition("<tbody>")[2]
    assert "Ann" in page
    assert re.search(r"\d+ (s|min) ago", page)


def by_hand(folder, key="teacher.experiment", **changed):
    """A flag that splits users without a document."""
    flag = {
        "state": "ENABLED",
        "variants": {"control": {}, "warm": {"temperature": 1.1}},
        "defaultVariant": "control",
        "targeting": {"fractional": [["control", 50], ["warm", 50]]},
    }
    (folder / "hand.flagd.json").write_text(json.dumps({"flags": {key: flag | changed}}))


def test_the_list_says_what_each_experiment_is_about(admin, folder):
    row = admin.get("/experiments").text.partition("<tbody>")[2]
    for said in (
        "cheaper</bdi></a>",
        "The small model is as good as the large one.",
        "not running",
        "teaching",
    ):
        assert said in row
    assert "not declared" not in row
    (folder / "experiments" / "cheaper.yaml").write_text("name: [\n")
    row = admin.get("/experiments").text.partition("<tbody>")[2]
    assert "cheaper</bdi></a>" in row
    assert "unknown" in row


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({}, "teacher.experiment"),
        ({"metadata": {"experiment": "warmth", "owner": "zoe"}}, "warmth"),
        ({"metadata": {"experiment": "<b>"}}, "&lt;b&gt;"),
    ],
)
def test_an_experiment_without_a_document_is_listed_and_marked(admin, folder, changed, name):
    by_hand(folder, **changed)
    row = admin.get("/experiments").text.partition("<tbody>")[2]
    assert f"<bdi>{name}</bdi></a>" in row
    assert row.count("not declared") == 1
    assert row.count(">running<") == 1
    assert ("zoe" in row) == ("owner" in changed.get("metadata", {}))


@pytest.mark.parametrize("changed", [{"targeting": {}}, {"metadata": {"experiment": "cheaper"}}])
def test_a_flag_that_splits_nobody_or_has_a_document_is_no_other_experiment(admin, folder, changed):
    by_hand(folder, **changed)
    assert "not declared" not in admin.get("/experiments").text


@pytest.mark.slow  # its report takes seconds
def test_an_experiment_without_a_document_has_a_page_that_changes_nothing(admin, folder):
    by_hand(folder)
    page = admin.get("/experiment", name="teacher.experiment").text
    assert "has no document, so its figures are exploratory" in page
    for action in ("Start…", "Stop…", "Update…", "Decide…"):
        assert action not in page
    for path in ("/experiment/plan", "/experiment/apply", "/experiment/decide", "/experiment/decide/apply"):
        assert admin.send(path, name="teacher.experiment").status_code == 404
    assert admin.get("/experiment", name="teacher.experimen").status_code == 404


@pytest.mark.slow
def test_an_experiment_is_started_and_stopped_behind_its_plan(monkeypatch, admin, connection, folder):
    monkeypatch.setenv("CONFIGURATION_API_WRITABLE", "true")
    windsock.reload()
    assert "cheaper" in admin.get("/experiments").text
    plan = admin.send("/experiment/plan", name="cheaper", action="start").text
    assert "teacher.experiment" in plan
    before = (folder / "teacher.flagd.json").read_text()
    seen = hidden(plan, "plan")
    assert admin.send("/experiment/apply", name="cheaper", action="start", plan="x").status_code == 409
    assert (folder / "teacher.flagd.json").read_text() == before
    page = admin.send("/experiment/apply", name="cheaper", action="start", plan=seen).text
    assert '<span class="tag info">running</span>' in page
    plan = admin.send("/experiment/plan", name="cheaper", action="stop").text
    admin.send("/experiment/apply", name="cheaper", action="stop", plan=hidden(plan, "plan"))
    assert "not running" in admin.get("/experiments").text
    changes = admin.get("/changes", flag="teacher.experiment").text
    assert changes.count("/change?id=") == changes.count("<bdi>the admin</bdi></td>") == 2
    number = changes.partition("/change?id=")[2].partition("&")[0]
    assert "Undo" not in admin.get("/change", id=number, kind="file").text, "started and stopped on its page"
    assert admin.send("/changes/undo-file", id=number).status_code == 422


@pytest.mark.slow
def test_the_report_is_live(admin, connection):
    fill(connection)
    page = admin.get("/experiment", name="cheaper")
    assert page.status_code == 200
    assert "Who was exposed" in page.text


def test_every_mistake_of_an_experiment_has_a_line_of_its_own(admin, folder):
    path = folder / "experiments" / "cheaper.yaml"
    declared = path.read_text()
    mistakes = [
        f"<code>{name}</code> {said}"
        for name, said in (
            ("owner", "is missing"),
            ("first", "is not known here"),
            ("second", "is not known here"),
        )
    ]
    try:
        path.write_text(declared.replace("owner: teaching\n", "first: 1\nsecond: 2\n"))
        page = admin.get("/experiment", name="cheaper").text
        plan = admin.send("/experiment/plan", name="cheaper", action="start")
    finally:
        path.write_text(declared)
    assert plan.status_code == 422
    for shown in (page, plan.text):
        said = shown.partition('<p class="lines">')[2].partition("</p>")[0].splitlines()
        assert len(said) == 3
        assert all(any(mistake in line for line in said) for mistake in mistakes), said


def test_an_editor_starts_no_experiment(as_role):
    editor = as_role(Role.EDITOR)
    assert editor.send("/experiment/plan", name="cheaper", action="start").status_code == 403


def test_a_page_that_breaks_says_so_as_a_page(console, connection, caplog):
    """A bug of ours, here a handler that divides by zero: no traceback for the visitor, all of it in the log."""
    app, door = application(console), ConsoleDoor(console)
    app.add_route("/broken", door.endpoint(Route("/broken", lambda _: 1 // 0)), ["GET"])
    token = create_token(connection, "the visitor", Role.READER)
    with windsock.start(flags=console.flags, usage=False), serving(app) as address:
        person = Person(address, token)
        page = person.get("/broken")
        person.http.close()
    door.close()
    openfeature.shutdown()
    assert page.status_code == 500
    assert "Sign out" in page.text, "the other pages are still a click away"
    assert "This page failed" in page.text
    assert "ZeroDivision" not in page.text
    assert "ZeroDivisionError" in caplog.text
