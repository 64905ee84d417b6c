"""People: what a user gets and why, now and before, and giving somebody a profile."""

import json

import pytest
from tests.console.conftest import ADA, BOB, WARM, document, git, mirrored

import windsock
from windsock.api import Role, create_token
from windsock.mirror import profiles


def assigned(connection, user):
    return connection.execute("select config_id from profiles where id = %s", [user]).fetchone()[0]


def test_a_user_is_found_by_the_beginning_of_the_id(admin):
    page = admin.get("/people", q=str(ADA)[:8])
    assert f"/user?id={ADA}" in page.text
    assert f"/user?id={BOB}" in page.text
    assert admin.get("/people", q=str(ADA)).url.path == "/user"
    spelled = admin.get("/people", q=str(ADA).upper())
    assert spelled.url.params["id"] == str(ADA), "flags and profiles know no other spelling"
    assert admin.get("/people", q="somebody").url.params["id"] == "somebody"


def test_what_a_user_gets_and_why(admin):
    page = admin.get("/user", id=str(ADA)).text
    assert "1.1" in page
    assert '<span class="tag info">profile</span>' in page
    assert '<a href="/profile?name=warm"><bdi>warm</bdi></a>' in page
    assert str(WARM) not in page
    assert "no other profile to assign" in page, "the one that the user has is no choice"
    assert "hunter2" not in page
    assert "pa55word" not in page
    page = admin.get("/user", id=str(BOB)).text
    assert "0.5" in page
    assert "tag info" not in page


def test_a_profile_that_no_mirror_has_written_yet_is_told(admin, connection):
    assert "not served yet" not in admin.get("/user", id=str(ADA)).text
    connection.execute("update profiles set config_id = %s where id = %s", [WARM, BOB])
    assert "warm</bdi> is assigned but not served yet" in admin.get("/user", id=str(BOB)).text
    connection.execute("update profiles set config_id = null")
    assert "was taken away but is served still" in admin.get("/user", id=str(ADA)).text
    connection.execute("update app_configurations set is_active = false")
    assert "not served yet" not in admin.get("/user", id=str(BOB)).text


def test_a_profile_that_was_changed_since_a_mirror_wrote_it_is_told(admin, connection):
    note = "no mirror has reported since"
    before = profiles.ProfileRow({"temperature": 1.1}, "Speaks freely")
    profiles.save(connection, "warm", before, profiles.ProfileRow({"temperature": 1.2}), "Ann")
    assert note in admin.get("/user", id=str(ADA)).text
    assert note not in admin.get("/user", id=str(BOB)).text, "who doesn't have it"
    connection.execute("insert into windsock.mirrors values ('main', 'f', now(), now(), '')")
    assert note not in admin.get("/user", id=str(ADA)).text


@pytest.mark.parametrize(("path", "asked"), [("/user", {"id": str(ADA)}), ("/profile", {"name": "warm"})])
def test_what_was_done_says_when_users_get_it(admin, connection, path, asked):
    assert "No mirror has reported in the last minute" in admin.get(path, done="1", **asked).text
    connection.execute("insert into windsock.mirrors values ('main', 'f', now(), now(), '')")
    assert "Users get it within seconds" in admin.get(path, done="1", **asked).text
    assert "Done." not in admin.get(path, **asked).text


def test_the_values_of_a_user_come_before_the_forms(admin):
    page = admin.get("/user", id=str(ADA)).text
    assert (
        page.index('aria-label="Values of')
        < page.index('action="/user/plan"')
        < page.index("<h2>Last requests</h2>")
    )


