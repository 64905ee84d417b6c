"""Who may send which form: each role, and editors of other flags; and each route of the application is checked."""

import json
import re
from html.parser import HTMLParser

import pytest
from tests import loopback
from tests.console.browser import PAGES
from tests.console.conftest import ADA, WARM, Person
from tests.console.records import fill

import windsock
from windsock.api import Role, create_token
from windsock.console import application
from windsock.console.pages.all import ROUTES
from windsock.console.pages.profile import _etag
from windsock.mirror import profiles

FORMS = {
    "/user/plan": {"id": str(ADA), "profile": "careful"},
    "/user/assign": {"id": str(ADA), "profile": "careful", "had": str(WARM)},
    "/profile/plan": {"name": "warm", "flag": "teacher", "f:temperature": "1.9"},
    "/profile/apply": {"name": "warm", "flag": "teacher", "f:temperature": "1.9"},
    "/base/plan": {"flag": "teacher", "variant": "production", "f:temperature": "0.9"},
    "/base/apply": {"flag": "teacher", "variant": "production", "f:temperature": "0.9"},
    "/flag/plan": {"key": "new_editor", "revision": "x"},
    "/flag/apply": {"key": "new_editor", "revision": "x", "plan": "x"},
    "/experiment/plan": {"name": "cheaper", "action": "start"},
    "/experiment/apply": {"name": "cheaper", "action": "start", "plan": "x"},
    "/experiment/decide": {"name": "cheaper"},
    "/experiment/decide/apply": {"name": "cheaper", "proposal": "go on:", "do": "record"},
    "/quarantine/lift": {},
    "/changes/undo": {},
    "/changes/undo-file": {},
}
"""A form for each route that takes one, as its page would send it."""


@pytest.fixture
def forms(connection):
    """The forms, with the rows that some of them are about."""
    fill(connection, 5)
    place = connection.execute(
        "select flag, variant, field, fingerprint from windsock.withdrawals"
    ).fetchone()
    (written,) = connection.execute(
        "insert into windsock.configuration_audit (actor, flag, file, revision_before, revision_after, request, changed,"
        " written_at) values ('ann', 'teacher', 'flagd/teacher.flagd.json', '', '', '{}', %s, now()) returning id",
        [json.dumps({"/temperature": [0.4, 0.5]})],
    ).fetchone()
    (change,) = connection.execute("select max(id) from windsock.profile_changes").fetchone()
    assert FORMS.keys() == {each.path for each in ROUTES if each.method == "POST"}, "a form for every route"
    row, _ = profiles.load(connection, "warm")
    return FORMS | {
        "/profile/apply": FORMS["/profile/apply"] | {"etag": _etag(row)},
        "/quarantine/lift": dict(zip(("flag", "variant", "field", "fingerprint"), place, strict=True)),
        "/changes/undo": {"id": str(change)},
        "/changes/undo-file": {"id": str(written)},
    }


