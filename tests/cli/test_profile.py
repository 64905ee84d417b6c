"""`windsock profile` as a program: plan, audit and undo, as the owner and as the role that assigns."""

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import conninfo

WINDSOCK = Path(sys.executable).parent / "windsock"


@pytest.fixture
def run(database):
    def call(*arguments, url=database, stdin=""):
        done = subprocess.run(
            [WINDSOCK, "profile", *arguments],
            capture_output=True,
            text=True,
            input=stdin,
            env=os.environ | {"DATABASE_URL": url, "NO_COLOR": "1"},
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    return call


@pytest.fixture
def ask(database):
    with psycopg.connect(database, autocommit=True) as connection:

        def answer(query):
            found = connection.execute(query)
            return found.fetchall() if found.description else []

        yield answer


@pytest.fixture
def users(database):
    ids = [str(uuid4()) for _ in range(3)]
    with psycopg.connect(database, autocommit=True) as connection:
        for user in ids:
            connection.execute("insert into profiles (id) values (%s)", [user])
    return ids


def number(done):
    """The change that a command printed."""
    assert done.returncode == 0, done.stderr
    return done.stdout.split("windsock profile undo ")[1].split("`")[0]


def test_create_edit_and_undo(run, ask):
    planned = run("create", "warm", "--set", "temperature=1.1", "--dry-run")
    assert planned.stdout.startswith("+ temperature  1.1\n")
    assert ask("select 1 from app_configurations where name = 'warm'") == []
    created = number(run("create", "warm", "--set", "temperature=1.1", "--set", "reasoning_model=gpt-4o"))
    edited = run("edit", "warm", "--set", "temperature=1.2", "--unset", "reasoning_model", "--deactivate")
    assert '~ temperature  1.1 → 1.2\n- reasoning_model  "gpt-4o"\n~ deactivated' in edited.stdout
    query = "select settings, is_active from app_configurations where name = 'warm'"
    assert ask(query) == [({"temperature": 1.2}, False)]
    refused = run("undo", created)
    assert (refused.returncode, "changed since" in refused.stderr) == (1, True)
    undone = run("undo", number(edited))
    assert undone.stdout == f"change {number(edited)} is undone, by change {int(number(edited)) + 1}\n"
    assert ask(query) == [({"temperature": 1.1, "reasoning_model": "gpt-4o"}, True)]
    assert "undone already" in run("undo", number(edited)).stderr
    assert run("undo", created).returncode == 0
    assert ask(query) == []
    actions = ask("select action, actor = session_user from windsock.profile_changes order by id")
    assert actions == [("create", True), ("edit", True), ("undo", True), ("undo", True)]


def test_assign_unassign_and_undo(run, ask, users):
    number(run("create", "warm", "--set", "temperature=1.1"))
    first = run("assign", "warm", users[0])
    assert first.stdout.startswith("1 user gets warm\n")
    both = number(run("assign", "experimental_v1", stdin="\n".join(users[:2])))
    have = "select p.id::text, c.name from profiles p left join app_configurations c on c.id = config_id"
    assert dict(ask(have)) == {users[0]: "experimental_v1", users[1]: "experimental_v1", users[2]: None}
    assert run("undo", both).returncode == 0
    assert dict(ask(have)) == {users[0]: "warm", users[1]: None, users[2]: None}
    number(run("unassign", users[0]))
    assert dict(ask(have))[users[0]] is None
    assert run("unassign", users[0]).stdout == "0 of 1 user lose their profile\n"


def test_list_and_show(run, users):
    run("assign", "experimental_v1", users[0])
    run("edit", "experimental_v1", "--description", "Tried [red]first[/red]")
    (row,) = json.loads(run("list", "--json").stdout)
    assert (row["name"], row["users"], row["active"]) == ("experimental_v1", 1, True)
    listed = run("list").stdout.splitlines()
    assert listed[0] == "experimental_v1  1 user"
    assert "temperature" in listed[1]
    shown = run("show", "experimental_v1").stdout
    assert "experimental_v1: 1 user, active\n  Tried [red]first[/red]\n" in shown
    assert '  reasoning_model = "gpt-4o"\n' in shown
    assert json.loads(run("show", "experimental_v1", "--json").stdout)["changes"][0]["action"] == "edit"


def test_show_lists_what_took_the_profile_from_users_and_its_undo(run, users):
    number(run("create", "warm", "--set", "temperature=1.1"))
    number(run("assign", "warm", users[0]))
    taken = number(run("unassign", users[0]))
    listed = run("show", "warm").stdout
    assert f"change {taken}  " in listed
    assert listed.splitlines()[1 + 1].endswith("  unassign")
    assert "unassign" not in run("show", "experimental_v1").stdout
    assert run("undo", taken).returncode == 0
    assert f"unassign, undone by {int(taken) + 1}\n" in run("show", "warm").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "cold"), "there is no profile 'cold'; there is 'experimental_v1'"),
        (("create", "experimental_v1"), "there is a profile 'experimental_v1' already"),
        (("edit", "experimental_v1", "--unset", "color"), "the profile doesn't set 'color'"),
        (("edit", "experimental_v1", "--set", "temperature"), "write the field and its value"),
        (("assign", "cold", "x"), "there is no active profile 'cold'; there is 'experimental_v1'"),
        (("assign", "experimental_v2", "x"), "did you mean 'experimental_v1'?"),
        (
            ("assign", "experimental_v1", "6b3f0000-0000-4000-8000-000000000009"),
            "no row in profiles for 6b3f0000-0000-4000-8000-000000000009; nothing was changed",
        ),
        (("undo", "4711"), "there is no change 4711"),
        (("show", b"na\xefve"), "an argument isn't UTF-8; set the terminal's encoding to UTF-8"),
        (("create", "x", "--description", b"na\xefve"), "an argument isn't UTF-8"),
    ],
)
def test_mistakes_are_one_sentence(run, arguments, message):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr


