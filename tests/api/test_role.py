"""The API's role in the database: what the router does with it is allowed (see `api_database`), and nothing else."""

import hashlib
import json

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from tests.api.conftest import PATH

from windsock.api import create_token, revoke_token
from windsock.api.tokens import Role, Token, authenticate


@pytest.fixture
def as_api(api_database):
    with psycopg.connect(api_database, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize(
    "statement",
    [
        "delete from windsock.configuration_audit",
        "truncate windsock.configuration_audit",
        "update windsock.configuration_audit set actor = 'somebody else'",
        "update windsock.configuration_audit set written_at = null",
        "select actor from windsock.configuration_audit",
        "insert into windsock.configuration_audit (requested_at) values (now() - interval '1 year')",
        (
            "insert into windsock.configuration_audit"
            " (actor, flag, file, revision_before, revision_after, request, changed)"
            " values ('the admin', 'f', 'f', '', '', '{}', '{}')"
        ),
        "select token_sha256 from windsock.api_tokens",
        "select name from windsock.api_tokens",
        "insert into windsock.api_tokens (name, role, token_sha256) values ('me', 'admin', sha256('me'))",
        "update windsock.api_tokens set revoked_at = null",
        "delete from windsock.api_tokens",
        "select settings from public.app_configurations",
        "update public.profiles set config_id = null",
        "delete from public.usage_logs",
        "update public.learning_config set value = '{}'",
        "select * from windsock.change_log",
    ],
)
def test_it_may_not(client, as_api, audit, tokens, statement):
    assert client.put(PATH, json={"threshold": 0.6}).status_code == 200
    before = audit()
    with pytest.raises(InsufficientPrivilege):
        as_api.execute(statement)
    assert audit() == before


BEGIN = "select windsock.begin_configuration_write(%s, 'f', 'f', '', '', %s, '{}')"


@pytest.mark.parametrize("role", [None, Role.READER])
def test_a_row_of_the_audit_needs_the_token_of_an_admin(as_api, audit, tokens, role):
    digest = hashlib.sha256(tokens[role].encode() if role else b"nobody's").digest()
    assert as_api.execute(BEGIN, [digest, "{}"]).fetchone() == (None,)
    assert audit() == []


@pytest.mark.parametrize(("flags", "written"), [(["f"], True), (["g", "ff"], False)])
def test_a_row_of_the_audit_needs_a_token_for_its_flag(as_api, connection, audit, flags, written):
    token = create_token(connection, "eve", Role.EDITOR, flags)
    as_api.execute(BEGIN, [hashlib.sha256(token.encode()).digest(), "{}"])
    assert bool(audit()) is written


def test_a_row_of_the_audit_has_the_name_of_its_token_and_an_end(as_api, audit, tokens):
    digest = hashlib.sha256(tokens[Role.ADMIN].encode()).digest()
    as_api.execute(BEGIN, [digest, "{}"])
    assert [row["actor"] for row in audit()] == ["the admin"]
    with pytest.raises(psycopg.errors.CheckViolation):
        as_api.execute(BEGIN, [digest, json.dumps("x" * 3_000_000)])


@pytest.mark.parametrize(("who", "rows"), [(None, 0), (Role.READER, 1), (Role.ADMIN, 1)])
def test_the_audit_needs_a_token_in_use(client, as_api, tokens, who, rows):
    client.put(PATH, json={"threshold": 0.6})
    digest = hashlib.sha256(tokens[who].encode() if who else b"nobody's").digest()
    found = as_api.execute("select * from windsock.configuration_changes(%s, 'thing', null, 10)", [digest])
    assert len(found.fetchall()) == rows


def test_a_write_is_ended_once(client, as_api, audit):
    client.put(PATH, json={"threshold": 0.6})
    before = audit()
    as_api.execute("select windsock.end_configuration_write(%s)", [before[0]["id"]])
    assert audit() == before


def test_a_write_wakes_the_mirror_and_a_refused_one_does_not(client, connection):
    connection.execute(
        "listen windsock; select pg_advisory_lock(8603657889541918571)"
    )  # a mirror that sleeps
    assert client.put(PATH, json={"threshold": 1.5}).status_code == 422
    assert client.put(PATH, json={"threshold": 0.6}).status_code == 200
    connection.execute("notify windsock, 'after them'")
    woken = connection.notifies(timeout=30, stop_after=2)
    assert [notice.payload for notice in woken] == ["", "after them"]


def test_a_token_is_found_by_its_text_and_not_by_its_hash(as_api, connection, tokens):
    assert authenticate(as_api, tokens[Role.READER]) == Token("the reader", Role.READER)
    (digest,) = connection.execute(
        "select encode(token_sha256, 'hex') from windsock.api_tokens where role = 'reader'"
    ).fetchone()
    assert authenticate(as_api, digest) is None
    revoke_token(connection, "the reader")
    assert authenticate(as_api, tokens[Role.READER]) is None


def test_only_the_owner_may_ask_for_tokens(connection, tokens):
    connection.execute("create role passer_by login in role windsock_writer")
    url = f"{connection.info.dsn} user=passer_by"
    try:
        with psycopg.connect(url) as passer_by, pytest.raises(InsufficientPrivilege):
            passer_by.execute("select * from windsock.api_token('')")
    finally:
        connection.execute("drop role passer_by")
