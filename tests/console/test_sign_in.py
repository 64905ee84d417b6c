"""The door: nothing but health without a session, and what a session's cookie is."""

import asyncio
import hashlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl

import pytest
from fastapi import FastAPI
from tests import loopback, sent_in_part
from tests.console.conftest import Person, serving
from tests.processor import at_most

from windsock.api import Role, body, revoke_token
from windsock.console import application, forms
from windsock.console.pages.all import ROUTES
from windsock.console.security import POLICY


def test_health_is_all_that_anybody_gets(address):
    answer = loopback.get(f"{address}/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_every_page_sends_a_stranger_to_the_door(address):
    for route in (each for each in ROUTES if each.method == "GET"):
        answer = loopback.get(f"{address}{route.path}")
        assert answer.status_code == 303, route.path
        assert answer.headers["location"].startswith("/sign-in"), route.path


@pytest.mark.parametrize("key", ["", "wrong"])
def test_no_form_works_without_its_key(admin, key):
    for route in (each for each in ROUTES if each.method == "POST"):
        answer = admin.http.post(route.path, data={"form_key": key})
        assert answer.status_code == 403, route.path
        assert "from this session" in answer.text, route.path


def test_a_reader_changes_nothing(reader):
    for route in (each for each in ROUTES if each.role is not Role.READER):
        answer = reader.send(route.path) if route.method == "POST" else reader.get(route.path)
        assert answer.status_code == 403, route.path
        assert "signed in as reader" in answer.text, route.path


def test_every_answer_has_the_headers(admin, address):
    for answer in (
        admin.get("/"),
        admin.get("/nowhere"),
        loopback.get(f"{address}/health"),
        loopback.get(f"{address}/sign-in"),
    ):
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    assert "unsafe" not in POLICY
    assert "script" not in POLICY


def test_an_unknown_address_is_a_page_for_those_inside(admin, address):
    assert admin.get("/nowhere").status_code == 404
    assert loopback.get(f"{address}/nowhere").status_code == 303


@pytest.mark.parametrize(
    ("path", "status"), [("/flags/", 303), ("/api/config/teacher/", 404), ("/sign-in/", 303)]
)
def test_nobody_is_told_whether_an_address_exists_without_its_slash(address, path, status):
    answer = loopback.get(f"{address}{path}", headers={"Host": "elsewhere.example"})
    assert answer.status_code == status
    assert answer.headers.get("location", "/sign-in?").startswith("/sign-in?")


def test_the_cookie(address, tokens, connection):
    answer = loopback.post(f"{address}/sign-in", data={"token": tokens[Role.READER]})
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    text = cookie.partition("=")[2].partition(";")[0]
    (kept,) = connection.execute("select session_sha256 from windsock.console_sessions").fetchone()
    assert kept == hashlib.sha256(text.encode()).digest()


def test_over_https_the_cookie_is_secure_and_the_hosts_own(console, tokens, folder):
    with serving(application(console), forwarded_allow_ips="*") as address:
        answer = loopback.post(
            f"{address}/sign-in", data={"token": tokens[Role.READER]}, headers={"X-Forwarded-Proto": "https"}
        )
    assert answer.headers["set-cookie"].startswith("__Host-windsock=")
    assert "; Secure" in answer.headers["set-cookie"]
    assert "max-age" in answer.headers["strict-transport-security"]


@pytest.mark.parametrize("token", ["", "windsock_wrong", "x" * 10_000, "é\U0001f600"])
def test_a_wrong_token_is_refused(address, token):
    answer = loopback.post(f"{address}/sign-in", data={"token": token})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_attempts_are_limited(address):
    def attempt(_):
        return loopback.post(f"{address}/sign-in", data={"token": "x"}, timeout=60).status_code

    with ThreadPoolExecutor(20) as at_once:
        assert set(at_once.map(attempt, range(20))) == {401, 429}


def test_a_revoked_token_ends_its_session(reader, connection):
    assert reader.get("/").status_code == 200
    revoke_token(connection, "the reader")
    assert "Sign in" in reader.get("/").text


@pytest.mark.parametrize(
    "ending", ["expires_at = now()", "rotated_at = now() - interval '61 minutes'"], ids=["old", "idle"]
)
def test_a_session_ends(reader, connection, ending):
    connection.execute(f"update windsock.console_sessions set {ending}")
    assert "Sign in" in reader.get("/").text


def test_the_cookie_changes_and_the_old_one_is_good_for_a_moment_only(reader, connection):
    before = dict(reader.http.cookies)
    key = reader.key()
    connection.execute("update windsock.console_sessions set rotated_at = now() - interval '6 minutes'")
    assert reader.get("/").status_code == 200
    assert dict(reader.http.cookies) != before
    assert reader.key() == key, "a form that is open in a browser stays good"
    with loopback.Client(base_url=reader.http.base_url, cookies=before) as old:
        assert old.get("/settings").status_code == 200, "a request that was under way"
        connection.execute("update windsock.console_sessions set rotated_at = now() - interval '31 seconds'")
        assert old.get("/settings").headers["location"].startswith("/sign-in")
    assert reader.get("/").status_code == 200


def test_signing_out_ends_the_session(reader):
    cookies = dict(reader.http.cookies)
    assert "Sign in" in reader.send("/sign-out").text
    assert loopback.get(f"{reader.http.base_url}/", cookies=cookies).status_code == 303


def test_another_site_can_neither_sign_in_nor_send_a_form(admin, tokens, address):
    foreign = {"Sec-Fetch-Site": "cross-site"}
    answer = loopback.post(f"{address}/sign-in", data={"token": tokens[Role.ADMIN]}, headers=foreign)
    assert answer.status_code == 403
    answer = admin.http.post("/sign-out", data={"form_key": admin.key()}, headers=foreign)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "after", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nX: y", "\\/x"]
)
def test_signing_in_leads_nowhere_else(address, tokens, after):
    answer = loopback.post(f"{address}/sign-in", data={"token": tokens[Role.READER], "next": after})
    assert answer.headers["location"] == "/"


