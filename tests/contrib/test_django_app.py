"""The Django app in a project of its own: it starts windsock, checks the flags, and runs windsock's commands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = {
    "manage.py": """
import os
import sys

from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "project_settings"
execute_from_command_line(sys.argv)
""",
    "project_settings.py": """
from pathlib import Path

BASE_DIR = Path(__file__).parent
INSTALLED_APPS = ["windsock.contrib.django"]
ROOT_URLCONF = "coach"
SECRET_KEY = "for tests"
WINDSOCK = {"flags": BASE_DIR / "flagd", "usage": False}
""",
    "coach.py": """
import windsock

class Coach(windsock.Settings, flag="coach"):
    top_k: int = 10

urlpatterns = []
""",
}


@pytest.fixture
def manage(tmp_path: Path):
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "flagd").mkdir()

    def manage(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "manage.py", *arguments],
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return manage


def write(folder: Path, variants: dict[str, object], **more: object) -> None:
    flag = {"state": "ENABLED", "variants": variants, "defaultVariant": next(iter(variants)), **more}
    (folder / "flagd/coach.flagd.json").write_text(json.dumps({"flags": {"coach": flag}}))


def test_flags_that_fit_have_no_findings(manage, tmp_path: Path) -> None:
    write(tmp_path, {"base": {"top_k": 5}})
    done = manage("check")
    assert (done.returncode, done.stdout.strip()) == (0, "System check identified no issues (0 silenced).")


@pytest.mark.parametrize("arguments", [("check",), ("check", "--tag", "windsock")], ids=["all", "ours alone"])
def test_a_value_that_its_class_refuses_is_an_error(
    manage, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    write(tmp_path, {"base": {"top_k": "many"}})
    done = manage(*arguments)
    assert done.returncode == 1
    assert "(windsock.E001) flag 'coach': " in done.stderr
    assert "Coach.top_k" in done.stderr


@pytest.mark.parametrize(
    ("content", "id"),
    [
        ('{"flags": {"coach": {"state": "ENABLED", "variants": {"a": {}}, "defaultVariant": "b"}}}', "W001"),
        (None, "W002"),
    ],
    ids=["a broken flag", "no flags"],
)
def test_what_does_not_serve_is_a_warning(manage, tmp_path: Path, content: str | None, id: str) -> None:  # noqa: A002
    if content is not None:
        (tmp_path / "flagd/coach.flagd.json").write_text(content)
    done = manage("check")
    assert done.returncode == 0
    assert f"(windsock.{id})" in done.stderr


def test_a_settings_class_can_be_named_although_django_has_an_option_of_that_name(manage) -> None:
    done = manage(
        "windsock", "--", "profile", "create", "p", "--set", "top_k=3", "--settings", "coach:Coache"
    )
    assert "did you mean 'Coach'?" in done.stderr


def test_the_command_line_is_windsocks_with_the_projects_modules(manage, tmp_path: Path) -> None:
    write(tmp_path, {"base": {"top_k": 5}})
    done = manage("windsock", "check", "coach:Coach")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        0,
        "checked 1 settings class, 1 flag: 0 values refused",
    )
    assert "windsock explain" in manage("windsock", "explain", "--help").stdout
    assert manage("windsock", "expalin").returncode == 2
