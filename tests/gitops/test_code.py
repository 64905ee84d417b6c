"""Uses of flags and fields in Python code, found through imports, aliases, views and lambdas."""

from pathlib import Path

import pytest
from tests.processor import at_most

from windsock.code import search
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


def test_a_file_that_does_not_parse_is_reported_and_the_others_are_searched(tmp_path):
    code = found(tmp_path, settings=SETTINGS, broken="import windsock\ndef (:\n")
    assert [each.name for each in code.classes] == ["Teacher", "AuraSettings"]
    [fault] = code.unread
    assert "broken.py" in fault


def test_installed_packages_are_left_out(tmp_path):
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "x.py").write_text(SETTINGS)
    assert found(tmp_path).classes == []


def written(tmp_path, files: dict[str, str | bytes]):
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    code = scan([tmp_path])
    return code, {(use.flag, use.field, use.kind, Path(use.path).name, use.line) for use in code.uses}


@pytest.mark.parametrize(
    "app",
    [
        "from app.settings import settings\nprint(settings.top_k)\n",
        "from .settings import settings\nprint(settings.top_k)\n",
        "from app.settings import settings as s\nprint(s.top_k)\n",
        "from app import settings\nprint(settings.settings.top_k)\n",
        "import app.settings\nprint(app.settings.settings.top_k)\n",
        "def f():\n    from app.settings import settings; return settings.top_k\n",
        "from app.again import handed_on\nprint(handed_on.top_k)\n",
    ],
)
def test_live_settings_of_another_module_are_followed(tmp_path, app):
    settings = (
        "import windsock\nclass Teacher(windsock.Settings):\n    top_k: int = 3\nsettings = Teacher.live()\n"
    )
    again = "from app.settings import settings\nhanded_on = settings\n"
    files = {"app/__init__.py": "", "app/settings.py": settings, "app/again.py": again, "app/main.py": app}
    _, uses = written(tmp_path, files)
    assert ("teacher", "top_k", "read", "main.py", 2) in uses


@pytest.mark.parametrize(
    "main",
    [
        "from app import current\nprint(current.top_k)\n",
        "import app\nprint(app.current.top_k)\n",
        "from . import current\nprint(current.top_k)\n",
        "from app.more import current\nprint(current.top_k)\n",
        "from .more.within import handed\nprint(handed.top_k)\n",
    ],
)
def test_what_a_package_imports_can_be_imported_from_it(tmp_path, main):
    files = {
        "app/settings.py": "import windsock\nclass Teacher(windsock.Settings):\n    top_k: int = 3\nlive = Teacher.live()\n",
        "app/__init__.py": "from .settings import live as current\n",
        "app/more/__init__.py": "from .. import current\n",
        "app/more/within.py": "from ..more import current as handed\n",
        "app/main.py": main,
    }
    _, uses = written(tmp_path, files)
    assert ("teacher", "top_k", "read", "main.py", 2) in uses


def test_a_relative_import_means_its_own_package(tmp_path):
    files = {}
    for package, field in (("first", "one"), ("second", "two")):
        files[f"{package}.v1/{package}/settings.py"] = (
            f"import windsock\nclass {package.title()}(windsock.Settings):\n    {field}: int = 3\n"
            f"live = {package.title()}.live()\n"
        )
        files[f"{package}.v1/{package}/{field}.py"] = f"from .settings import live\nprint(live.{field})\n"
    _, uses = written(tmp_path, files)
    assert {use for use in uses if use[2] == "read"} == {
        ("first", "one", "read", "one.py", 2),
        ("second", "two", "read", "two.py", 2),
    }


def test_settings_that_a_function_makes_global_are_followed(tmp_path):
    here = (
        "from app import Teacher\nteacher = None\n"
        "def start():\n    global teacher\n    teacher = Teacher.live()\n"
        "def use():\n    return teacher.top_k\n"
    )
    files = {
        "app.py": "import windsock\nclass Teacher(windsock.Settings):\n    top_k: int = 3\n",
        "here.py": here,
        "main.py": "import here\ndef use():\n    return here.teacher.top_k\n",
    }
    _, uses = written(tmp_path, files)
    assert {use[3:] for use in uses if use[2] == "read"} == {("here.py", 7), ("main.py", 3)}


