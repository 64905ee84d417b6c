"""A flag goes back to an earlier version from its page: behind a plan, checked and recorded as every write."""

import json
import subprocess

import pytest
from tests.console.conftest import Person, document, git
from tests.console.test_editing import git_apply, hidden, shown_patch

import windsock
from windsock.api import Role, create_token
from windsock.flagfiles.formatting import formatted


@pytest.fixture
def writable(monkeypatch):
    monkeypatch.setenv("CONFIGURATION_API_WRITABLE", "true")


def commit(folder, message, **flags):
    """Commit some flags beside those of the first commit; gives the commit's hash."""
    path = folder / "teacher.flagd.json"
    content = document()
    content["flags"] |= flags
    path.write_bytes(formatted(json.dumps(content).encode(), str(path)))
    git(folder.parent, "commit", "-qam", message)
    return head(folder)


def head(folder):
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def until_listed(person, key, revision):
    """Open a flag's page until it lists a commit: Git is read in the background."""
    while f'value="{revision}"' not in person.get("/flag", key=key).text:
        pass


def switch(**changed):
    return {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off", **changed}


@pytest.fixture
def versions(folder):
    """Two commits with a switch that was off for everybody, and then on."""
    off = commit(folder, "A switch that is off", switch=switch())
    on = commit(folder, "Everybody gets it", switch=switch(defaultVariant="on"))
    return off, on


def current(folder, key="switch"):
    return json.loads((folder / "teacher.flagd.json").read_text())["flags"][key]


def go_back(person, revision, key="switch"):
    """Look at the plan and apply it; gives both answers."""
    plan = person.send("/flag/plan", key=key, revision=revision)
    return plan, person.send("/flag/apply", key=key, revision=revision, plan=hidden(plan.text, "plan"))


@pytest.mark.usefixtures("writable")
def test_a_flag_goes_back_behind_its_plan_and_the_change_is_undone(versions, admin, connection, folder):
    windsock.reload()
    off, on = versions
    page = admin.get("/flag", key="switch").text
    assert f'value="{off}"' in page
    assert f'value="{on}"' not in page, "what is there now"
    plan = admin.send("/flag/plan", key="switch", revision=off)
    assert "~ switch/defaultVariant  &#34;on&#34; → &#34;off&#34;" in plan.text
    assert "10,000 of 10,000 users (100\xa0%) get another value" in plan.text
    assert current(folder)["defaultVariant"] == "on", "nothing is changed by a plan"
    others = current(folder, "teacher")
    _, done = go_back(admin, off)
    assert current(folder) == switch()
    assert current(folder, "teacher") == others
    assert "the admin" in done.text
    assert "~ switch/defaultVariant" in done.text
    row = connection.execute("select flag, file, written_at is not null from windsock.configuration_audit")
    assert row.fetchone() == ("switch", "flagd/teacher.flagd.json", True)
    page = admin.get("/flag", key="switch", user="ada").text
    assert "This version isn't committed to Git yet." in page
    assert f'value="{on}"' in page, "back and forth"
    number = done.text.partition("/change?id=")[2].partition("&")[0]
    assert "The flag now" in admin.get("/change", id=number, kind="file").text
    admin.send("/changes/undo-file", id=number)
    assert current(folder)["defaultVariant"] == "on"
    assert admin.send("/changes/undo-file", id=number).status_code == 409, "it was changed since"


@pytest.mark.usefixtures("writable")
def test_a_file_that_changed_since_the_plan_is_left_alone(versions, admin, folder):
    windsock.reload()
    plan = admin.send("/flag/plan", key="switch", revision=versions[0]).text
    path = folder / "teacher.flagd.json"
    path.write_text(path.read_text().replace("teaching", "learning"))
    form = {"key": "switch", "revision": versions[0], "plan": hidden(plan, "plan")}
    answer = admin.send("/flag/apply", **form)
    assert answer.status_code == 409
    assert "have changed since the plan" in answer.text
    assert current(folder)["defaultVariant"] == "on"


def test_without_writing_the_plan_is_a_patch(versions, admin, folder):
    plan, done = go_back(admin, versions[0])
    assert done.status_code == 403
    assert current(folder)["defaultVariant"] == "on"
    git_apply(shown_patch(plan), folder.parent)
    assert current(folder) == switch()


@pytest.mark.usefixtures("writable")
def test_nothing_is_undone_in_a_file_without_writing(versions, admin, connection, folder, monkeypatch):
    windsock.reload()
    _, done = go_back(admin, versions[0])
    number = done.text.partition("/change?id=")[2].partition("&")[0]
    monkeypatch.delenv("CONFIGURATION_API_WRITABLE")
    windsock.reload()
    assert admin.send("/changes/undo-file", id=number).status_code == 403
    assert current(folder) == switch()


@pytest.mark.usefixtures("writable")
def test_only_who_may_change_the_flag_takes_it_back(versions, address, reader, connection, folder):
    windsock.reload()
    token = create_token(connection, "eve", Role.EDITOR, ["teacher"])
    eve = Person(address, token)
    for person in (reader, eve):
        assert "Go back" not in person.get("/flag", key="switch").text
        plan, done = go_back(person, versions[0])
        assert (plan.status_code, done.status_code) == (403, 403)
    eve.http.close()
    assert current(folder)["defaultVariant"] == "on"


@pytest.mark.usefixtures("writable")
@pytest.mark.parametrize("revision", ["HEAD", "--help", "0" * 40, "main~1", ""])
def test_only_versions_that_the_page_lists_are_gone_back_to(versions, admin, revision):
    windsock.reload()
    assert admin.send("/flag/plan", key="switch", revision=revision).status_code == 404


@pytest.mark.usefixtures("writable")
def test_a_version_that_is_wrong_by_now_is_refused(admin, folder):
    """A value that its class refuses, and a rule that the linter calls an error."""
    teacher = document()["flags"]["teacher"]
    hot = teacher | {"variants": {**teacher["variants"], "production": {"temperature": 9}}}
    bent = switch(targeting={"if": [{"nonsense": [1]}, "on", "off"]})
    revision = commit(folder, "Wrong", teacher=hot, switch=bent)
    commit(folder, "Right", teacher=teacher, switch=switch())
    windsock.reload()
    before = (folder / "teacher.flagd.json").read_text()
    until_listed(admin, "switch", revision)
    for key, said in (("teacher", "less than or equal to 2"), ("switch", "nonsense")):
        plan, done = go_back(admin, revision, key)
        assert said in plan.text
        assert "Go back</button>" not in plan.text
        assert done.status_code == 422
    assert (folder / "teacher.flagd.json").read_text() == before


@pytest.mark.usefixtures("writable")
def test_a_flag_that_ran_an_experiment_is_left_to_its_page(admin, folder):
    run = switch(metadata={"experiment": "cheaper", "version": 1})
    revision = commit(folder, "Running", switch=run)
    commit(folder, "Stopped", switch=switch())
    windsock.reload()
    until_listed(admin, "switch", revision)
    plan = admin.send("/flag/plan", key="switch", revision=revision)
    assert plan.status_code == 422
    assert "start and stop it under Experiments" in plan.text


@pytest.mark.usefixtures("writable")
def test_a_version_with_a_secret_is_neither_shown_nor_written(admin, folder):
    teacher = document()["flags"]["teacher"]
    leaky = teacher | {"variants": {**teacher["variants"], "production": {"api_key": "hunter3"}}}
    revision = commit(folder, "A secret", teacher=leaky)
    commit(folder, "Without it", teacher=teacher)
    windsock.reload()
    until_listed(admin, "teacher", revision)
    plan, done = go_back(admin, revision, "teacher")
    assert (plan.status_code, done.status_code) == (422, 422)
    assert "api_key" in plan.text
    assert "hunter3" not in plan.text + done.text


@pytest.mark.usefixtures("writable")
def test_shared_rules_are_those_of_the_version(admin, folder):
    path = folder / "teacher.flagd.json"

    def commit_rule(group):
        content = document()
        content["$evaluators"] = {"ours": {"==": [{"var": "group"}, group]}}
        content["flags"]["switch"] = switch(targeting={"if": [{"$ref": "ours"}, "on", "off"]})
        path.write_bytes(formatted(json.dumps(content).encode(), str(path)))
        git(folder.parent, "commit", "-qam", group)
        return head(folder)

    revision = commit_rule("staff")
    commit_rule("everybody")
    windsock.reload()
    until_listed(admin, "switch", revision)
    _, done = go_back(admin, revision)
    assert done.status_code == 200
    assert current(folder)["targeting"] == {"if": [{"==": [{"var": "group"}, "staff"]}, "on", "off"]}
