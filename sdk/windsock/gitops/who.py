"""Whether a rule asks who a user is: only then may two users of one environment get different values."""

from typing import Final

from windsock.flags import JsonValue
from windsock.flags.operations import operations

_READERS: Final = frozenset({"var", "missing", "missing_some"})
_KNOWN: Final = frozenset({"environment", "$flagd.timestamp", "$flagd.flagKey"})
"""What a rule may read that is the same for all users of one environment."""


def asks_who(rule: JsonValue) -> bool:
    """Whether a rule may give users of one environment, without attributes, different values.

    It errs on the side of yes: for every share of users, and for what it can't tell.
    """
    return any(_asks(name, arguments) for name, arguments in operations(rule))


def _asks(operator: str, arguments: JsonValue) -> bool:
    if operator not in _READERS:
        return operator in {"fractional", "$ref"}
    read = arguments[:1] if operator == "var" and isinstance(arguments, list) else arguments
    names = read if isinstance(read, list) else [read]
    whole = operator == "var" and not names  # `{"var": []}` is the whole context
    return whole or not all(isinstance(name, str) and name in _KNOWN for name in names)
