"""A profile or a base value, edited in a form: planned in words, applied with an audit, undone."""

import html
import json
import subprocess

import pytest
from tests.console.conftest import ADA, BOB, Person, document
from tests.console.records import fill

import windsock
from windsock.api import Role, create_token
from windsock.console.views.changes import Patch, _percent, patch
from windsock.flagfiles.formatting import formatted
from windsock.mirror import profiles


@pytest.fixture
def writable(monkeypatch):
    monkeypatch.setenv("CONFIGURATION_API_WRITABLE", "true")


def said(connection, name="warm"):
    row = connection.execute("select settings from app_configurations where name = %s", [name]).fetchone()
    return row and row[0]


def hidden(page, name):
    return page.partition(f'name="{name}" value="')[2].partition('"')[0]


def test_the_form_is_made_from_the_schema(admin):
    page = admin.get("/profile/edit", name="warm").text
    assert 'name="f:temperature"' in page
    assert 'value="1.1"' in page
    assert "number, 0 to 2" in page
    assert "How freely it speaks." in page
    assert 'name="f:retrieval.top_k"' in page
    assert '<option value="&#34;large&#34;">' in page
    for never in "f:api_key", "hunter2", "f:endpoint", "pa55word":
        assert never not in page


def test_a_profile_is_planned_applied_and_undone(admin, connection):
    form = {
        "name": "warm",
        "active": "1",
        "description": "Speaks freely",
        "f:temperature": "1.3",
        "f:retrieval.top_k": "20",
        "f:model": '"large"',
    }
    plan = admin.send("/profile/plan", **form).text
    assert "~ temperature  1.1 → 1.3" in plan
    assert "+ retrieval  {&#34;top_k&#34;: 20}" in plan
    assert "<strong>1 user</strong>" in plan
    assert str(ADA) in plan
    assert said(connection) == {"temperature": 1.1}
    page = admin.send("/profile/apply", etag=hidden(plan, "etag"), **form)
    assert "Undo" in page.text
    assert said(connection) == {"temperature": 1.3, "retrieval": {"top_k": 20}, "model": "large"}
    change = profiles.history(connection, "warm", 1)[0]
    assert (change.actor, change.action) == ("the admin", "edit")
    admin.send("/changes/undo", id=str(change.id))
    assert said(connection) == {"temperature": 1.1}


def test_a_plan_that_changes_nobodys_values_says_so(admin, connection):
    form = {"name": "warm", "active": "1", "f:temperature": "1.1", "description": "another"}
    plan = admin.send("/profile/plan", **form).text
    assert "1 user has <bdi>warm</bdi>, and nobody\N{RIGHT SINGLE QUOTATION MARK}s values change" in plan
    del form["active"]
    assert "<strong>1 user</strong>" in admin.send("/profile/plan", **form).text, "they lose its values"
    connection.execute("update app_configurations set is_active = false")
    assert (
        "because it isn\N{RIGHT SINGLE QUOTATION MARK}t active"
        in admin.send("/profile/plan", **form, **{"f:model": '"large"'}).text
    )
    connection.execute("update profiles set config_id = null")
    assert "Nobody has <bdi>warm</bdi> yet" in admin.send("/profile/plan", **form).text


def test_a_name_that_is_taken_is_said_above_the_form(admin):
    answer = admin.send("/profile/plan", name="warm", new="1", **{"f:temperature": "1.7"})
    assert answer.status_code == 422
    assert "there is a profile &#39;warm&#39; already" in answer.text
    assert 'value="1.7"' in answer.text, "what was typed is still there"


def test_long_keys_above_a_list_are_said_once_above_the_form(admin, connection):
    wrong = {"f:channels": json.dumps([{"k" * 20_000: ["x"] * 2_000}])}
    answer = admin.send("/profile/plan", name="warm", active="1", **wrong)
    assert answer.status_code == 422
    message = (
        "settings.channels: the keys that lead to a list or an object in it have more than 1,000 characters"
    )
    assert answer.text.count(message) == answer.text.count("the keys that lead to") == 1
    assert admin.send("/profile/apply", name="warm", active="1", **wrong).status_code == 422
    assert said(connection) == {"temperature": 1.1}


