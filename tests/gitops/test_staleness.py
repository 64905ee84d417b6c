"""What can go, and what must stay."""

import json
from dataclasses import replace
from datetime import date

import pytest
from tests.processor import at_most

from windsock.code.known import FoundClass
from windsock.code.mentions import Mentions, mentioned
from windsock.code.stale import Why, only_variant, stale
from windsock.code.uses import Code, Reference, scan
from windsock.flags import Flag, read_document

IN = {"in": [{"var": "email"}, ["a"]]}


def flag(key: str = "f", targeting: object = None, **metadata: object) -> Flag:
    body = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
        "metadata": metadata,
    }
    content = {"flags": {key: body | ({"targeting": targeting} if targeting is not None else {})}}
    return read_document(json.dumps(content).encode(), "f.flagd.json").flags[key]


@pytest.mark.parametrize(
    ("targeting", "only"),
    [
        (None, "off"),
        ({"if": [IN, "on", "on"]}, "on"),
        ({"if": [IN, "on"]}, None),
        ({"if": [IN, "off"]}, "off"),
        # who has no targeting key is not bucketed, which a full rollout leaves out of account
        ({"fractional": [["on", 100], ["off", 0]]}, "on"),
        ({"if": [True, {"fractional": [["on", 100], ["off", 0]]}, "on"]}, "on"),
        ({"fractional": [["on", 99], ["off", 1]]}, None),
        ({"if": [IN, {"var": "x"}, "on"]}, None),
        # where no condition of an inner rule holds, and where a branch gives null, the default serves
        ({"if": [IN, {"if": [IN, "on"]}, "on"]}, None),
        ({"if": [IN, "on", {"if": [IN, "on"]}]}, None),
        ({"if": [IN, {"if": [IN, "on", "on"]}, "on"]}, "on"),
        ({"if": [IN, None, "on"]}, None),
        ({"if": [IN, None, "off"]}, "off"),
    ],
)
def test_the_one_variant_that_everybody_gets(targeting, only):
    assert only_variant(flag(targeting=targeting)) == only


def test_a_flag_that_is_switched_off_gives_no_variant():
    switched_off = replace(flag(targeting={"if": [IN, "on", "on"]}), enabled=False)
    assert only_variant(switched_off) is None


def test_each_reason():
    code = Code(
        uses=[
            Reference("used", None, "a.py", 1, 1, "feature"),
            Reference("teacher", "read", "a.py", 2, 1, "read"),
        ],
        classes=[FoundClass("Teacher", "teacher", ("read", "never"), "a.py", 1)],
    )
    code.uses.append(Reference("teacher", None, "a.py", 1, 1, "class"))
    flags = [
        flag("used", {"if": [IN, "on", "on"]}, owner="us"),
        flag("unused", owner="us"),
        flag("teacher", {"if": [IN, "on", "on"]}, owner="us", expires="2026-06-01"),
        flag("teacher.profile.3", owner="us", expires="2026-05-31"),
        flag("teacher.experiment"),
    ]
    found = [
        (each.flag, each.why)
        for each in stale({each.key: each for each in flags}, code, Mentions(), date(2026, 6, 1))
    ]
    assert found == [
        ("used", Why.ROLLED_OUT),
        ("unused", Why.UNUSED),
        ("teacher.profile.3", Why.EXPIRED),
        ("teacher.experiment", Why.UNOWNED),
        ("teacher", Why.UNUSED_FIELD),
    ]


