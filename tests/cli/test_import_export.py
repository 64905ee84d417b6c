"""`windsock init`, `import` and `export` as programs."""

import json
import shutil
from pathlib import Path

import jsonschema_rs
import pytest

CONFIGURATION = Path(__file__).parents[1] / "gitops" / "learning_config.yaml"
MODULE = """\
import windsock
from pydantic import Field, SecretStr

class Teacher(windsock.Settings, flag="teacher"):
    '''What the teacher uses.'''
    top_k: int = Field(10, ge=1, validation_alias="TOP_K")
    api_key: SecretStr = SecretStr("sesame")
"""


@pytest.fixture
def app(tmp_path):
    (tmp_path / "app.py").write_text(MODULE)


def test_import_then_lint_check_and_fmt(windsock, tmp_path):
    shutil.copy(CONFIGURATION, tmp_path / "learning_config.yaml")
    arguments = ("import", "learning_config.yaml", "--module", "conf.py", "--section-suffix", "_settings")
    done = windsock(*arguments)
    assert done.returncode == 0, done.stderr
    assert windsock("lint").returncode == 0
    assert windsock("fmt", "--check").returncode == 0
    assert windsock("check", "conf:WinnerDetection", "conf:SafeExecutor").returncode == 0
    staging = windsock("eval", "winner_detection", ENVIRONMENT="staging")
    assert json.loads(staging.stdout)["ctr_threshold"] == 0.05
    assert windsock(*arguments).returncode == 0, "the same again is no conflict"
    (tmp_path / "conf.py").write_text("# mine")
    done = windsock(*arguments)
    assert done.returncode == 1
    assert "conf.py is there already and nothing was written" in done.stderr


def test_import_into_one_flag(windsock, tmp_path):
    shutil.copy(CONFIGURATION, tmp_path / "learning_config.yaml")
    done = windsock("import", "learning_config.yaml", "--flag", "learning", "--module", "conf.py")
    assert done.returncode == 0, done.stderr
    assert windsock("check", "conf:Learning").returncode == 0
    development = windsock("eval", "learning", ENVIRONMENT="development")
    assert json.loads(development.stdout)["feature_flags"]["auto_promoter"] is False
    done = windsock("import", "learning_config.yaml", "--flag", "learning", "--section-suffix", "_x")
    assert done.returncode == 1
    assert "--section-suffix is for a flag per section" in done.stderr


def test_export_flags_leave_secrets_out(windsock, app):
    done = windsock("export", "app:Teacher")
    assert json.loads(done.stdout)["flags"]["teacher"]["variants"] == {"base": {"top_k": 10}}
    assert "sesame" not in done.stdout


def test_export_schema_checks_variants(windsock, app):
    schema = json.loads(windsock("export", "app:Teacher", "--format", "schema").stdout)
    teacher = jsonschema_rs.validator_for({"$ref": "#/$defs/teacher", **schema})
    assert teacher.is_valid({"top_k": 5})
    assert teacher.is_valid({})
    assert not teacher.is_valid({"top_k": 0})
    assert "sesame" not in json.dumps(schema)


def test_export_manifest(windsock, app):
    manifest = json.loads(windsock("export", "app:Teacher", "--format", "manifest").stdout)
    assert manifest["flags"]["teacher"] == {
        "flagType": "object",
        "defaultValue": {"top_k": 10},
        "description": "What the teacher uses.",
    }


def test_a_repository_without_flags_and_a_misspelt_class_get_advice(windsock, app):
    done = windsock("lint")
    assert (done.returncode, done.stderr) == (
        4,
        "windsock: flagd: No such file or directory; run `windsock init`, or name the files\n",
    )
    done = windsock("init", "app:Techer")
    assert done.returncode == 1
    assert "did you mean 'Teacher'?" in done.stderr


def test_init_for_classes_and_without(windsock, app, tmp_path):
    (tmp_path / ".gitignore").write_text("*.pyc")
    assert windsock("init", "app:Teacher").returncode == 0
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\nflagd/mirror/\n"
    document = json.loads((tmp_path / "flagd" / "teacher.flagd.json").read_text())
    assert document["flags"]["teacher"]["variants"] == {"base": {}}, (
        "the code decides until somebody says otherwise"
    )
    assert windsock("lint").returncode == 0
    assert windsock("check", "app:Teacher").stderr == "checked 1 settings class, 1 flag: 0 values refused\n"
    again = windsock("init", "app:Teacher")
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr.startswith("nothing to do: everything exists already\n")
    assert windsock("init").returncode == 0
    assert windsock("eval", "example_feature").stdout == "false\n"
    (tmp_path / "flagd" / "features.flagd.json").write_text("{}")
    assert "is there already" in windsock("init").stderr


def test_what_json_cannot_hold_is_left_out(windsock, tmp_path):
    (tmp_path / "app.py").write_text(
        "import windsock\n"
        "class Salt(windsock.Settings):\n"
        "    salt: bytes = b'\\x00\\xff'\n"
        "    dsn: str = 'postgresql://ada:sesame@db/app'\n"
        "    n: int = 1\n"
    )
    done = windsock("export", "app:Salt")
    assert json.loads(done.stdout)["flags"]["salt"]["variants"] == {"base": {"n": 1}}
    assert windsock("export", "app:Salt", "--format", "manifest").returncode == 0
    assert windsock("init", "app:Salt").returncode == 0


@pytest.mark.parametrize("name", ["my section", "'x'", "teacher.profile", "teacher.experiment"])
def test_a_section_whose_name_is_no_flag_key_is_refused_and_nothing_is_written(windsock, tmp_path, name):
    (tmp_path / "c.yaml").write_text(json.dumps({name: {"v": 1}}))
    done = windsock("import", "c.yaml", "--module", "app.py")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert repr(name) in done.stderr
    assert not (tmp_path / "app.py").exists()
    assert not (tmp_path / "flagd").exists()
