"""`windsock check` as a program: flag files against real settings classes."""

import json

import pytest

MODULE = """\
import windsock
from pydantic import BaseModel, Field, model_validator

class Search(BaseModel):
    top_k: int = Field(10, ge=1)

class Teacher(windsock.Settings, flag="teacher"):
    rerank_top_n: int = Field(3, ge=1)
    retrieval_top_k: int = Field(10, le=200)
    search: Search = Search()

    @model_validator(mode="after")
    def fits(self):
        if self.rerank_top_n > self.retrieval_top_k:
            raise ValueError("more reranked than retrieved")
        return self
"""


@pytest.fixture
def project(tmp_path, write):
    (tmp_path / "app.py").write_text(MODULE)

    def flags(base: dict[str, object], **overlays: dict[str, object]):
        environment = {"if": [{"==": [{"var": "environment"}, "development"]}, "development"]}
        written = {
            "teacher": {
                "state": "ENABLED",
                "variants": base,
                "defaultVariant": "production",
                "targeting": environment,
            }
        }
        for name, variants in overlays.items():
            written[f"teacher.{name}"] = {
                "state": "ENABLED",
                "variants": {"none": {}, **variants},
                "defaultVariant": "none",
            }
        return write(written)

    return flags


def test_files_that_fit(windsock, project):
    project(
        {"production": {}, "development": {"retrieval_top_k": 5}}, experiment={"warm": {"rerank_top_n": 4}}
    )
    done = windsock("check", "app:Teacher")
    assert (done.returncode, done.stdout) == (0, "")
    assert "2 flags: 0 values refused" in done.stderr


def test_each_refused_value_at_its_place(windsock, project):
    project(
        {"production": {"retrieval_top_k": 500}, "development": {"retrieval_topk": 5, "search": {"top_k": 0}}}
    )
    done = windsock("check", "app:Teacher", "--format", "json")
    assert done.returncode == 1
    found = {finding["pointer"]: finding["message"] for finding in json.loads(done.stdout)}
    assert set(found) == {
        "/flags/teacher/variants/production/retrieval_top_k",
        "/flags/teacher/variants/development/retrieval_topk",
        "/flags/teacher/variants/development/search/top_k",
    }
    assert "did you mean 'retrieval_top_k'?" in found["/flags/teacher/variants/development/retrieval_topk"]
    assert (
        "Teacher.retrieval_top_k refuses 500" in found["/flags/teacher/variants/production/retrieval_top_k"]
    )


def test_long_keys_above_a_list_are_one_finding_of_a_field(windsock, project):
    project({"production": {}}, experiment={"long": {"search": {"k" * 20_000: ["x"] * 5_000}}})
    done = windsock("check", "app:Teacher", "--format", "json")
    assert done.returncode == 1
    found = [
        finding for finding in json.loads(done.stdout) if "kkk" in finding["pointer"] + finding["message"]
    ]
    (finding,) = found
    assert finding["pointer"] == "/flags/teacher.experiment/variants/long/search"
    message = (
        "the keys that lead to a list or an object in it have more than 1,000 characters (in production)"
    )
    assert finding["message"].endswith(f": {message}")


def test_an_arm_that_fits_one_environment_only(windsock, project):
    project(
        {"production": {}, "development": {"retrieval_top_k": 4}}, experiment={"many": {"rerank_top_n": 8}}
    )
    done = windsock("check", "app:Teacher")
    assert done.returncode == 1
    assert "more reranked than retrieved (in development)" in done.stdout


