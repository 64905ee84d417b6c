"""A secret that a flag file, a profile, the audit or Git holds is on no page."""

import json

import pytest
from pydantic import SecretStr
from tests.console.conftest import ADA, Teacher, document, git
from tests.console.records import fill
from tests.console.test_hostile import addresses

import windsock
from windsock.console import Console
from windsock.mirror import profiles
from windsock.mirror.profiles import ProfileRow

SECRET = "s3cret-in-a-file"


class Vault(windsock.Settings, flag="console_vault"):
    """Another class with a secret."""

    token: SecretStr = SecretStr("")


@pytest.fixture
def console(folder, database):
    flags = folder.relative_to(folder.parent)
    return Console((Teacher, Vault), flags, f"{database}&user=console_service")


@pytest.fixture
def planted(connection, folder):
    """The secret wherever somebody may have left it by hand."""
    fill(connection, 5)
    content = document()
    for variant in content["flags"]["teacher"]["variants"].values():
        variant["api_key"] = SECRET
    (folder / "teacher.flagd.json").write_text(json.dumps(content))
    git(folder.parent, "commit", "-q", "-am", "A secret by mistake")
    profiles.save(connection, "leaky", None, ProfileRow({"api_key": SECRET, "temperature": 1.0}, "Leaks"))
    connection.execute(
        "update profiles set config_id = (select id from app_configurations where name = 'leaky') where id = %s",
        [ADA],
    )
    connection.execute(
        "insert into windsock.configuration_audit (actor, flag, file, revision_before, revision_after, request, changed)"
        " values ('ann', 'teacher', 'f', '', '', '{}', '{\"/temperature\": [1, 2]}')"
    )
    windsock.reload()


def test_it_is_on_no_page(planted, admin, connection):
    pages = [
        *addresses(connection),
        ("/flag", {"key": "teacher", "user": str(ADA)}),
        ("/flag", {"key": "teacher"}),
        ("/settings", {"flag": "teacher"}),
        ("/profile", {"name": "leaky"}),
        ("/profile/edit", {"name": "leaky"}),
        ("/user", {"id": str(ADA)}),
    ]
    for path, asked in pages:
        answer = admin.get(path, **asked)
        assert SECRET not in answer.text, (path, asked)
    masked = admin.get("/flag", key="teacher", user=str(ADA)).text
    assert "**********" in masked


def planned(admin, **fields):
    page = admin.get("/base", flag="teacher").text
    revision = page.partition('name="revision" value="')[2].partition('"')[0]
    return admin.send("/base/plan", flag="teacher", variant="production", revision=revision, **fields).text


@pytest.mark.parametrize("key", ["console_vault", "console_vault.experiment", "console_vault.profile"])
def test_a_patch_does_not_show_another_class_s_secret(admin, folder, key):
    path = folder / "teacher.flagd.json"
    content = json.loads(path.read_text())
    body = {"state": "ENABLED", "variants": {"on": {"token": SECRET}}, "defaultVariant": "on"}
    teacher = content["flags"]["teacher"]
    content["flags"] = {key: body, "teacher": teacher | {"metadata": {"owner": "teaching", "note": SECRET}}}
    path.write_text(json.dumps(content, indent=2))
    windsock.reload()
    plan = planned(admin, **{"f:temperature": "0.6"})
    assert "the file sets a secret field" in plan
    assert SECRET not in plan


def test_a_patch_does_not_show_a_secret_that_is_in_no_variant(admin, folder):
    content = document()
    content["flags"]["teacher"]["metadata"] = {"owner": "teaching", "api_key": SECRET}
    (folder / "teacher.flagd.json").write_text(json.dumps(content))
    windsock.reload()
    plan = planned(admin, **{"f:temperature": "0.6"})
    assert "the file sets a secret field" in plan
    assert SECRET not in plan


def test_a_plan_that_cannot_be_written_shows_no_document_with_it(planted, admin):
    plan = planned(admin, **{"f:temperature": "0.6"})
    assert "temperature" in plan
    assert "the file sets a secret field" in plan
    assert SECRET not in admin.get("/base", flag="teacher").text + plan
