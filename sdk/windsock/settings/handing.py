"""Hand out values: users share immutable ones and get their own copies of the rest."""

import datetime as dt
import re
from collections.abc import Mapping
from copy import deepcopy
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from types import FunctionType
from typing import TypeVar
from uuid import UUID

from pydantic import SecretBytes, SecretStr

from windsock.settings.marks import is_url

T = TypeVar("T")

_IMMUTABLE = frozenset(
    {
        bool, int, float, complex, str, bytes, type(None), Decimal, UUID, SecretStr, SecretBytes, type,
        FunctionType, dt.date, dt.datetime, dt.time, dt.timedelta, re.Pattern,
    }
)  # fmt: skip
_HOLDERS = frozenset({tuple, frozenset})


def is_immutable(value: object) -> bool:
    """Whether a value can be shared between users."""
    kind = type(value)
    if isinstance(value, tuple | frozenset) and kind in _HOLDERS:
        return all(map(is_immutable, value))
    return kind in _IMMUTABLE or isinstance(value, Enum | PurePath) or is_url(kind)


def shared(values: Mapping[str, object]) -> dict[str, object]:
    """Select the values that users can share."""
    return {name: value for name, value in values.items() if is_immutable(value)}


def own(value: T) -> T:
    """Copy a value; values that can't be copied, such as locks or clients, are returned as they are."""
    if is_immutable(value):
        return value
    try:
        return deepcopy(value)
    except Exception:  # noqa: BLE001 - whatever a class of the caller's says to being copied
        return value