def test_calls_of_features_are_uses(tmp_path):
    flags = (
        "import windsock\nbeta = windsock.feature('beta', default=False)\n"
        "theme: windsock.settings.Feature[str] = windsock.feature('theme', default='light', env='THEME')\n"
    )
    main = "from flags import beta as is_beta, theme\ndef f(user):\n    return is_beta(user), theme(user)\n"
    _, uses = written(tmp_path, {"flags.py": flags, "main.py": main})
    assert uses == {
        ("beta", None, "feature", "flags.py", 2),
        ("theme", None, "feature", "flags.py", 3),
        ("beta", None, "call", "main.py", 3),
        ("theme", None, "call", "main.py", 3),
    }


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "cp1251", "shift_jis"])
def test_sources_in_other_encodings(tmp_path, encoding):
    text = f"# -*- coding: {encoding} -*-\nimport windsock\nx = 'ü' if 0 else ''\nbeta = windsock.feature('beta', default=False)\n"
    if encoding in ("cp1251", "shift_jis"):
        text = text.replace("ü", "ж")
    code, uses = written(tmp_path, {"a.py": text.encode(encoding)})
    assert code.unread == []
    assert ("beta", None, "feature", "a.py", 4) in uses


def annotated(annotation: str) -> str:
    return f"def f(x: {annotation!r}) -> {annotation!r}:\n    x.k\n    y: {annotation!r} = x"


HOSTILE = {
    "5,000 parentheses": "x = " + "(" * 5_000 + "1" + ")" * 5_000,
    "199 parentheses": "x = " + "(" * 199 + "1" + ")" * 199,
    "5,000 minus signs": "x = " + "-" * 5_000 + "1",
    "5,000 sums": "x = " + "+".join("1" * 5_000),
    "5,000 attributes": "x = a" + ".b" * 5_000,
    "5,000 calls": "x = a" + "()" * 5_000,
    "5,000 elifs": "if a: pass\n" + "elif b: pass\n" * 5_000,
    "2,000 lambdas": "x = " + "lambda: " * 2_000 + "1",
    "138 lists": "x = " + "[" * 138 + "]" * 138,
    "70 brackets of a pattern": "match x:\n case " + "[" * 70 + "]" * 70 + ": pass",
    "40 groups of a pattern": "match x:\n case " + "(" * 40 + "a" + ")" * 40 + ": pass",
    "an unknown encoding": "# coding: nonsense\nx = 1",
    "a null byte": "x = 1\0",
    "other bytes": b"\xff\xfe\xff",
    "two megabytes": "x = 1\n" * 400_000,
    "an annotation of 100,000 parentheses": annotated("(" * 100_000 + ")" * 100_000),
    "an annotation of 100,000 minus signs": annotated("-" * 100_000 + "1"),
    "an annotation of 5,000 alternatives": annotated("Teacher" + "|a" * 5_000),
    "an annotation of 150 lists": annotated("[" * 150 + "]" * 150),
    "an annotation of 500 optionals": annotated("Optional[" * 500 + "Teacher" + "]" * 500),
    "an annotation in annotations": annotated("'" + "\\'" * 200 + "Teacher"),
    "2,000 long chains of attributes": "from a import b\n" + ("b" + ".c" * 94 + "\n") * 1_900,
    "nothing": "",
}
READ = (
    "199 parentheses",
    "70 brackets of a pattern",
    "40 groups of a pattern",
    "2,000 long chains of attributes",
    "nothing",
)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.slow
def test_a_hostile_file_is_reported_in_one_line_and_costs_little(tmp_path, name):
    hostile = HOSTILE[name]
    hostile += "\n# windsock\n" if isinstance(hostile, str) else b"\n# windsock\n"  # else nobody parses it
    files = {"a.py": hostile, "b.py": "import windsock\nf = windsock.feature('b', default=True)\n"}
    with at_most(10):
        code, uses = written(tmp_path, files)
    assert ("b", None, "feature", "b.py", 2) in uses
    assert all("\n" not in line for line in code.unread)
    assert bool(code.unread) is (name not in READ and not name.startswith("an annotation"))


def test_a_link_to_a_device_is_not_read(tmp_path):
    (tmp_path / "a.py").symlink_to("/dev/zero")
    assert scan([tmp_path]).unread == [f"{tmp_path / 'a.py'}: this link leads out of the folder"]
    assert scan([tmp_path / "a.py"]).unread == [f"{tmp_path / 'a.py'}: not a file"]


