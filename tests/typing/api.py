"""What type checkers infer of the public API. Checked by tests/typing, never run."""

import asyncio
from enum import Enum, StrEnum
from typing import Annotated, assert_type

from pydantic import Field
from pydantic_settings import BaseSettings

import windsock
from windsock.provenance import Explanation
from windsock.settings import Feature


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Tone(StrEnum):
    DRY = "dry"
    KIND = "kind"


class Plain(BaseSettings):
    top_k: int = Field(default=10, ge=1)
    model: str = "small"


class Teacher(windsock.Settings, flag="teacher"):
    top_k: int = Field(default=10, ge=1)
    model: str = "small"
    base_url: Annotated[str, windsock.Fixed] = "https://a.test"


class Assistant(Teacher, flag="assistant"):
    tone: str = "kind"


def ask(teacher: Teacher) -> float:
    return teacher.top_k / 2


async def ask_later(teacher: Teacher) -> list[str]:
    return [teacher.model]


# made like a class on BaseSettings
assert_type(Plain(), Plain)
assert_type(Teacher(), Teacher)
assert_type(Teacher(top_k=3, model="large"), Teacher)
assert_type(Teacher(top_k=3).top_k, int)
assert_type(Assistant(tone="dry").tone, str)

# read
assert_type(Teacher.for_user("ann"), Teacher)
assert_type(Teacher.for_user("ann", tier="pro").top_k, int)
assert_type(Assistant.for_user(7).base_url, str)
assert_type(Assistant.live(), Assistant)
assert_type(Teacher.live().model, str)


async def read() -> None:
    assert_type(await Teacher.afor_user("ann"), Teacher)
    assert_type(await windsock.aheal(Teacher.live(), ask_later), list[str])


asyncio.run(read())

# features
rag = windsock.feature("rag", default=False)
assert_type(rag(), bool)
assert_type(rag("ann", tier="pro"), bool)
theme = windsock.feature("theme", default="light", env="THEME")
assert_type(theme, Feature[str])
assert_type(theme("ann"), str)
assert_type(windsock.feature("size", default=1)(), int)
assert_type(windsock.feature("ratio", default=0.5)("ann"), float)
assert_type(windsock.feature("colour", default=Colour.RED)(), Colour)
assert_type(windsock.feature("tone", default=Tone.DRY)(), Tone)
assert_type(windsock.explain(theme, "ann", tier="pro"), Explanation)


class Page:
    theme = windsock.feature("theme", default="light")


assert_type(Page().theme("ann"), str)


def switch(on: Feature, name: Feature[str]) -> tuple[bool, str]:
    return on(), name("ann")


assert_type(switch(rag, theme), tuple[bool, str])

# heal
assert_type(windsock.heal(Teacher.for_user("ann"), ask), float)
assert_type(windsock.heal(Assistant.live(), lambda settings: settings.tone), str)

# explain
assert_type(windsock.explain(Teacher.live()), Explanation)
assert_type(windsock.explain(Teacher.live())["top_k"].layer, str)
