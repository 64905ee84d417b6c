"""A feature as declared in code: its type, its default, and which flag values fit it."""

import os
from collections.abc import Iterable
from enum import Enum
from typing import Any, Generic, cast

from openfeature.flag_evaluation import FlagType
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypeVar

from windsock.errors import DeclarationError
from windsock.logs import get_logger
from windsock.settings.process import process
from windsock.text import short

logger = get_logger("windsock.settings")

V = TypeVar("V", default=bool)

_KINDS = {
    bool: (FlagType.BOOLEAN, "a boolean"),
    str: (FlagType.STRING, "text"),
    int: (FlagType.INTEGER, "a whole number"),
    float: (FlagType.FLOAT, "a number"),
}
_LOGGED_MAX = 1_000


def plain(value: object) -> Any:
    """Convert a feature's value to its form in a flag."""
    return value.value if isinstance(value, Enum) else value


def _members(default: Any) -> Iterable[tuple[Any, Any]]:
    return ((each.value, each) for each in type(default))


class DeclaredFeature(Generic[V]):
    """A feature declared in code, and its environment variable's value.

    Attributes:
        key: The flag's key.
        default: The code default.
        plain_default: The default in its flag form.
        kind: OpenFeature's type of the flag.
        variable: The environment variable that overrides the flag, if any.
        words: A description of its values for messages: ``a boolean``, ``one of light, dark``.
        exact: The type whose flag values need no conversion; None for an enum.
        decides: Whether the environment decides, or hasn't been read yet.
    """

    def __init__(self, key: str, default: V, env: str | None) -> None:
        if not isinstance(key, str) or not key:
            raise DeclarationError(f"feature({key!r}): the first argument is the flag's key, a text")
        self.key, self.default, self.variable = key, default, env
        self.plain_default = plain(default)
        self._members = dict(_members(default)) if isinstance(default, Enum) else None
        self._type = type(self.plain_default)
        alike = all(type(value) is self._type for value in self._members or ())
        if self._type not in _KINDS or not alike or (self._members and self._type not in {str, int}):
            raise DeclarationError(
                f"feature {key!r}: the default must be a boolean, text, a number, or a member of an enum of"
                f" texts or whole numbers, not {default!r}; declare a settings class for an object"
            )
        self.exact = None if self._members else self._type
        self.kind, self.words = _KINDS[self._type]
        if self._members:
            self.words = f"one of {', '.join(map(str, self._members))}"
        self.decides = True
        self._read = False
        self._value: V | None = None
        self._logged: set[tuple[str | None, str]] = set()
        process.readers[self] = None

    def value(self) -> V | None:
        """The value forced by the environment; None if the flag decides."""
        if not self._read:
            self.reload()
        return self._value

    def reload(self) -> None:
        """Reread the environment."""
        self._value = self._read_environment()
        self._read, self.decides = True, self._value is not None

    def fit(self, served: object, variant: str | None) -> V:
        """Convert a flag's value to the feature's; if it doesn't fit, log one error and use the code default.

        Args:
            served: The flag's value; None if it has none.
            variant: The flag's variant.
        """
        found = self.fitting(served)
        if found is not None:
            return found
        shown = short(served)
        if served is not None and self._is_new(variant, shown):
            logger.error(
                "feature %r: variant %r gives %s, which is not %s. The code default serves.",
                self.key, variant, shown, self.words,
            )  # fmt: skip
        return self.default

    def mistyped(self, message: str | None) -> None:
        """Log one error if a provider reports a flag of another type, whose value is not used.

        Args:
            message: The provider's.
        """
        if self._is_new(None, message or ""):
            logger.error(
                "feature %r: its value must be %s: %s. The code default serves.",
                self.key, self.words, message or "the flag has another type",
            )  # fmt: skip

    def _is_new(self, variant: str | None, problem: str) -> bool:
        if (variant, problem) in self._logged:
            return False
        if len(self._logged) >= _LOGGED_MAX:
            self._logged.clear()
        self._logged.add((variant, problem))
        return True

    def fitting(self, served: object) -> V | None:
        """Convert a flag's value to the feature's; None if it doesn't fit."""
        if self._type is int and type(served) is float and served.is_integer():
            served = int(served)  # flags written by JavaScript have only one number type
        elif self._type is float and type(served) is int:
            served = float(served)
        if type(served) is not self._type:
            return None
        return cast("V | None", self._members.get(served) if self._members else served)

    @property
    def choices(self) -> dict[str, bool | str | float]:
        """The feature's values by name, as far as they can be listed; for booleans and enums, all of them."""
        if self._members:
            return {str(value): value for value in self._members}
        return {"on": True, "off": False} if self._type is bool else {"default": self.plain_default}

    def _read_environment(self) -> V | None:
        raw = os.environ.get(self.variable, "") if self.variable else ""
        if not raw:
            return None
        try:
            found: V = TypeAdapter(type(self.default)).validate_python(raw)
        except ValidationError:
            logger.warning(
                "%s=%r is not %s for feature %r%s. The flag decides.",
                self.variable, raw, self.words, self.key,
                ": use true or false" if self._type is bool else "",
            )  # fmt: skip
            return None
        return found