SETTINGS = """\
import windsock
class Teacher(windsock.Settings):
    alpha: int = 3
    zeta: int = 4
new_chat = windsock.feature("new_chat")
"""
LIVE = "from app.settings import Teacher\n"
LAYOUTS = {
    "another package's name": {"app/api.py": "from .settings import Teacher as T", "m.py": "from app.api import T\nT.live().alpha"},
    "an alias": {"m.py": LIVE + "T = Teacher\nT.for_user('u').alpha"},
    "a function of another module": {"app/h.py": LIVE + "def get(u):\n return Teacher.for_user(u)", "m.py": "from app.h import get\nget('u').alpha"},
    "an argument of a function of another module": {"app/h.py": "def use(t):\n return t.alpha", "m.py": LIVE + "from app.h import use\nuse(Teacher.live())"},
    "a base class": {"m.py": LIVE + "class Tutor(Teacher):\n more: int = 1\nTutor.live().alpha"},
    "a mixin": {"app/settings.py": SETTINGS.replace("(windsock", "(Mixin, windsock"), "app/mixin.py": "class Mixin:\n def twice(self):\n  return 2 * self.alpha"},
    "a container": {"m.py": LIVE + "all = {'t': Teacher.live()}\nall['t'].alpha"},
    "a decorator": {"m.py": LIVE + "def given(f):\n return lambda: f(Teacher.live())\n@given\ndef f(t):\n return t.alpha"},
    "a property": {"m.py": LIVE + "class A:\n @property\n def t(self):\n  return Teacher.live()\n def f(self):\n  return self.t.alpha"},
    "a walrus": {"m.py": LIVE + "[t.alpha for u in 'ab' if (t := Teacher.for_user(u))]"},
    "a match": {"m.py": LIVE + "match Teacher.live():\n case Teacher(\n  alpha=3,\n ):\n  pass"},
    "a name": {"m.py": LIVE + "getattr(Teacher.live(), NAME := 'alpha')"},
    "names": {"m.py": LIVE + "for each in ('alpha', 'beta'):\n getattr(Teacher.live(), each)"},
    "a computed name": {"m.py": LIVE + "def f(name):\n return getattr(Teacher.live(), name)"},
    "operator.attrgetter": {"m.py": LIVE + "from operator import attrgetter\nattrgetter('alpha')(Teacher.live())"},
    "model_dump": {"m.py": LIVE + "f(**Teacher.live().model_dump())"},
    "dict": {"m.py": LIVE + "dict(Teacher.live())[NAME]"},
    "a loop": {"m.py": LIVE + "for name, value in Teacher.live():\n print(name, value)"},
    "the answer of a route": {"m.py": LIVE + "@app.get('/settings')\ndef f() -> Teacher:\n return Teacher.live()"},
    "a format": {"m.py": LIVE + "'{t.alpha}'.format(t=Teacher.live())"},
    "a framework's state": {"m.py": LIVE + "app.state.t = Teacher.live()", "n.py": "def f(request):\n return request.app.state.t.alpha"},
    "a syntax of a later Python": {"m.py": LIVE + "type T = = Teacher\ndef f(t: T):\n return t.alpha"},
    "a package called build": {"build/__init__.py": "", "build/m.py": "def f(t):\n return t.alpha"},
    "a notebook": {"n.ipynb": json.dumps({"cells": [{"cell_type": "code", "source": [LIVE, 'getattr(Teacher.live(), "alpha")']}]})},
    "a template": {"m.py": LIVE + "render('a.html', t=Teacher.live())", "templates/a.html": "{{ t.alpha }}"},
    "an object of another module that is dumped": {"app/i.py": LIVE + "tutor = Teacher.live()", "m.py": "from app.i import tutor\nprint(tutor.model_dump())"},
    "an attribute that is dumped": {"app/i.py": LIVE + "class A:\n def __init__(self):\n  self.tutor = Teacher.live()", "m.py": "def f(a):\n return vars(a.tutor)"},
    "a field of a model that is dumped": {"app/i.py": LIVE + "class Answer(BaseModel):\n t: Teacher", "m.py": "from app.i import Answer\n@app.get('/')\ndef f() -> Answer:\n return g()"},
    "an heir that is dumped": {"app/i.py": LIVE + "class Tutor(Teacher):\n more: int = 1", "m.py": "from app.i import Tutor\nTutor.live().model_dump()"},
    "a sum of names": {"m.py": LIVE + "getattr(Teacher.live(), 'al' + rest)"},
    "a name that is formatted": {"m.py": LIVE + "getattr(Teacher.live(), 'al{}'.format(rest))"},
    "a name that is joined": {"m.py": LIVE + "getattr(Teacher.live(), '_'.join(names))"},
    "a name that is asked for deep within": {"m.py": LIVE + "getattr(Teacher.for_user(user(of(it))), name)"},
    "a getattr that is passed on": {"m.py": LIVE + "functools.reduce(getattr, path.split('.'), Teacher.live())"},
    "an attrgetter of a sum": {"m.py": LIVE + "attrgetter('al' + rest)(Teacher.live())"},
    "a TypeAdapter": {"m.py": LIVE + "TypeAdapter(Teacher).dump_python(Teacher.live())"},
    "pydantic_core": {"m.py": LIVE + "to_jsonable_python(Teacher.live())"},
    "a loop in parentheses": {"m.py": LIVE + "for (name, value) in Teacher.for_user(user(it)):\n print(name, value)"},
    "a loop with a condition": {"m.py": LIVE + "t = Teacher.live()\n{name: value for name, value in t if value}"},
    "the answer of a route without a type": {"m.py": LIVE + "@app.get('/')\ndef f():\n return {'settings': Teacher.live()}"},
    "the answer of a route that asks for its user": {"m.py": LIVE + "@app.get('/')\ndef f(r):\n return Teacher.for_user(user(of(r)), at=now())"},
    "the answer of a route over lines": {"m.py": LIVE + "@app.get('/')\ndef f(r):\n return Teacher.for_user(\n  user(r),\n )"},
    "the answer of a route that calls the class": {"m.py": LIVE + "@app.get('/')\ndef f():\n return Teacher()"},
    "the answer of a route that is added": {"m.py": LIVE + "def f() -> dict[str, Teacher]: return g()\nrouter.add_api_route('/', f)"},
    "the answer of a route with a bare name": {"m.py": LIVE + "@get('/')\ndef f() -> Teacher:\n return g()"},
    "the answer of a route with an alias": {"m.py": "from app.settings import Teacher as T\n@app.get('/')\ndef f() -> T:\n return g()"},
    "what a route depends on": {"m.py": LIVE + "@app.get('/')\ndef f(t: Annotated[Teacher, Depends(g)]):\n return t"},
    "a script of uv": {"bin/run": "#!/usr/bin/env -S uv run --script\nprint(given.alpha)"},
    "a package called venv": {"venv/__init__.py": "", "venv/m.py": "def f(t):\n return t.alpha"},
    "a script": {"bin/run": "#!/usr/bin/env python3\n" + LIVE + "print(Teacher.live().alpha)"},
}  # fmt: skip