def test_the_role_that_assigns_is_enough_to_assign_and_too_little_to_tune(run, database, ask, users):
    ask("alter role windsock_assigner login")
    try:
        url = conninfo.make_conninfo(database, user="windsock_assigner")
        change = number(run("assign", "experimental_v1", *users, url=url))
        assert ask("select count(*) from profiles where config_id is not null") == [(3,)]
        assert run("undo", change, url=url).returncode == 0
        assert ask("select count(*) from profiles where config_id is not null") == [(0,)]
        assert ask("select distinct actor from windsock.profile_changes") == [("windsock_assigner",)]
        refused = run("edit", "experimental_v1", "--set", "temperature=2", url=url)
        assert refused.returncode != 0
    finally:
        ask("alter role windsock_assigner nologin")


def test_users_without_a_row_get_one_if_asked(run, ask, users):
    new = str(uuid4())
    planned = run("assign", "experimental_v1", new, users[0], "--create", "--dry-run")
    assert "2 users get experimental_v1" in planned.stdout
    assert ask(f"select count(*) from profiles where id = '{new}'") == [(0,)]
    change = number(run("assign", "experimental_v1", new, users[0], "--create"))
    assert ask("select count(*) from profiles where config_id is not null") == [(2,)]
    assert run("undo", change).returncode == 0
    assert ask("select count(*) from profiles where config_id is not null") == [(0,)]


@pytest.mark.parametrize(
    "spelt", [str.upper, "{{{}}}".format, lambda user: user.replace("-", ""), "urn:uuid:{}".format]
)
def test_an_id_in_another_spelling_is_the_same_user(run, ask, users, spelt):
    known = users[0]
    done = run("assign", "experimental_v1", spelt(known), known, "--create")
    change = number(done)
    assert done.stdout.startswith("1 of 2 users gets experimental_v1")
    assert ask("select after from windsock.profile_changes")[0][0].keys() == {known}
    assert run("undo", change).returncode == 0
    assert ask("select count(*) from profiles where config_id is not null") == [(0,)]
    assert "1 user gets" in run("assign", "experimental_v1", spelt(known)).stdout
    new = str(uuid4())
    assert "1 of 2 users gets" in run("assign", "experimental_v1", spelt(new), new, "--create").stdout
    assert ask(f"select config_id is not null from profiles where id = '{new}'") == [(True,)]


