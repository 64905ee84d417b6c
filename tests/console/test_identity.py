"""Signing in with an identity provider's JWT: keys from a real endpoint, and what is refused."""

import contextlib
import json
import math
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests import loopback
from tests.console.conftest import Person, serving
from tests.waiting import eventually

from windsock.api import Role
from windsock.console import Console, Issuer, application, identity

ISSUER = "https://project.supabase.co/auth/v1"
KEYS = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
}
STRANGER = ec.generate_private_key(ec.SECP256R1())


def public(algorithm):
    kind = {"ES256": jwt.algorithms.ECAlgorithm, "RS256": jwt.algorithms.RSAAlgorithm}[algorithm]
    return {
        **json.loads(kind.to_jwk(KEYS[algorithm].public_key())),
        "kid": algorithm,
        "alg": algorithm,
        "use": "sig",
    }


@pytest.fixture
def provider():
    """An identity provider that publishes its keys."""

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"keys": [public(algorithm) for algorithm in KEYS]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Keys) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/jwks.json"
        server.shutdown()
        thread.join()


class Hanging:
    """An identity provider that takes every connection and answers none."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.taken = []
        self.thread = threading.Thread(target=self.take)
        self.thread.start()

    def take(self):
        with contextlib.suppress(OSError):
            while True:
                self.taken.append(self.listener.accept()[0])

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        for each in (self.listener, *self.taken):
            each.close()


def test_a_provider_that_hangs_holds_up_nobody_who_is_signed_in(console, tokens, monkeypatch):
    monkeypatch.setattr(identity, "_PATIENCE", 60.0)
    hanging = Hanging()
    keys_url = f"http://127.0.0.1:{hanging.listener.getsockname()[1]}/jwks.json"
    issued = Console(console.settings, console.flags, console.database_url, Issuer(ISSUER, keys_url=keys_url))
    answers = []

    def ask(address, host):
        transport = httpx.HTTPTransport(local_address=host, verify=loopback.NO_CERTIFICATES)
        with httpx.Client(transport=transport, timeout=120) as http:
            answers.append(http.post(f"{address}/sign-in", data={"token": signed()}).status_code)

    with serving(application(issued)) as address:
        person = Person(address, tokens[Role.READER])
        strangers = [
            threading.Thread(target=ask, args=(address, f"127.0.0.{each + 2}")) for each in range(12)
        ]
        for each in strangers:
            each.start()
        eventually(lambda: hanging.taken)
        for _ in range(20):  # until each stranger's form has come, too
            page = person.get("/settings")
            assert (page.status_code, answers) == (200, []), "it waited for the strangers"
        person.http.close()
        hanging.end()
        for each in strangers:
            each.join()
    assert answers == [401] * 12


@pytest.fixture
def address(console, connection, provider):
    issued = Console(console.settings, console.flags, console.database_url, Issuer(ISSUER, keys_url=provider))
    with serving(application(issued)) as address:
        yield address


def signed(algorithm="ES256", key=None, headers=None, **claims):
    content = {
        "iss": ISSUER, "aud": "authenticated", "sub": "5d2c", "email": "ann@example.org",
        "exp": int(time.time()) + 600, "app_metadata": {"windsock_role": "editor", "windsock_flags": ["teacher"]},
    } | claims  # fmt: skip
    content = {name: value for name, value in content.items() if value is not None}
    return jwt.encode(content, key or KEYS[algorithm], algorithm, headers or {"kid": algorithm})


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_jwt_signs_in_with_the_role_of_app_metadata(address, algorithm):
    person = Person(address, signed(algorithm))
    page = person.get("/settings").text
    person.http.close()
    assert "ann@example.org (5d2c)" in page
    assert "editor" in page


def test_the_session_ends_no_later_than_the_jwt(address, connection):
    Person(address, signed(exp=int(time.time()) + 60)).http.close()
    (left,) = connection.execute(
        "select extract(epoch from expires_at - now()) from windsock.console_sessions"
    ).fetchone()
    assert left <= 60


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "anon"},
        {"exp": 1_700_000_000},  # in 2023
        {"exp": None},
        {"sub": None},
        {"app_metadata": None},
        {"app_metadata": {"windsock_role": "root"}},
        {"app_metadata": {"windsock_role": ["admin"]}},
        {"app_metadata": {"windsock_role": "admin", "windsock_flags": "teacher"}},
        {"app_metadata": {"windsock_role": "admin", "windsock_flags": []}},
        {"app_metadata": {"windsock_role": "admin", "windsock_flags": [""]}},
        {"app_metadata": {}, "user_metadata": {"windsock_role": "admin"}, "role": "admin"},
        {"nbf": 4_000_000_000},  # in 2096
        {"exp": math.inf},
    ],
    ids=str,
)
def test_what_is_refused(address, claims):
    answer = loopback.post(f"{address}/sign-in", data={"token": signed(**claims)})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_a_name_that_hides_or_reverses_text_is_spelled_out(address, connection):
    email = "eve@x\u202emoc.elpmaxe@nna\n2026-01-01 ann signed in"
    person = Person(address, signed(email=email, sub="5\x1b[2Jd2c"))
    page = person.get("/settings").text
    person.http.close()
    name = r"eve@x\u202emoc.elpmaxe@nna\n2026-01-01 ann signed in (5\x1b[2Jd2c)"
    assert name in page
    kept = connection.execute("select actor from windsock.console_sessions").fetchall()
    assert (name,) in kept, "what the audit takes over"


@pytest.mark.slow
def test_other_signatures_are_refused(address):
    shared = public("RS256")["n"]  # what anybody may read
    good = signed()
    for token in (
        signed(key=STRANGER),
        signed("HS256", key=shared, headers={"kid": "RS256"}),
        jwt.encode({"sub": "x"}, None, "none"),
        good[:-4] + "AAAA",
        "a.b.c",
    ):
        assert loopback.post(f"{address}/sign-in", data={"token": token}).status_code == 401
        time.sleep(1.0)  # attempts are limited


def test_a_token_of_windsock_still_signs_in(address, tokens):
    person = Person(address, tokens[Role.READER])
    assert person.get("/settings").status_code == 200
    person.http.close()


def test_the_flags_of_the_jwt_hold(address, connection, folder):
    person = Person(address, signed(app_metadata={"windsock_role": "editor", "windsock_flags": ["aura"]}))
    assert person.get("/base", flag="teacher").status_code == 403
    person.http.close()