def test_a_profile_and_an_arm_that_only_together_do_not_fit(windsock, project):
    project(
        {"production": {}, "development": {}},
        experiment={"few": {"retrieval_top_k": 6}},
        profile={"3f0c": {"rerank_top_n": 8}},
    )
    done = windsock("check", "app:Teacher")
    assert done.returncode == 1
    assert "teacher.profile: Teacher.rerank_top_n refuses 8" in done.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("app", "write module:Class"),
        ("nowhere:X", "cannot be imported"),
        ("app:Search", "not a windsock.Settings class"),
        ("broken:X", "the module cannot be imported: broken.py:2: SyntaxError: '(' was never closed\n"),
        ("wrong:X", "the module cannot be imported: wrong.py:1: NameError: name 'nothing' is not defined\n"),
        ("ends:X", "the module cannot be imported: ends.py:2: SystemExit: 3\n"),
        ("lacks:X", "No module named 'nowhere'; run this in the project's folder, with its packages"),
    ],
)
def test_what_is_not_a_settings_class(windsock, project, tmp_path, name, words):
    project({"production": {}, "development": {}})
    (tmp_path / "broken.py").write_text("x = 1\nclass X(\n")
    (tmp_path / "wrong.py").write_text("x = nothing\n")
    (tmp_path / "ends.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "lacks.py").write_text("import nowhere\n")
    done = windsock("check", name)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_classes_that_pyproject_lists_are_imported_where_the_command_says_so(windsock, project, tmp_path):
    project({"production": {"retrieval_top_k": 500}, "development": {}})
    (tmp_path / "pyproject.toml").write_text('[tool.windsock]\nsettings = ["app:Teacher"]\n')
    assert "refuses 500" in windsock("check", "pyproject.toml").stdout
    done = windsock("check")
    assert done.returncode == 1
    assert "or pyproject.toml for those that it lists" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("check",),
        ("plan", "--users", "10"),
        ("explain", "teacher", "--user", "ada"),
        ("export",),
        ("init",),
        ("lint",),
        ("fmt", "--check"),
        ("diff",),
        ("eval", "teacher"),
        ("refs", "--code", "app.py"),
        ("stale", "--code", "app.py"),
        ("history", "teacher"),
    ],
    ids=lambda command: command[0],
)
def test_no_code_of_the_tree_runs_unasked(windsock, project, git, tmp_path, command):
    project({"production": {}, "development": {}})
    git("add", ".")
    git("commit", "-qm", "one")
    trap = "from pathlib import Path\nPath(__file__).with_name('pwned').touch()\n"
    for name in ("app", "windsock", "typer", "yaml", "sitecustomize", "usercustomize", "json", "conftest"):
        (tmp_path / f"{name}.py").write_text(trap)
    (tmp_path / "pyproject.toml").write_text('[tool.windsock]\nsettings = ["app:Teacher"]\n')
    done = windsock(*command)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "pwned").exists()


def test_a_base_that_repeats_the_default_and_a_field_that_a_profile_could_redirect(windsock, write, tmp_path):
    (tmp_path / "app.py").write_text(
        "from typing import Annotated\n"
        "import windsock\n"
        "from pydantic import BaseModel\n"
        "class Store(BaseModel):\n"
        "    s3_secret: str = ''\n"
        "class Gateway(windsock.Settings):\n"
        "    base_url: str = 'https://a.test'\n"
        "    own_url: Annotated[str, windsock.Fixed] = 'https://a.test'\n"
        "    hook_url: Annotated[str, windsock.Tunable] = 'https://a.test'\n"
        "    top_k: int = 3\n"
        "    store: Store = Store()\n"
    )
    write(
        {
            "gateway": {
                "state": "ENABLED",
                "variants": {"base": {"top_k": 3, "own_url": "https://b.test"}},
                "defaultVariant": "base",
            },
            "gateway.profile": {
                "state": "ENABLED",
                "variants": {
                    "none": {},
                    "p1": {"own_url": "https://evil.test", "hook_url": "https://b.test"},
                },
                "defaultVariant": "none",
            },
        }
    )
    done = windsock("check", "app:Gateway")
    assert done.returncode == 1
    assert "settings-default  gateway: equals the default of Gateway.top_k" in done.stdout
    assert (
        "Gateway.own_url refuses 'https://evil.test': fixed: a profile or an experiment cannot" in done.stdout
    )
    assert "hook_url" not in done.stdout
    assert "Gateway: a profile can set base_url, store.s3_secret; mark each" in done.stderr
    assert done.stderr.endswith("1 value refused, 1 equal to the default\n")


FEATURES = """\
from enum import Enum

import windsock

class Layout(Enum):
    LIST = "list"

page_size = windsock.feature("page_size", default=20)
layout = windsock.feature("layout", default=Layout.LIST)
ratio = windsock.feature("ratio", default=0.5)
"""


def test_a_value_of_another_type_than_a_feature_names_its_place_and_what_serves(windsock, write, tmp_path):
    (tmp_path / "features.py").write_text(FEATURES)

    def flag(**variants: object) -> dict[str, object]:
        return {"state": "ENABLED", "variants": variants, "defaultVariant": next(iter(variants))}

    write(
        {
            "page_size": flag(some=30.0, more=1.5),
            "layout": flag(rows="list", tiles="tiles"),
            "ratio": flag(half=1),
            "unread": flag(any="thing"),
        }
    )
    done = windsock("check", "features:layout", "--format", "json")
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert {each["code"] for each in found} == {"feature-value"}
    size, layout = (each["message"] for each in found)
    assert size.startswith("feature 'page_size' takes a whole number, and variant 'more' is 1.5: ")
    assert size.endswith(": the code default 20 serves")
    assert layout.startswith("feature 'layout' takes one of list, and variant 'tiles' is 'tiles': ")
    assert layout.endswith(': the code default "list" serves')
    lines = (tmp_path / "flagd/a.flagd.json").read_text().splitlines()
    assert '"more": 1.5' in lines[found[0]["line"] - 1]
    assert "checked 0 settings classes, 3 features, 4 flags: 2 values refused" in done.stderr