def test_signing_in_leads_to_the_page_that_was_asked_for(address, tokens):
    asked = loopback.get(f"{address}/settings?flag=teacher").headers["location"]
    assert asked == "/sign-in?next=%2Fsettings%3Fflag%3Dteacher"
    answer = loopback.post(
        f"{address}/sign-in", data={"token": tokens[Role.READER], "next": "/settings?flag=teacher"}
    )
    assert answer.headers["location"] == "/settings?flag=teacher"


def test_a_form_that_is_too_long_is_refused(admin):
    assert admin.http.post("/sign-out", data={"a": "x" * 300_000}).status_code in {413, 403}


def test_mounted_in_an_application(console, tokens, folder):
    app = FastAPI()
    app.mount("/console", application(console))
    with serving(app) as address:
        person = Person(f"{address}/console", tokens[Role.READER])
        page = person.get("/")
        assert page.status_code == 200
        assert 'href="/console/settings"' in page.text
        assert 'href="/console/console.css"' in page.text
        assert person.get("/console.css").headers["content-type"].startswith("text/css")
        person.http.close()


@pytest.mark.slow
def test_a_database_that_is_down_is_said(console, folder, tokens):
    broken = type(console)(
        console.settings, console.flags, "postgresql://nobody@127.0.0.1:1/x?connect_timeout=1"
    )
    with serving(application(broken)) as address:
        answer = loopback.post(f"{address}/sign-in", data={"token": "x"}, timeout=30)
        assert answer.status_code == 503
        assert "can&#39;t be reached" in answer.text


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/base/plan"])
def test_a_form_that_never_ends_is_given_up(console, monkeypatch, path):
    monkeypatch.setattr(body, "_SECONDS", 0.1)
    app = application(console)
    assert asyncio.run(sent_in_part.status_of(app, "POST", path, {}, asyncio.Event().wait)) == 408


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/base/plan"])
def test_a_caller_that_leaves_within_its_form_is_no_error_of_the_console(console, path):
    assert (
        asyncio.run(sent_in_part.status_of(application(console), "POST", path, {}, sent_in_part.left)) == 400
    )


