"""Rows, flags and commits that say hostile things wherever they may say anything."""

import json

from tests.console.conftest import ADA, git
from tests.console.records import fill

import windsock
from windsock.mirror import profiles
from windsock.mirror.profiles import ProfileRow

EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'\"&{{7*7}}"
TURNED = "a\u202eevil\u202c b"


def plant(connection, folder, evil=EVIL):
    """Rows, flags and commits that say such things wherever they may say anything."""
    fill(connection, 20)
    row = ProfileRow({"greeting": evil, "channels": [evil, TURNED]}, evil + TURNED)
    profiles.save(connection, evil, None, row, evil)
    profiles.save(connection, "الملف الشخصي " + "و" * 150, None, ProfileRow({"greeting": "مرحبا"}), "عمر")
    connection.execute(
        "update usage_logs set user_id = %(evil)s, variant = %(evil)s, error_class = %(evil)s, reason = %(evil)s,"
        " answered_model = %(evil)s, status = 'error', request_id = %(evil)s, \"values\" = %(json)s, config_id = null"
        " where id in (select id from usage_logs order by requested_at desc limit 10)",
        {"evil": evil, "json": json.dumps({evil: evil, "t": TURNED})},
    )
    connection.execute(
        "insert into windsock.withdrawals (flag, variant, field, fingerprint, value, reason, expires_at)"
        " values (%(evil)s, %(evil)s, %(evil)s, 'x', %(evil)s, %(evil)s, now() + interval '1 hour')",
        {"evil": evil},
    )
    connection.execute(
        "insert into windsock.faults (id, flag, variant, field, fingerprint, value, error, request_id)"
        " values (gen_random_uuid(), %(evil)s, %(evil)s, %(evil)s, 'x', %(evil)s, %(evil)s, 'r')",
        {"evil": evil},
    )
    connection.execute(
        "insert into windsock.mirrors values (%s, 'f', now(), now(), %s)", [evil, evil + TURNED]
    )
    connection.execute(
        "insert into windsock.configuration_audit (actor, flag, file, revision_before, revision_after, request, changed)"
        " values (%s, 'teacher', %s, '', '', '{}', %s)",
        [evil, evil, json.dumps({"/greeting": [evil, TURNED]})],
    )
    body = {"state": "ENABLED", "variants": {evil: True, "off": False}, "defaultVariant": evil}
    rule = {"if": [{"==": [{"var": evil}, TURNED]}, {"fractional": [[evil, 10], ["off", 90]]}]}
    flag = {**body, "targeting": rule, "metadata": {"owner": evil, "expires": evil}}
    content = {"flags": {evil: flag, TURNED: body, "w" * 300: body}}
    (folder / f"{evil.replace('/', '-')[:60]}.flagd.json").write_text(json.dumps(content))
    (folder / "experiments" / "evil.yaml").write_text(experiment(evil))
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "-q", "-m", evil, f"--author={evil.replace('<', '').replace('>', '')} <e@x>")
    windsock.reload()


def experiment(evil):
    """A document that says such things wherever it may, as JSON, which is YAML."""
    declared = {
        "name": "evil",
        "hypothesis": evil,
        "owner": evil,
        "settings": "teacher",
        "minimum_effect": 0.05,
    }
    arms = {"control": {}, "small": {"greeting": evil}}
    return json.dumps(declared | {"arms": arms, "metrics": {"goal": ["cost_per_request"]}})


def addresses(connection, evil=EVIL):
    (change,) = connection.execute("select max(id) from windsock.profile_changes").fetchone()
    (written,) = connection.execute("select max(id) from windsock.configuration_audit").fetchone()
    (request,) = connection.execute("select id from usage_logs order by requested_at desc limit 1").fetchone()
    return [
        ("/", {}), ("/settings", {}), ("/people", {}), ("/people", {"q": evil}), ("/user", {"id": evil, "attributes": f"{evil}={TURNED}"}),
        ("/user", {"id": str(ADA)}), ("/profile", {"name": evil}), ("/profile/edit", {"name": evil}), ("/profile", {"name": TURNED}),
        ("/base", {"flag": "teacher"}), ("/flags", {}), ("/flags", {"q": evil}), ("/flag", {"key": evil, "user": evil, "attributes": f"{evil}={TURNED}"}),
        ("/usage", {"by": "model"}), ("/usage", {"by": "variant", "span": evil, "flag": evil}), ("/request", {"id": str(request)}),
        ("/quarantine", {"lifted": evil}), ("/changes", {"flag": evil}), ("/changes", {"page": evil}), ("/change", {"id": str(change)}),
        ("/change", {"id": str(written), "kind": "file"}), ("/experiment", {"name": evil}), ("/experiment", {"name": "evil"}), ("/experiments", {}), (f"/{evil}", {}), ("/changes", {}),
    ]  # fmt: skip
