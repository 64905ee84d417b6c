"""What our own roles may put into rows: names without control characters, and texts with an end."""

import psycopg
import pytest

from windsock.postgres.migrations import connect

FAULT = (
    "insert into windsock.faults (id, flag, variant, field, fingerprint, value, error, request_id)"
    " values (gen_random_uuid(), %(flag)s, %(variant)s, %(field)s, %(fingerprint)s, %(value)s, %(text)s, %(request)s)"
)
WITHDRAWAL = (
    "insert into windsock.withdrawals (flag, variant, field, fingerprint, value, reason, expires_at)"
    " values (%(flag)s, %(variant)s, %(field)s, %(fingerprint)s, %(value)s, %(text)s, now() + interval '1 hour')"
)
ROW = {
    "flag": "teacher.profile",
    "variant": "v",
    "field": "model",
    "fingerprint": "f",
    "value": '"x"',
    "text": "failed\nin two lines",
    "request": "r",
}


@pytest.fixture
def writer(database):
    with connect(database) as connection:
        connection.execute("set role windsock_writer")
        yield connection


@pytest.mark.parametrize("statement", [FAULT, WITHDRAWAL])
def test_an_ordinary_row_is_taken(writer, statement):
    assert writer.execute(statement, ROW).rowcount == 1
    long = {"value": "x" * 250_000, "text": "x" * 2000, "field": "a.b.c" * 50, "flag": "ünï.profile"}
    assert writer.execute(statement, ROW | long).rowcount == 1


@pytest.mark.parametrize("statement", [FAULT, WITHDRAWAL])
@pytest.mark.parametrize(
    "hostile",
    [
        *({name: f"a\n+++ b/{name}"} for name in ("flag", "variant", "field", "fingerprint")),
        *({name: "a\x1b[2J"} for name in ("flag", "variant", "field", "fingerprint")),
        *({name: "x" * 1000} for name in ("flag", "variant", "field", "fingerprint")),
        {"value": "x" * 1_000_000},
        {"text": "x" * 100_000},
    ],
    ids=lambda hostile: "-".join(hostile) + str(len(next(iter(hostile.values())))),
)
def test_a_hostile_row_is_refused(writer, statement, hostile):
    with pytest.raises(psycopg.errors.CheckViolation):
        writer.execute(statement, ROW | hostile)


@pytest.mark.parametrize("end", ["'infinity'", "now() + interval '2 days'"])
def test_a_withdrawal_ends_within_a_day(writer, end):
    with pytest.raises(psycopg.errors.CheckViolation):
        writer.execute(WITHDRAWAL.replace("now() + interval '1 hour'", end), ROW)
    writer.execute(WITHDRAWAL, ROW)
    with pytest.raises(psycopg.errors.CheckViolation):
        writer.execute(f"update windsock.withdrawals set expires_at = {end}")
