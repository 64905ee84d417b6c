"""HTML, control characters, right-to-left text and long names in every field that a page shows."""

import json
import os
from itertools import product
from pathlib import Path

import pytest
from psycopg.types.json import Jsonb
from tests.console.browser import pages_about
from tests.console.conftest import ADA, WARM
from tests.console.hostile import EVIL, addresses, plant
from tests.console.scenes import ten_thousand
from tests.console.test_who_may import FORMS

from windsock.mirror import profiles


@pytest.fixture
def hostile(connection, folder):
    plant(connection, folder)


def test_everything_is_escaped(hostile, admin, connection):
    seen = 0
    for path, asked in addresses(connection):
        answer = admin.get(path, **asked)
        assert answer.status_code in {200, 404, 422}, (path, answer.text[:500])
        assert "<script" not in answer.text, path
        assert "<img" not in answer.text, path
        assert "7*7" not in answer.text or "{{7*7}}" in answer.text, path
        assert "\u202e" not in answer.text, path
        assert len(answer.content) <= 100_000, path
        seen += "&lt;script&gt;" in answer.text
    assert seen >= 12, "the pages do show it"


def test_forms_send_it_back_escaped(hostile, admin):
    answer = admin.send(
        "/profile/plan",
        name=EVIL,
        active="1",
        description=EVIL,
        **{"f:greeting": EVIL + "!", "f:channels": json.dumps([EVIL])},
    )
    assert answer.status_code == 200
    assert "<script" not in answer.text
    answer = admin.send("/profile/plan", name=EVIL, active="1", **{"f:temperature": EVIL})
    assert answer.status_code == 422
    assert "<script" not in answer.text
    answer = admin.send("/profile/plan", name="line\u2028break", new="1")
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "text", ["\x00", "\ud800".encode("utf-8", "surrogatepass"), "9" * 400, "-1", "../../etc/passwd"]
)
def test_odd_queries_are_answered(admin, text):
    paths = "/change", "/request", "/user", "/profile", "/changes", "/flag", "/settings", "/base"
    for path, name in product(paths, ("id", "name", "key", "flag", "page", "q", "at", "variant")):
        answer = admin.get(path, **{name: text})
        assert answer.status_code in {200, 404, 422}, (path, name, answer.text[:300])


@pytest.mark.parametrize("body", [b"\xff\xfe=x", b"a=%ff", b"=" * 5_000 + b"&" * 5_000, b"x" * 300_000])
def test_odd_forms_are_answered(admin, body):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = admin.http.post("/profile/plan", content=body, headers=headers)
    assert answer.status_code in {403, 413, 422}


@pytest.mark.slow
def test_thousands_of_rows_are_pages(admin, connection, folder):
    """Of profiles, changes, requests, flags, users of one profile, its changes, withdrawn values and their errors."""
    names = ten_thousand(connection, folder)
    connection.execute("update profiles set config_id = %s", [WARM])
    connection.execute("update windsock.profile_changes set profile = 'warm' where id % 2 = 0")
    connection.execute(
        "insert into windsock.withdrawals (flag, variant, field, fingerprint, value, reason, expires_at)"
        " select 'teacher', 'production', 'greeting', n, repeat('value ', 300), repeat('failed ', 300),"
        " now() + interval '1 hour' from generate_series(1, 10000) n"
    )
    connection.execute(
        "insert into windsock.faults (id, flag, variant, field, fingerprint, value, error, request_id)"
        " select gen_random_uuid(), 'teacher', 'production', 'greeting', n % 50, 'v', repeat('error ', 300), n"
        " from generate_series(1, 10000) n"
    )
    answers = {path: admin.http.get(path) for path in pages_about(connection, names).values()}
    answers |= {f"{path} {asked}": admin.get(path, **asked) for path, asked in addresses(connection)}
    answers |= {path: admin.send(path, **form) for path, form in FORMS.items() if path.endswith("/plan")}
    sizes = {path: len(answer.content) for path, answer in answers.items()}
    assert {path: size for path, size in sizes.items() if size > 100_000} == {}, sizes
    assert {answer.status_code for answer in answers.values()} <= {200, 404, 422}
    if out := os.environ.get("CONSOLE_SIZES"):
        Path(out).write_text("".join(f"{size:7,} {path}\n" for path, size in sizes.items()))


@pytest.mark.parametrize("unreadable", ["repeat('[', 4000) || repeat(']', 4000)", "'{\"a\": 1e9999}'"])
def test_a_row_that_python_cannot_read_hides_no_other(hostile, admin, connection, unreadable):
    connection.execute(
        f'update usage_logs set "values" = ({unreadable})::jsonb, healed = ({unreadable})::jsonb'
    )
    for path, asked in addresses(connection):
        answer = admin.get(path, **asked)
        assert answer.status_code in {200, 404, 422}, (path, answer.text[:300])


@pytest.mark.parametrize(
    "changed",
    [
        '{"": [{"metadata": 5}, null]}',
        '{"": [{"metadata": [1], "targeting": "x"}, [1]]}',
        '{"": [5, {"variants": 3, "defaultVariant": {}}]}',
        '{"/": [null, 1], "/a//b": [{"x": []}, 2]}',
    ],
)
def test_a_write_of_a_shape_that_no_flag_has_hides_no_other(admin, connection, changed):
    """Whoever has `windsock_api` and the hash of an admin's token can record it."""
    number = connection.execute(
        "insert into windsock.configuration_audit"
        " (actor, flag, file, revision_before, revision_after, request, changed, written_at)"
        " values ('x', 'teacher', 'f', '', '', '{}', %s, now()) returning id",
        [changed],
    ).fetchone()[0]
    assert admin.get("/changes").status_code == 200
    assert admin.get("/change", id=str(number), kind="file").status_code == 200


NOBODY = "00000000-0000-0000-0000-00000000dead"


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("edit", {}, None),
        ("edit", {"settings": {}}, None),
        ("edit", {"settings": None, "description": None, "active": True}, None),
        ("edit", {"settings": {}, "description": 1, "active": True}, None),
        ("edit", {"settings": {}, "description": None, "active": "x"}, None),
        ("assign", {str(ADA): "x"}, {str(ADA): None}),
        ("assign", {str(ADA): {}}, {str(ADA): None}),
        ("assign", {str(ADA): NOBODY}, {str(ADA): None}),
        ("assign", {"nobody": None}, {}),
        ("assign", {"": None}, {}),
    ],
)
def test_undoing_what_windsock_did_not_record_changes_nothing(admin, connection, action, before, after):
    with connection.transaction():
        now = profiles.load(connection, "warm")[0].as_data()
    connection.execute("update profiles set config_id = null where id = %s", [ADA])
    [number] = connection.execute(
        "insert into windsock.profile_changes (action, profile, before, after)"
        " values (%s, 'warm', %s, %s) returning id",
        [action, Jsonb(before), Jsonb(now if after is None else after)],
    ).fetchone()
    state = "select array(select c::text from app_configurations c), array(select p::text from profiles p)"
    rows = connection.execute(state).fetchone()
    answer = admin.send("/changes/undo", id=str(number))
    assert answer.status_code in (409, 422)
    assert "nothing was changed" in answer.text
    assert connection.execute(state).fetchone() == rows


def test_nor_does_a_change_of_somebody_without_a_name(admin, connection):
    number = connection.execute(
        "insert into windsock.profile_changes (action, before, after, actor)"
        """ values ('assign', '{"": 5}', '{"": null, "x": [1]}', 'x') returning id"""
    ).fetchone()[0]
    assert admin.get("/changes").status_code == 200
    assert admin.get("/change", id=str(number)).status_code == 200