def test_one_search_parses_so_much_and_says_what_it_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "MAX_NODES", 200)
    for number in range(6):
        source = f"import windsock\nf{number} = windsock.feature('f{number}')\n" + "a = b.c\n" * 10
        (tmp_path / f"m{number}.py").write_text(source)
    (tmp_path / "large.py").write_text("import windsock\n" + "a = b.c\n" * 100)
    (tmp_path / "other.py").write_text("a = b.c\n" * 100 + "(")
    found = scan([tmp_path])
    assert [use.flag for use in found.uses] == ["f0", "f1"]
    alone, rest = found.unread
    assert alone == f"{tmp_path}/large.py: its syntax tree has more than 200 nodes"
    assert rest.startswith(f"{tmp_path}/m2.py: 4 files from here on, ")


def test_one_search_reads_so_much_and_says_what_it_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "MAX_TEXT", 200)
    for number in range(6):
        (tmp_path / f"m{number}.py").write_text(
            f"import windsock\nf{number} = windsock.feature('f{number}')\n#" + " " * 40
        )
    found = scan([tmp_path])
    assert [use.flag for use in found.uses] == ["f0", "f1"]
    [rest] = found.unread
    assert rest.startswith(
        f"{tmp_path}/m2.py: 4 files from here on, for one search reads 200 characters at most"
    )


def test_columns_are_characters_and_a_class_is_at_its_name(tmp_path):
    source = (
        "import windsock\nclass   Teacher(windsock.Settings):\n    k: int = 3\n"
        "print('é', Teacher.for_user('ü').k, '\N{GRINNING FACE}', windsock.feature('ж'))\n"
    )
    code, _ = written(tmp_path, {"a.py": source})
    places = {(use.kind, use.line, use.column) for use in code.uses}
    lines = source.splitlines()
    assert places == {
        ("class", 2, lines[1].index("Teacher") + 1),
        ("read", 4, lines[3].index("k,") + 1),
        ("feature", 4, lines[3].index("windsock") + 1),
    }


def test_names_mean_what_their_scope_says(tmp_path):
    source = """\
from windsock import Settings, feature, heal
class Teacher(Settings):
    k: int = 3
def other(feature):
    return feature("no")
def mine():
    from windsock import feature as made
    return made("inner")
def default(given=feature("outer"), heal=None):
    return heal
def globally():
    global feature
    feature = feature("again")
def typed(given: "Teacher | None"):
    return [given.k for given in [given]]
"""
    _, uses = written(tmp_path, {"a.py": source})
    assert {flag for flag, _, kind, _, _ in uses if kind == "feature"} == {"inner", "outer", "again"}
    assert ("teacher", "k", "read", "a.py", 15) in uses


def test_a_variable_of_a_comprehension_hides_no_import_outside_of_it(tmp_path):
    source = """\
from windsock import feature
def listed(flags):
    names = [feature.name for feature in flags] + [number for number, (feature, *_) in flags]
    return feature("listed"), {feature: 1 for feature in flags}, any(feature for feature in flags)
"""
    _, uses = written(tmp_path, {"a.py": source})
    assert {(flag, kind) for flag, _, kind, _, _ in uses} == {("listed", "feature")}


def test_a_name_of_a_class_hides_no_import_from_its_methods(tmp_path):
    source = """\
from windsock import Settings, feature, heal
class Teacher(Settings):
    k: int = 3
class Service:
    def feature(self):
        return feature("method")
    later = lambda self: feature("lambda")
    class Inner:
        def heal(self, teacher: Teacher):
            return heal(teacher, lambda given: given.k)
class Flags:
    feature = feature("until then")
"""
    _, uses = written(tmp_path, {"a.py": source})
    assert {flag for flag, _, kind, _, _ in uses if kind == "feature"} == {"method", "lambda", "until then"}
    assert ("teacher", "k", "read", "a.py", 10) in uses


@pytest.mark.slow
def test_a_thousand_files_that_use_flags_take_seconds(tmp_path):
    files = {
        f"m{number}.py": f"import windsock\nfrom settings import Teacher\nnew{number} = windsock.feature('new-{number}')\n\n"
        f"def handle(user: str, given: Teacher) -> int:\n    teacher = Teacher.for_user(user)\n"
        f"    return teacher.k + given.k if new{number}() else other.thing.value\n"
        for number in range(1_000)
    }
    settings = "import windsock\nclass Teacher(windsock.Settings):\n    k: int = 3\n"
    with at_most(10):
        code, _ = written(tmp_path, {"settings.py": settings, **files})
    assert code.unread == []
    assert len(code.uses) == 1 + 4 * 1_000
