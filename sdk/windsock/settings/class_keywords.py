"""The error for an unknown class keyword: ``class Teacher(windsock.Settings, flg="teacher")``."""

from collections.abc import Mapping
from typing import NoReturn

from pydantic_settings import SettingsConfigDict

from windsock.errors import DeclarationError
from windsock.text import did_you_mean


def refuse(settings_class: str, keywords: Mapping[str, object], error: TypeError) -> NoReturn:
    """Name the keyword, or raise the error of a base class if there is none.

    Args:
        settings_class: The class's name.
        keywords: The keywords that pydantic left, which are not those of ``model_config``.
        error: What Python said.

    Raises:
        DeclarationError: There is a keyword.
    """
    if not keywords:
        raise error
    name = next(iter(keywords))
    hint = did_you_mean(name, ["flag", *sorted(SettingsConfigDict.__optional_keys__)])
    raise DeclarationError(f"{settings_class}: there is no class keyword {name!r}{hint}") from error