def everything(connection, folder):
    """All that a form may change."""
    tables = "app_configurations", "profiles", "windsock.withdrawals", "windsock.profile_changes",\
        "windsock.configuration_audit", "windsock.analysis_snapshots"  # fmt: skip
    rows = [connection.execute(f"select t::text from {each} t order by 1").fetchall() for each in tables]
    return rows, {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def files_are_written(monkeypatch, address):
    monkeypatch.setenv("CONFIGURATION_API_WRITABLE", "true")
    windsock.reload()


@pytest.mark.usefixtures("files_are_written")
@pytest.mark.parametrize("who", [(Role.READER, ()), (Role.EDITOR, ("another",)), (Role.ADMIN, ("another",))])
def test_who_may_not_changes_nothing_with_any_form(forms, address, connection, folder, who):
    person = Person(address, create_token(connection, "somebody", *who))
    before = everything(connection, folder)
    answers = {path: person.send(path, **form).status_code for path, form in forms.items()}
    person.http.close()
    assert set(answers.values()) == {403}, answers
    assert everything(connection, folder) == before


def test_what_an_editor_may(forms, as_role):
    editor = as_role(Role.EDITOR)
    answers = {path: editor.send(path, **form).status_code for path, form in forms.items()}
    refused = {path for path, status in answers.items() if status == 403}
    admins = {each.path for each in ROUTES if each.role is Role.ADMIN}
    assert admins
    assert refused - admins == {"/base/apply", "/changes/undo-file"}, "writing files is switched off"
    assert admins <= refused


def test_each_route_that_changes_something_refuses_what_another_site_sends(console, admin, tokens):
    """Of the whole application, as it is served: pages, sign-in and sign-out, and the API."""
    paths = {
        (method, route.path)
        for route in application(console).routes
        for method in getattr(route, "methods", ()) or ()
        if method not in {"GET", "HEAD"}
    }
    assert {("POST", each) for each in FORMS} < paths
    # newer versions of FastAPI show no route of a router that was included
    paths |= {("PUT", "/api/config/teacher"), ("POST", "/api/config/teacher/reload")}
    for method, path in paths:
        for sent in {}, {"form_key": admin.key()}:
            headers = {"Sec-Fetch-Site": "cross-site"} if sent else {}
            answer = admin.http.request(method, path, data=sent, headers=headers)
            if path == "/sign-in" and not sent:
                assert answer.status_code == 401, "no session is needed, and none is given"
            else:
                nothing_is_done = {401, 405} if path.startswith("/api/") else {403}  # the API takes no cookie
                assert answer.status_code in nothing_is_done, (method, path, sent)


class Forms(HTMLParser):
    """The forms of a page: each one's method, address and fields."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        if tag == "form":
            self.found.append((said["method"], said["action"], {}))
        elif tag in {"input", "select", "textarea", "button"} and "name" in said:
            self.found[-1][2][said["name"]] = said.get("value")


def test_every_form_of_every_page_that_changes_something_has_the_key(forms, admin):
    key, seen = admin.key(), set()
    for path in PAGES.values():
        for method, action, fields in Forms(admin.http.get(path).text).found:
            if method == "post":
                assert fields.get("form_key") == key, (path, action)
                seen.add(action)
            else:
                assert "form_key" not in fields, (path, action, "it would be in the address")
    assert {
        "/sign-out",
        "/user/plan",
        "/profile/plan",
        "/base/plan",
        "/experiment/plan",
        "/flag/plan",
    } <= seen


def test_every_page_says_that_nobody_may_keep_or_frame_it(admin, address):
    """Signed in, at the door, in errors and redirects; the style sheet alone may be kept."""
    answers = [
        admin.http.get(path)
        for path in (*PAGES.values(), "/user?id=a&at=soon", "/sign-in", "/health", "/api/x")
    ]
    answers += [
        loopback.get(f"{address}{path}") for path in ("/", "/nowhere", "/sign-in", "/api/config/teacher")
    ]
    answers += [
        admin.http.post("/base/plan", data={}),
        loopback.post(f"{address}/sign-in", data={"token": "x"}),
    ]
    for each in answers:
        where = each.request.url, each.status_code
        assert each.headers["cache-control"] == "no-store", where
        assert each.headers["x-frame-options"] == "DENY", where
        assert "frame-ancestors 'none'" in each.headers["content-security-policy"], where
        assert each.headers["x-content-type-options"] == "nosniff", where
        assert each.headers["referrer-policy"] == "same-origin", where
    style = admin.http.get("/console.css")
    assert style.headers["cache-control"].startswith("private")
    assert style.headers["x-content-type-options"] == "nosniff"


def test_a_new_sign_in_is_another_session_with_another_key(address, tokens):
    people = [Person(address, tokens[Role.ADMIN]) for _ in range(2)]
    first, second = (each.key() for each in people)
    assert first != second
    answer = people[1].http.post("/user/plan", data={"form_key": first, "id": str(ADA)})
    assert answer.status_code == 403, "a key of another session"
    planted = people[0].http
    planted.cookies.clear()
    planted.cookies.set("windsock", "chosen-by-somebody-else")
    answer = planted.post("/sign-in", data={"token": tokens[Role.READER]}, follow_redirects=False)
    assert re.match(r"windsock=[\w-]{43};", answer.headers["set-cookie"]), "never the one that was there"
    for each in people:
        each.http.close()
