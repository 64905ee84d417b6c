"""The settings class that the tests of declaring and of reading share, and the fixtures they are given."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field

import windsock

Serve = Callable[..., Path]
SetEnv = Callable[[str, str], None]


class Teacher(windsock.Settings, flag="teacher"):
    retrieval_top_k: int = Field(10, ge=1, le=200)
    rerank_top_n: int = Field(3, ge=1)
    reasoning_model: str = Field("gpt-4o-mini", validation_alias="OPENAI_CHAT_MODEL")
    temperature: float = Field(0.7, ge=0, le=2)


def every_way(settings_class: Any) -> list[Any]:
    """The three ways to the values of a class."""
    return [settings_class(), settings_class.for_user("ann"), settings_class.live()]
