"""Uses of flags and fields in Python code, found through imports, aliases, views and lambdas."""

from windsock.code.uses import scan

SETTINGS = """\
import windsock as ws
from windsock import Settings

class Teacher(ws.Settings, flag="teacher"):
    top_k: int = 10
    model: str = "m"
    unused: int = 1

class AuraSettings(Settings):
    l1_model: str = "m"

class Other:
    top_k = 5
"""

APP = """\
from openfeature import api
from windsock import aheal, feature as flag_of, heal
from app.settings import AuraSettings, Teacher as T

beta = flag_of("beta", default=False)
settings = AuraSettings.live()

def answer(user: str) -> None:
    teacher = T.for_user(user)
    print(teacher.top_k, settings.l1_model)
    heal(teacher, lambda s: call(s.model))
    api.get_client().get_boolean_value("gamma", False)

async def later(user: str, given: "Teacher") -> None:
    teacher = await T.afor_user(user)
    await aheal(teacher, lambda s: call(model=s.model))
    given.top_k

def unrelated(teacher) -> None:
    teacher.unused
    other = {}
    other.top_k
"""


HOLDERS = """\
from dataclasses import dataclass
from typing import Annotated, Optional
import windsock
from app.settings import Teacher

class Service:
    spare: Optional[Teacher] = None

    def early(self):
        return self.settings.top_k

    def __init__(self, teacher: Teacher, deps: "Deps"):
        self.settings = teacher
        self.deps = deps

    def answer(self):
        chosen = self.settings
        chosen.model
        self.spare.top_k
        self.deps.teacher.model
        self.nothing.top_k
        return getattr(self.settings, "model")

@dataclass
class Deps:
    teacher: Teacher
    name: str

def route(given: Annotated[Teacher, "depends"], deps: Deps, other: "Teacher | None", name: list[Teacher]):
    given.top_k
    deps.teacher.top_k
    other.model
    deps.name.top_k
    name.top_k

class Checked(windsock.Settings, flag="checked"):
    low: int = 1
    high: int = 2

    @model_validator(mode="after")
    def check(self):
        return self.low < 5

    @property
    def doubled(self):
        return 2 * self.high
"""


def found(tmp_path, **files: str):
    (tmp_path / "app").mkdir()
    for name, text in files.items():
        (tmp_path / "app" / f"{name}.py").write_text(text)
    return scan([tmp_path])


def test_uses_with_their_places(tmp_path):
    code = found(tmp_path, settings=SETTINGS, main=APP)
    uses = {(use.flag, use.field, use.kind, use.path.rpartition("/")[2], use.line) for use in code.uses}
    assert uses == {
        ("teacher", None, "class", "settings.py", 4),
        ("aura", None, "class", "settings.py", 9),
        ("beta", None, "feature", "main.py", 5),
        ("gamma", None, "client", "main.py", 12),
        ("teacher", "top_k", "read", "main.py", 10),
        ("aura", "l1_model", "read", "main.py", 10),
        ("teacher", "model", "read", "main.py", 11),
        ("teacher", "model", "read", "main.py", 16),
        ("teacher", "top_k", "read", "main.py", 17),
    }
    assert [(each.name, each.fields) for each in code.classes] == [
        ("Teacher", ("top_k", "model", "unused")),
        ("AuraSettings", ("l1_model",)),
    ]


def test_reads_through_attributes_annotations_and_dataclasses(tmp_path):
    code = found(tmp_path, settings=SETTINGS, main=HOLDERS)
    reads = {(use.line, f"{use.flag}.{use.field}") for use in code.uses if use.kind == "read"}
    lines = HOLDERS.splitlines()
    assert sorted((lines[line - 1].strip(), field) for line, field in reads) == [
        ("chosen.model", "teacher.model"),
        ("deps.teacher.top_k", "teacher.top_k"),
        ("given.top_k", "teacher.top_k"),
        ("other.model", "teacher.model"),
        ("return 2 * self.high", "checked.high"),
        ('return getattr(self.settings, "model")', "teacher.model"),
        ("return self.settings.top_k", "teacher.top_k"),
        ("self.deps.teacher.model", "teacher.model"),
        ("self.spare.top_k", "teacher.top_k"),
    ]


def test_a_file_that_does_not_parse_is_told_and_the_others_are_looked_through(tmp_path):
    code = found(tmp_path, settings=SETTINGS, broken="def (:\n")
    assert [each.name for each in code.classes] == ["Teacher", "AuraSettings"]
    [fault] = code.unread
    assert "broken.py" in fault


def test_installed_packages_are_left_out(tmp_path):
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "x.py").write_text(SETTINGS)
    assert found(tmp_path).classes == []