def test_a_stranger_whose_form_never_ends_keeps_no_connection(console, monkeypatch):
    monkeypatch.setattr(body, "_SECONDS", 0.1)
    with serving(application(console)) as address:
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as stranger:
            stranger.sendall(b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\ntoken")
            answer = b"".join(iter(lambda: stranger.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"took longer than" in answer


LONG = "\u202e" * 6_000
"""What takes milliseconds to quote or to escape, within a request that a server takes."""


@pytest.fixture
def parsed(monkeypatch):
    """The threads that took a form apart, which takes tens of milliseconds for a long one."""
    names = []

    def parse(*arguments, **options):
        names.append(threading.current_thread().name)
        return parse_qsl(*arguments, **options)

    monkeypatch.setattr(forms, "parse_qsl", parse)
    return names


@pytest.mark.parametrize("cookies", [{}, {"windsock": "wrong"}], ids=["no cookie", "a wrong one"])
def test_nobody_parses_a_strangers_form(address, parsed, cookies):
    for path in ("/sign-out", *(each.path for each in ROUTES if each.method == "POST")):
        answer = loopback.post(f"{address}{path}", data={"a": LONG}, cookies=cookies)
        assert answer.headers["location"] == "/sign-in", path
    assert parsed == []


def test_no_form_is_parsed_on_the_event_loop(address, admin, tokens, parsed):
    assert loopback.post(f"{address}/sign-in", data={"token": tokens[Role.READER]}).status_code == 303
    admin.send("/base/plan")
    admin.send("/sign-out")
    assert len(parsed) >= 3
    assert set(parsed) == {"AnyIO worker thread"}


@pytest.mark.parametrize("name", ["windsock", "another"])
def test_a_long_quoted_cookie_is_refused_at_once(address, name):
    headers = {"Cookie": f'{name}="{chr(92) * 50_000}"'}
    with at_most(5):  # Python's own reading of such a cookie was quadratic
        answer = loopback.get(f"{address}/people", headers=headers, timeout=60)
    assert answer.headers["location"] == "/sign-in?next=%2Fpeople"


def test_the_session_is_found_among_other_cookies(address, tokens):
    signed_in = loopback.post(f"{address}/sign-in", data={"token": tokens[Role.READER]})
    cookie = f"windsock={signed_in.cookies['windsock']}"
    for header in (
        cookie,
        f"a=b; {cookie}",
        f"{cookie};xwindsock=c",
        f"notwindsock=d;  {cookie} ; windsock-x=e",
    ):
        assert loopback.get(f"{address}/people", headers={"Cookie": header}).status_code == 200, header
    assert loopback.get(f"{address}/people", headers={"Cookie": f"x{cookie}"}).status_code == 303


def test_a_sign_in_form_that_cannot_be_read_says_so(address):
    assert loopback.post(f"{address}/sign-in", content=b"token=%ff").status_code == 422


def test_a_page_with_a_long_address_is_forgotten_on_the_way_to_the_door(address, tokens):
    page = loopback.get(f"{address}/sign-in", params={"next": f"/people?q={LONG}"})
    assert (page.status_code, len(page.text) < 4_000) == (200, True)
    assert loopback.get(f"{address}/people", params={"q": LONG}).headers["location"] == "/sign-in"
    form = {"token": tokens[Role.READER], "next": f"/people?q={'x' * 100_000}"}
    assert loopback.post(f"{address}/sign-in", data=form).headers["location"] == "/"