def listed(tmp_path, files: dict[str, str], *keys: str) -> set[tuple[str, str]]:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    flags = {key: flag(key, owner="us") for key in keys}
    found = stale(flags, scan([tmp_path]), mentioned([tmp_path], []), date(2026, 6, 1))
    return {(each.flag, each.message) for each in found}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_field_that_may_be_read_is_not_listed(tmp_path, name):
    fields = {message for _, message in listed(tmp_path, {"app/settings.py": SETTINGS, **LAYOUTS[name]})}
    assert not any("Teacher.alpha" in message for message in fields)


def test_a_field_that_is_only_declared_validated_or_set_is_listed(tmp_path):
    settings = (
        SETTINGS
        + "class Bot(windsock.Settings):\n beta: int = 1\n @field_validator('beta')\n def f(cls, v): return v\n"
    )
    test = "override(Teacher, alpha=3)\nFLAG = {'zeta': 4}\nalpha = zeta = beta = 1\n"
    assert {message.split()[3] for _, message in listed(tmp_path, {"app/settings.py": settings, "t.py": test})} == {
        "Teacher.alpha;", "Teacher.zeta;", "Bot.beta;",
    }  # fmt: skip


def test_a_field_beside_a_route_or_a_getattr_that_names_others_is_listed(tmp_path):
    route = (
        LIVE + "@app.get('/')\ndef f() -> str:\n return ask(Teacher.live().zeta)\ngetattr(x, 'zeta', None)\n"
    )
    found = {message for _, message in listed(tmp_path, {"app/settings.py": SETTINGS, "m.py": route})}
    assert [message.split()[3] for message in found] == ["Teacher.alpha;"]


def test_a_flag_whose_key_is_written_somewhere_or_is_a_class_s_is_not_listed(tmp_path):
    code = (
        "KEYS = 'by_name', 'team:a/b'\nasked(KEYS)\n"
        + LIVE
        + "class TutorSettings(Teacher):\n more: int = 1\n"
    )
    found = listed(
        tmp_path,
        {"app/settings.py": SETTINGS, "m.py": code},
        "by_name",
        "team:a/b",
        "tutor",
        "tutor.profile",
        "gone",
    )
    assert {key for key, message in found if "no Python file" in message} == {"gone"}


@pytest.mark.parametrize(
    "text",
    ["getattr(" * 120_000, "getattr(" + "a" * 1_000_000, "\n" * 1_000_000, "@" + "a." * 500_000, "'" * 1_000_000, "dict( " * 160_000,
     "for a, b in c(" * 70_000, "x" * 1_000_000, "." + " " * 1_000_000, "validator(" * 100_000, "response_model=" * 60_000, "return T.live(" * 70_000, "return " + "T.live(" * 140_000, " " * 1_000_000],
    ids=lambda text: repr(text[:14]),
)  # fmt: skip
def test_a_hostile_text_is_looked_through_in_time(tmp_path, text):
    (tmp_path / "a.py").write_text(f"@app.get(\n{text}\n case x")
    with at_most(5):
        mentioned([tmp_path], [])
