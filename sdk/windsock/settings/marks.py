"""`Fixed` and `Tunable`: who may set a field."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, get_args

from pydantic import Secret, SecretBytes, SecretStr
from pydantic_core import MultiHostUrl, Url


class Mark:
    """A marker in ``Annotated``: `Fixed` or `Tunable`."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"windsock.{self._name}"


Fixed: Final = Mark("Fixed")
"""Only the deployment sets ``Annotated[str, windsock.Fixed]``: code, base flag, ``.env`` and environment.

A profile or an experiment that tries is refused. Fields that hold ``SecretStr``, ``SecretBytes`` or one of
pydantic's URL and DSN types are fixed without this mark.
"""

Tunable: Final = Mark("Tunable")
"""Lets profiles and experiments set a field that its type would make fixed, and everything below it."""

_FIXED_TYPES = (SecretStr, SecretBytes, Secret, Url, MultiHostUrl)


def is_fixed(annotation: Any, metadata: Sequence[object]) -> bool:
    """Whether only the deployment may set a field, according to its mark or else its type."""
    marks = [mark for mark in metadata if isinstance(mark, Mark)]
    return (
        marks[-1] is Fixed
        if marks
        else any(issubclass(kind, _FIXED_TYPES) or is_url(kind) for kind in _types(annotation))
    )


def is_tunable(metadata: Sequence[object]) -> bool:
    """Whether a field is marked `Tunable`."""
    return Tunable in metadata


def _types(annotation: Any) -> Iterator[type]:
    """The types in an annotation at any depth, except the fields of models, which have their own marks."""
    if isinstance(annotation, type):
        yield annotation
    for argument in get_args(annotation):
        yield from _types(argument)


def is_url(kind: type) -> bool:
    """Whether this is one of pydantic's URL types, whose module is loaded only with a field that has one."""
    if any(base.__module__ == "pydantic.networks" for base in kind.__mro__):
        from pydantic.networks import _BaseMultiHostUrl, _BaseUrl  # noqa: PLC0415 - it is loaded

        return issubclass(kind, (_BaseUrl, _BaseMultiHostUrl))
    return False
