"""Report calls that `heal` and `aheal` can't heal to their authors."""

from collections.abc import Callable
from types import AsyncGeneratorType, CodeType, CoroutineType
from typing import Any

from windsock.errors import MisuseError
from windsock.logs import get_logger
from windsock.settings.settings import Settings

logger = get_logger("windsock.healing")

_WARNED_MAX = 1_000
_warned: set[CodeType] = set()


def refuse_coroutine(answer: "CoroutineType[Any, Any, Any] | AsyncGeneratorType[Any, Any]") -> None:
    """Reject a call that `heal` can't run.

    Raises:
        MisuseError: Always.
    """
    if isinstance(answer, CoroutineType):
        answer.close()  # otherwise Python warns that it was never awaited
    raise MisuseError("windsock.heal got an async function; write await windsock.aheal(…)")


def refuse_plain(answer: object) -> None:
    """Reject a call whose result `aheal` can neither await nor iterate over.

    Raises:
        MisuseError: Always.
    """
    raise MisuseError(
        f"windsock.aheal got a function that returned {type(answer).__name__}; write windsock.heal(…) for a"
        " plain function, or make it async def"
    )


def warn_unread(call: Callable[..., object], settings: object) -> None:
    """Warn once per call site that it reads outer settings instead of its argument.

    Raises:
        MisuseError: There are no settings, or there is nothing to call.
    """
    if not isinstance(settings, Settings) or not callable(call):
        given = f"{_kind(settings)} and {_kind(call)}"
        raise MisuseError(
            f"windsock.heal takes settings and a function of them, not {given}; write"
            " windsock.heal(Teacher.for_user(user_id), lambda s: …s.field…) with your class"
        )
    code = getattr(call, "__code__", None)
    if not isinstance(code, CodeType) or code in _warned or not _holds(call, code, settings):
        return
    if len(_warned) >= _WARNED_MAX:
        _warned.clear()
    _warned.add(code)
    logger.warning(
        "%s:%d: %s reads %s from outside and not from its argument, so nothing can be healed; write"
        " windsock.heal(settings, lambda s: …s.field…)",
        code.co_filename, code.co_firstlineno, code.co_name, type(settings).__name__,
    )  # fmt: skip


def _kind(given: object) -> str:
    """What an argument is, without its values, which may be secret."""
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__


def _holds(call: Any, code: CodeType, settings: object) -> bool:
    """Whether a function closes over an object, or refers to it as a global."""
    for cell in call.__closure__ or ():
        try:
            if cell.cell_contents is settings:
                return True
        except ValueError:  # the cell is still empty
            continue
    return any(call.__globals__.get(name) is settings for name in code.co_names)
