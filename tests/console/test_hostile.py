"""HTML, control characters, right-to-left text and long names in every field that a page shows."""

import json

import pytest
from tests.console.conftest import ADA, git
from tests.console.records import fill

import windsock
from windsock.mirror import profiles
from windsock.mirror.profiles import ProfileRow

EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'\"&{{7*7}}"
TURNED = "a\u202eevil\u202c b"


@pytest.fixture
def hostile(connection, folder):
    """Rows, flags and commits that say such things wherever they may say anything."""
    fill(connection, 20)
    row = ProfileRow({"greeting": EVIL, "channels": [EVIL, TURNED]}, EVIL + TURNED)
    profiles.saved(connection, EVIL, None, row, EVIL)
    profiles.saved(connection, "الملف الشخصي " + "و" * 150, None, ProfileRow({"greeting": "مرحبا"}), "عمر")
    connection.execute(
        "update usage_logs set user_id = %(evil)s, variant = %(evil)s, error_class = %(evil)s, reason = %(evil)s,"
        " answered_model = %(evil)s, status = 'error', request_id = %(evil)s, \"values\" = %(json)s, config_id = null"
        " where id in (select id from usage_logs order by requested_at desc limit 10)",
        {"evil": EVIL, "json": json.dumps({EVIL: EVIL, "t": TURNED})},
    )
    connection.execute(
        "insert into windsock.withdrawals (flag, variant, field, fingerprint, value, reason, expires_at)"
        " values (%(evil)s, %(evil)s, %(evil)s, 'x', %(evil)s, %(evil)s, now() + interval '1 hour')",
        {"evil": EVIL},
    )
    connection.execute(
        "insert into windsock.faults (id, flag, variant, field, fingerprint, value, error, request_id)"
        " values (gen_random_uuid(), %(evil)s, %(evil)s, %(evil)s, 'x', %(evil)s, %(evil)s, 'r')",
        {"evil": EVIL},
    )
    connection.execute(
        "insert into windsock.mirrors values (%s, 'f', now(), now(), %s)", [EVIL, EVIL + TURNED]
    )
    connection.execute(
        "insert into windsock.configuration_audit (actor, flag, file, revision_before, revision_after, request, changed)"
        " values (%s, 'teacher', %s, '', '', '{}', %s)",
        [EVIL, EVIL, json.dumps({"/greeting": [EVIL, TURNED]})],
    )
    body = {"state": "ENABLED", "variants": {EVIL: True, "off": False}, "defaultVariant": EVIL}
    rule = {"if": [{"==": [{"var": EVIL}, TURNED]}, {"fractional": [[EVIL, 10], ["off", 90]]}]}
    flag = {**body, "targeting": rule, "metadata": {"owner": EVIL, "expires": EVIL}}
    content = {"flags": {EVIL: flag, TURNED: body, "w" * 300: body}}
    (folder / "evil.flagd.json").write_text(json.dumps(content))
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "-q", "-m", EVIL, f"--author={EVIL.replace('<', '').replace('>', '')} <e@x>")
    windsock.reload()


def addresses(connection):
    (change,) = connection.execute("select max(id) from windsock.profile_changes").fetchone()
    (written,) = connection.execute("select max(id) from windsock.configuration_audit").fetchone()
    (request,) = connection.execute("select id from usage_logs order by requested_at desc limit 1").fetchone()
    return [
        ("/", {}), ("/settings", {}), ("/people", {}), ("/people", {"q": EVIL}), ("/user", {"id": EVIL, "attributes": f"{EVIL}={TURNED}"}),
        ("/user", {"id": str(ADA)}), ("/profile", {"name": EVIL}), ("/profile/edit", {"name": EVIL}), ("/profile", {"name": TURNED}),
        ("/base", {"flag": "teacher"}), ("/flags", {}), ("/flags", {"q": EVIL}), ("/flag", {"key": EVIL, "user": EVIL, "attributes": f"{EVIL}={TURNED}"}),
        ("/usage", {"by": "model"}), ("/usage", {"by": "variant", "span": EVIL, "flag": EVIL}), ("/request", {"id": str(request)}),
        ("/quarantine", {"lifted": EVIL}), ("/changes", {"flag": EVIL}), ("/changes", {"page": EVIL}), ("/change", {"id": str(change)}),
        ("/change", {"id": str(written), "kind": "file"}), ("/experiment", {"name": EVIL}), (f"/{EVIL}", {}), ("/changes", {}),
    ]  # fmt: skip


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
    "path", ["/change", "/request", "/user", "/profile", "/changes", "/flag", "/settings", "/base"]
)
@pytest.mark.parametrize(
    "text", ["\x00", "\ud800".encode("utf-8", "surrogatepass"), "9" * 400, "-1", "../../etc/passwd"]
)
def test_odd_queries_are_answered(admin, path, text):
    for name in "id", "name", "key", "flag", "page", "q", "at", "variant":
        answer = admin.get(path, **{name: text})
        assert answer.status_code in {200, 404, 422}, answer.text[:300]


@pytest.mark.parametrize("body", [b"\xff\xfe=x", b"a=%ff", b"=" * 5_000 + b"&" * 5_000, b"x" * 300_000])
def test_odd_forms_are_answered(admin, body):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = admin.http.post("/profile/plan", content=body, headers=headers)
    assert answer.status_code in {403, 413, 422}


def test_thousands_of_rows_are_pages(admin, connection):
    connection.execute(
        "insert into app_configurations (id, name, settings) select gen_random_uuid(), 'profile ' || n,"
        " '{\"temperature\": 1}' from generate_series(1, 10000) n"
    )
    connection.execute("insert into profiles select gen_random_uuid() from generate_series(1, 10000)")
    connection.execute(
        "insert into windsock.profile_changes (action, profile, before, after, actor) select 'edit', 'profile ' || n,"
        " '{}', '{\"settings\": {}}', 'x' from generate_series(1, 10000) n"
    )
    fill(connection, 10_000)
    for path, asked in addresses(connection):
        answer = admin.get(path, **asked)
        assert len(answer.content) <= 100_000, (path, len(answer.content))
        assert answer.status_code in {200, 404, 422}, path