def test_a_new_user_whose_id_is_not_a_uuid_is_refused(run, ask):
    done = run("assign", "experimental_v1", "nobody", "--create")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        "windsock: 'nobody' is not a UUID, and the users' ids in profiles are UUIDs",
    )


def test_an_application_may_have_made_profiles_with_ids_of_another_type(run, ask):
    ask("drop table profiles cascade")
    ask("create table profiles (id bigint primary key, config_id uuid references app_configurations)")
    ask("insert into profiles values (41), (42)")
    assert "1 user gets" in run("assign", "experimental_v1", "42").stdout
    assert ask("select id from profiles where config_id is not null") == [(42,)]
    missing = run("assign", "experimental_v1", "43", "--create")
    assert "no row in profiles for 43" in missing.stderr
    assert "--create" not in missing.stderr
    assert (
        'invalid input syntax for type bigint: "ada"' in run("assign", "experimental_v1", "ada", "41").stderr
    )


def test_an_application_whose_profiles_need_more_columns_makes_them_itself(run, ask):
    ask("alter table profiles add column email text not null")
    done = run("assign", "experimental_v1", str(uuid4()), "--create")
    assert done.returncode == 1
    assert "your application makes the rows of profiles" in done.stderr


def test_a_profile_that_somebody_got_since_is_not_taken_back(run, ask, users):
    created = number(run("create", "warm", "--set", "temperature=1.1"))
    number(run("assign", "warm", users[0]))
    refused = run("undo", created)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "can't be undone: 1 user got warm since" in refused.stderr
    assert ask("select count(*) from profiles where config_id is not null") == [(1,)]


CLASSES = """\
import windsock
from pydantic import Field

class Tutor(windsock.Settings, flag="tutor"):
    top_k: int = Field(10, ge=1, le=200)
    tags: dict[str, list[int]] = {}

class Grader(windsock.Settings, flag="grader"):
    scale: int = 5
"""


@pytest.fixture
def classes(tmp_path, monkeypatch):
    (tmp_path / "tutoring.py").write_text(CLASSES)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("classes")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("topk=3", "topk: Tutor has no such field; did you mean 'top_k'?"),
        ("top_k=500", "top_k: Input should be less than or equal to 200"),
        ("top_k=many", "top_k: Input should be a valid integer"),
        ("top_k=true", "top_k: "),
        (
            'tags={"' + "k" * 1_001 + '": ["x"]}',
            "settings.tags: the keys that lead to a list or an object in it have more than 1,000 characters;",
        ),
    ],
    ids=lambda value: value[:20],
)
def test_create_and_edit_check_what_they_write_against_the_class(run, ask, change, message):
    assert number(run("create", "kept", "--set", "top_k=5", "--settings", "tutoring:Tutor"))
    for refused in (
        run("create", "new", "--set", change, "--settings", "tutoring:Tutor"),
        run("edit", "kept", "--set", change, "--settings", "tutoring:Tutor"),
    ):
        assert refused.returncode == 1
        assert refused.stderr.count(message) == 1
        assert refused.stderr.endswith("nothing was changed\n")
    assert ask("select settings from app_configurations where name in ('kept', 'new')") == [({"top_k": 5},)]


@pytest.mark.usefixtures("classes")
def test_fields_of_several_classes_are_told_from_those_of_none(run):
    both = ("--settings", "tutoring:Tutor", "--settings", "tutoring:Grader")
    refused = run("create", "two", "--set", "scales=3", *both)
    assert "scales: no class named here has such a field; did you mean 'scale'?" in refused.stderr
    assert number(run("create", "two", "--set", "scale=3", "--set", "top_k=4", *both))
    assert "not checked against a settings class" in run("edit", "two", "--set", "scale=4").stderr