def test_an_empty_field_says_nothing(admin, connection):
    form = {"name": "warm", "active": "1", "f:temperature": "", "f:greeting": '""'}
    plan = admin.send("/profile/plan", **form).text
    admin.send("/profile/apply", etag=hidden(plan, "etag"), **form)
    assert said(connection) == {"greeting": ""}


def test_a_new_profile(admin, connection):
    form = {"name": "cold", "new": "1", "active": "1", "f:temperature": "0"}
    plan = admin.send("/profile/plan", **form).text
    assert "nobody has it yet" in plan
    admin.send("/profile/apply", etag=hidden(plan, "etag"), **form)
    assert said(connection, "cold") == {"temperature": 0}
    assert admin.send("/profile/plan", **form).status_code == 422


@pytest.mark.parametrize(
    ("field", "text", "complaint"),
    [
        ("temperature", "3", "less than or equal to 2"),
        ("temperature", "warm", "Write a number"),
        ("temperature", "NaN", "finite"),
        ("retrieval.top_k", "1.5", "whole number"),
        ("model", '"medium"', "&#39;small&#39; or &#39;large&#39;"),
        ("channels", "[1", "not JSON"),
        ("channels", "3", "list"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field(admin, connection, field, text, complaint):
    answer = admin.send("/profile/plan", name="warm", active="1", **{f"f:{field}": text})
    assert answer.status_code == 422
    assert complaint in answer.text
    assert 'aria-invalid="true"' in answer.text
    etag = hidden(admin.send("/profile/plan", name="warm", active="1").text, "etag")
    answer = admin.send("/profile/apply", name="warm", active="1", etag=etag, **{f"f:{field}": text})
    assert answer.status_code == 422
    assert said(connection) == {"temperature": 1.1}


def test_a_profile_that_changed_since_the_plan_is_left_alone(admin, connection):
    form = {"name": "warm", "active": "1", "f:temperature": "1.3"}
    plan = admin.send("/profile/plan", **form).text
    connection.execute(
        """update app_configurations set settings = '{"temperature": 1.7}' where name = 'warm'"""
    )
    answer = admin.send("/profile/apply", etag=hidden(plan, "etag"), **form)
    assert answer.status_code == 409
    assert "has changed since the plan" in answer.text
    assert said(connection) == {"temperature": 1.7}
    assert "~ temperature  1.7 → 1.3" in answer.text, "the plan by now"
    admin.send("/profile/apply", etag=hidden(answer.text, "etag"), **form)
    assert said(connection) == {"temperature": 1.3}


def test_fixed_and_secret_fields_are_not_taken_from_a_form(admin, connection):
    form = {
        "name": "warm",
        "active": "1",
        "f:temperature": "1.3",
        "f:endpoint": "http://evil",
        "f:api_key": "x",
    }
    plan = admin.send("/profile/plan", **form).text
    admin.send("/profile/apply", etag=hidden(plan, "etag"), **form)
    assert said(connection) == {"temperature": 1.3}


def test_an_editor_of_other_flags_edits_nothing_here(address, connection, writable):
    editor = Person(address, create_token(connection, "eve", Role.EDITOR, ["aura"]))
    form = editor.get("/profile/edit", name="warm")
    profile = editor.send("/profile/apply", name="warm", active="1", etag="", **{"f:temperature": "1"})
    base = editor.send("/base/apply", flag="teacher", variant="production", revision="")
    editor.http.close()
    assert [each.status_code for each in (form, profile, base)] == [403, 403, 403]
    assert said(connection) == {"temperature": 1.1}


def base_plan(admin, **fields):
    page = admin.get("/base", flag="teacher").text
    form = {"flag": "teacher", "variant": "production", "revision": hidden(page, "revision")}
    form |= {f"f:{name}": text for name, text in fields.items()}
    return form, admin.send("/base/plan", **form)


def test_a_base_value_is_planned_written_and_undone(writable, admin, connection, folder):
    windsock.reload()
    before = (folder / "teacher.flagd.json").read_text()
    form, plan = base_plan(admin, temperature="0.9")
    assert "~ temperature  0.5 → 0.9" in plan.text
    assert "10,000 users" in plan.text
    assert "1 user whose profile sets temperature" in plan.text
    assert (folder / "teacher.flagd.json").read_text() == before
    admin.send("/base/apply", **form)
    written = json.loads((folder / "teacher.flagd.json").read_text())
    assert written["flags"]["teacher"]["variants"]["production"] == {"temperature": 0.9}
    assert "0.9" in admin.get("/settings", flag="teacher").text
    number, actor, done = connection.execute(
        "select id, actor, written_at is not null from windsock.configuration_audit"
    ).fetchone()
    assert (actor, done) == ("the admin", True)
    assert "temperature" in admin.get("/change", id=str(number), kind="file").text
    admin.send("/changes/undo-file", id=str(number))
    again = json.loads((folder / "teacher.flagd.json").read_text())
    assert again["flags"]["teacher"]["variants"] == json.loads(before)["flags"]["teacher"]["variants"]
    assert admin.send("/changes/undo-file", id=str(number)).status_code == 409


def test_a_value_that_was_not_there_is_cleared_by_undo(writable, admin, connection, folder):
    windsock.reload()
    form, _ = base_plan(admin, greeting="Good day")
    admin.send("/base/apply", **form)
    (number,) = connection.execute("select id from windsock.configuration_audit").fetchone()
    admin.send("/changes/undo-file", id=str(number))
    variants = json.loads((folder / "teacher.flagd.json").read_text())["flags"]["teacher"]["variants"]
    assert variants == {"production": {"temperature": 0.5}, "development": {"temperature": 0.1}}


def test_an_environments_value(writable, admin, folder):
    windsock.reload()
    page = admin.get("/base", flag="teacher", variant="development").text
    form = {
        "flag": "teacher",
        "variant": "development",
        "revision": hidden(page, "revision"),
        "f:temperature": "0.2",
    }
    assert "environments.development.temperature  0.1 → 0.2" in admin.send("/base/plan", **form).text
    admin.send("/base/apply", **form)
    variants = json.loads((folder / "teacher.flagd.json").read_text())["flags"]["teacher"]["variants"]
    assert variants == {"production": {"temperature": 0.5}, "development": {"temperature": 0.2}}


def test_a_base_value_that_does_not_fit(writable, admin):
    _, plan = base_plan(admin, temperature="9")
    assert plan.status_code == 422
    assert "less than or equal to 2" in plan.text


def test_a_file_that_changed_since_is_left_alone(writable, admin, folder):
    windsock.reload()
    form, _ = base_plan(admin, temperature="0.9")
    path = folder / "teacher.flagd.json"
    path.write_text(path.read_text().replace("0.5", "0.6"))
    answer = admin.send("/base/apply", **form)
    assert answer.status_code == 409
    assert "has changed since the plan" in answer.text
    assert "0.6" in path.read_text()
    again = admin.send("/base/plan", **form)
    assert again.status_code == 409
    assert "The file has changed since you opened the form" in again.text
    assert 'value="0.9"' in again.text, "what was written into the form"
    assert hidden(again.text, "revision") != form["revision"]


def shown_patch(plan):
    return html.unescape(plan.text.rpartition('<pre tabindex="0">')[2].partition("</pre>")[0])


def git_apply(patch, folder):
    subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=folder, check=True)


def test_without_writing_the_plan_shows_a_patch_that_git_applies(monkeypatch, admin, folder):
    path = folder / "teacher.flagd.json"
    before = path.read_text()
    form, plan = base_plan(admin, temperature="0.9")
    assert admin.send("/base/apply", **form).status_code == 403
    assert path.read_text() == before
    git_apply(shown_patch(plan), folder.parent)
    by_hand = path.read_text()
    path.write_text(before)
    monkeypatch.setenv("CONFIGURATION_API_WRITABLE", "true")
    windsock.reload()
    admin.send("/base/apply", **form)
    assert path.read_text() == by_hand != before


def test_the_patch_applies_to_a_file_that_is_indented_with_tabs(admin, folder):
    path = folder / "teacher.flagd.json"
    path.write_text(json.dumps(document(), indent="\t"))
    _, plan = base_plan(admin, temperature="0.9")
    git_apply(shown_patch(plan), folder.parent)
    assert json.loads(path.read_text())["flags"]["teacher"]["variants"]["production"]["temperature"] == 0.9


def test_the_patch_counts_lines_as_git_does(admin, folder):
    path = folder / "teacher.flagd.json"
    content = document()
    noted = content["flags"]["new_editor"] | {"metadata": {"note": "a\u2028b\u2029c\u0085d"}}
    content["flags"] = {"noted": noted, **content["flags"]}
    path.write_bytes(formatted(json.dumps(content).encode(), str(path)))
    assert "\u2028" in path.read_text()
    _, plan = base_plan(admin, temperature="0.9")
    assert "@@ -1," not in shown_patch(plan)
    git_apply(shown_patch(plan), folder.parent)
    assert json.loads(path.read_text())["flags"]["noted"] == noted


@pytest.mark.parametrize(("old", "text"), [("\n", "\r\n"), ("owner", "\u202e")])
def test_a_patch_that_a_page_cannot_show_as_it_is_is_not_shown(admin, folder, old, text):
    path = folder / "teacher.flagd.json"
    path.write_bytes(path.read_bytes().replace(old.encode(), text.encode()))
    _, plan = base_plan(admin, temperature="0.9")
    assert "characters that a page can&#39;t show as they are" in plan.text
    assert '<pre tabindex="0">' not in plan.text


@pytest.mark.parametrize("where", [".", "flagd", "/"])
def test_a_patch_of_an_absolute_path_applies(folder, monkeypatch, where):
    path = (folder / "teacher.flagd.json").absolute()
    before = path.read_bytes()
    after = before.replace(b"0.5", b"0.6")
    monkeypatch.chdir(folder.parent / where)
    made = patch(path, before, after)
    git_apply(made.text, folder.parent if where == "/" else folder.parent / where)
    assert path.read_bytes() == after != before


@pytest.mark.usefixtures("folder")
def test_a_file_outside_of_git_has_no_patch(tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "teacher.flagd.json"
    assert patch(path, b"{}", b"[]") == Patch(
        fault="the file is neither in a Git repository nor in the working directory"
    )


@pytest.mark.slow
def test_a_patch_of_a_large_file_is_the_change_alone(admin, folder):
    path = folder / "teacher.flagd.json"
    changed = document()
    changed["flags"] |= {f"flag_{number:05}": changed["flags"]["new_editor"] for number in range(3_000)}
    path.write_bytes(formatted(json.dumps(changed).encode(), str(path)))
    _, plan = base_plan(admin, temperature="0.9")
    assert "git apply" in plan.text
    assert len(plan.content) < 10_000


def test_a_plan_counts_the_users_of_the_usage_log(admin, connection):
    fill(connection, 30)
    _, plan = base_plan(admin, temperature="0.9")
    assert f"2 of 2 users (100\xa0%) get another value, such as {BOB}.</bdi>" in plan.text, "not Ada"
    assert "Except where something stronger sets it" in plan.text
    assert "1 user whose profile sets temperature" in plan.text
    assert "the users of usage_logs" in plan.text


@pytest.mark.parametrize(
    ("share", "words"),
    [(1, "100"), (0.5, "50"), (0.1234, "12.34"), (0.000_01, "under 0.01"), (0.999_999, "over 99.99")],
)
def test_a_share_is_never_rounded_to_all_or_none(share, words):
    assert _percent(share) == f"{words}\xa0%"


def test_a_plan_asks_no_rule_about_hashes_of_ids(monkeypatch, admin, connection):
    fill(connection, 30)
    monkeypatch.setenv("WINDSOCK_USER_ID_KEY", "k" * 32)
    _, plan = base_plan(admin, temperature="0.9")
    assert "10,000 made-up users" in plan.text


def test_a_flag_in_yaml_is_shown_and_its_form_says_that_it_is_not_written(admin, folder):
    path = folder / "teacher.flagd.json"
    path.rename(path.with_suffix(".yaml"))  # JSON is YAML
    windsock.reload()
    page = admin.get("/base", flag="teacher")
    assert page.status_code == 503
    assert "move the flag &#39;teacher&#39; to a *.flagd.json" in page.text
    assert admin.get("/settings", flag="teacher").status_code == 200
