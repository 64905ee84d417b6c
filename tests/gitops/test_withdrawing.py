"""The change that makes a withdrawal permanent, when what the database says of it is hostile."""

import json
import shlex
import subprocess

import pytest

from windsock.flagfiles.files import FlagFile
from windsock.gitops.withdrawing import permanent
from windsock.healing.quarantine import Withdrawal
from windsock.settings.place import fingerprint

PATCH = "model\n--- /dev/null\n+++ b/pwned\n@@ -0,0 +1 @@\n+pwned\n"


def withdrawal(flag: str = "teacher", variant: str = "base", field: str = "model") -> Withdrawal:
    return Withdrawal(flag, variant, field, fingerprint("typo"), '"typo"', "failed")


def file(path: str = "flagd/teacher.flagd.json", **fields: object) -> FlagFile:
    flag = {"state": "ENABLED", "variants": {"base": {"model": "typo", **fields}}, "defaultVariant": "base"}
    return FlagFile(path, json.dumps({"flags": {"teacher": flag}}, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    "hostile",
    [
        withdrawal(field=PATCH),
        withdrawal(flag=PATCH),
        withdrawal(variant=PATCH),
        withdrawal(flag="teacher.profile", field=PATCH),
        withdrawal(flag="teacher.profile", variant=PATCH),
        withdrawal(flag=PATCH + ".profile"),
    ],
)
def test_no_line_of_a_withdrawal_gets_into_the_patch(hostile, tmp_path):
    made = "".join(permanent([hostile], [file()], {PATCH: PATCH}))
    assert [line for line in made.splitlines() if not line.startswith("# ")] == []
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply"], cwd=tmp_path, input=made.encode(), check=False, capture_output=True)
    assert not (tmp_path / "pwned").exists()


def test_a_profile_is_edited_by_its_name_which_the_shell_takes_as_it_is():
    hostile = "x'; drop table profiles; --"
    [line] = permanent([withdrawal("teacher.profile", "3f0c", "a'b")], [], {"3f0c": hostile})
    assert shlex.split(line.removeprefix("# ")) == [
        "windsock", "profile", "edit", "--unset=a'b", "--", hostile
    ]  # fmt: skip
    [line] = permanent([withdrawal("teacher.profile", "3f0c")], [], {})
    assert line == "# model of flag 'teacher.profile' variant '3f0c' is in none of these files\n"


@pytest.mark.parametrize("name", ["plain", "two words", 'qu"ote', "ünï", "back\\slash"])
def test_the_patch_applies_whatever_the_file_holds_and_is_named(name, tmp_path):
    given = file(f"flagd/{name}.flagd.json", note="a\u2028b\u0085c", big=12345678901234567890, number=1.0)
    path = tmp_path / given.path
    path.parent.mkdir()
    path.write_bytes(given.data)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    made = "".join(permanent([withdrawal()], [given], {}))
    subprocess.run(["git", "apply"], cwd=tmp_path, input=made.encode(), check=True)
    assert json.loads(path.read_text())["flags"]["teacher"]["variants"]["base"] == {
        "note": "a\u2028b\u0085c",
        "big": 12345678901234567890,
        "number": 1.0,
    }
    assert "1.0" in path.read_text()


def test_another_value_at_the_place_is_left_alone():
    other = Withdrawal("teacher", "base", "model", fingerprint("another"), None, "failed")
    [line] = permanent([other], [file()], {})
    assert line.startswith("# model of flag 'teacher'")