def test_rules_see_the_attributes(admin, folder):
    changed = document()
    changed["flags"]["teacher"]["variants"]["pro"] = {"temperature": 1.9}
    changed["flags"]["teacher"]["targeting"] = {"if": [{"==": [{"var": "tier"}, "pro"]}, "pro"]}
    (folder / "teacher.flagd.json").write_text(json.dumps(changed))
    windsock.reload()
    assert "1.9" not in admin.get("/user", id="eve").text
    page = admin.get("/user", id="eve", attributes="tier=pro").text
    assert "1.9" in page
    assert "true  (tier = &#34;pro&#34;)" in page
    assert admin.get("/user", id="eve", attributes="tier").status_code == 422


def test_a_user_at_a_past_moment(admin, connection, folder):
    (moment,) = connection.execute("select now()::text").fetchone()
    git(folder.parent, "commit", "--allow-empty", "-q", "-m", "later")
    connection.execute("update profiles set config_id = null where id = %s", [ADA])
    (folder / "mirror" / "profiles.flagd.json").write_text(json.dumps(mirrored(users=["nobody"])))
    windsock.reload()
    assert 'tag info">profile' not in admin.get("/user", id=str(ADA)).text
    page = admin.get("/user", id=str(ADA), at=moment).text
    assert "as of" in page
    assert "1.1" in page
    assert 'tag info">profile' in page
    assert admin.get("/user", id=str(ADA), at="1999-01-01").status_code == 422
    assert admin.get("/user", id=str(ADA), at="tomorrow").status_code == 422


def test_assigning_shows_a_plan_then_does_it_then_undoes_it(admin, connection):
    plan = admin.send("/user/plan", id=str(BOB), profile="warm").text
    assert "One user moves" in plan
    assert "+ temperature  1.1" in plan
    assert assigned(connection, BOB) is None
    page = admin.send("/user/assign", id=str(BOB), profile="warm", had="").text
    assert "Done." in page
    assert assigned(connection, BOB) == WARM
    row = connection.execute(
        "select id, actor, action from windsock.profile_changes order by id desc limit 1"
    ).fetchone()
    assert row[1:] == ("the admin", "assign")
    undone = admin.send("/changes/undo", id=str(row[0]))
    assert undone.status_code == 200
    assert f"What <bdi>{BOB}</bdi> gets now" in undone.text
    assert assigned(connection, BOB) is None


def test_unassigning(admin, connection):
    assert "- temperature  1.1" in admin.send("/user/plan", id=str(ADA), profile="").text
    admin.send("/user/assign", id=str(ADA), profile="", had=str(WARM))
    assert assigned(connection, ADA) is None


def test_an_assignment_that_changed_since_the_plan_is_refused(admin, connection):
    answer = admin.send("/user/assign", id=str(BOB), profile="warm", had=str(WARM))
    assert answer.status_code == 409
    assert "has changed since you looked" in answer.text
    assert assigned(connection, BOB) is None


def test_an_id_in_capitals_is_the_same_user(admin, connection):
    user = "AB" * 16
    connection.execute("insert into profiles (id) values (%s)", [user])
    assert "One user moves" in admin.send("/user/plan", id=user, profile="warm").text
    assert admin.send("/user/assign", id=user, profile="warm", had="").status_code == 200
    assert assigned(connection, user) == WARM
    assert admin.send("/user/assign", id=user, profile="", had="").status_code == 409
    assert admin.send("/user/assign", id=user, profile="", had=str(WARM)).status_code == 200
    assert assigned(connection, user) is None


@pytest.mark.parametrize(
    ("user", "profile"), [("not-a-uuid", "warm"), (str(BOB), "cold"), (str(WARM), "warm")]
)
def test_what_cannot_be_assigned_says_why(admin, user, profile):
    assert admin.send("/user/plan", id=user, profile=profile).status_code == 422


def test_an_editor_of_other_flags_may_not_assign(address, connection):
    from tests.console.conftest import Person

    editor = Person(address, create_token(connection, "eve", Role.EDITOR, ["aura"]))
    answer = editor.send("/user/assign", id=str(BOB), profile="warm", had="")
    editor.http.close()
    assert answer.status_code == 403
    assert assigned(connection, BOB) is None
