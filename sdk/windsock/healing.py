"""Healing: a call that fails with a tuned value is answered with the value below it, in the same request."""

import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from pydantic import SecretBytes, SecretStr

from windsock import exposures
from windsock.layers import MASK
from windsock.resolution import Given
from windsock.settings import Settings, Trace, fields_read, given_of, new_view, view_of

logger = logging.getLogger("windsock.healing")

S = TypeVar("S", bound=Settings)
T = TypeVar("T")

_ERROR_MAX = 500
"""Characters of an error's text that a log line and a record keep."""


def heal(settings: S, call: Callable[[S], T]) -> T:
    """Run `call` with the settings; if it fails with tuned values, answer with the values below them.

    ::

        answer = windsock.heal(teacher, lambda s: client.chat(model=s.reasoning_model, messages=messages))

    When `call` raises, and it read fields whose values are not the code defaults, it is run once more with
    those fields at the next weaker layer that says something else. What was healed is logged at ERROR and
    recorded in the request's usage. Read the fields from the argument of `call`: the reads tell which values
    to suspect.

    Args:
        settings: What `Settings.for_user` or `Settings.live` gave; an ordinary instance is passed through.
        call: Takes the settings; may run twice, so what it does must bear that.

    Returns:
        What `call` returned.

    Raises:
        Exception: What `call` raised, where no tuned value was read, or the weaker values failed as well.
    """
    attempt = _Attempt(settings)
    try:
        answer = call(attempt.settings)
    except Exception as error:
        if not attempt.lower(error):
            raise
        answer = call(attempt.settings)
    attempt.succeeded()
    return answer


async def aheal(settings: S, call: Callable[[S], Awaitable[T]]) -> T:
    """Do what `heal` does where `call` is a coroutine function; a cancellation is never healed."""
    attempt = _Attempt(settings)
    try:
        answer = await call(attempt.settings)
    except Exception as error:
        if not attempt.lower(error):
            raise
        answer = await call(attempt.settings)
    attempt.succeeded()
    return answer


class _Attempt(Generic[S]):
    """One healed call: the view that is passed to it, first as the user's, then lowered."""

    def __init__(self, settings: S) -> None:
        self.settings: S = settings
        self._healed: tuple[exposures.Healed, ...] = ()
        self._given = given_of(settings)
        view = view_of(settings)
        if self._given is not None and view is not None:
            self._key = view[1]
            self._pass(self._given)

    def lower(self, error: Exception) -> bool:
        """Put the fields that the call read one layer down; False where none of them was tuned."""
        if self._given is None:
            return False
        resolution, serving = self._given
        origins = resolution.resolved.origins
        suspects = [name for name in fields_read(self.settings) if origins[name].layer != "default"]
        if not suspects:
            return False
        lowered = type(self.settings).__windsock__.lowered(resolution, suspects)
        secrets = type(self.settings).__windsock__.declaration.secrets
        text = _without_secrets(describe(error), [resolution.values[name] for name in secrets])
        self._healed = tuple(
            exposures.Healed(
                field=name,
                failed_value=MASK if name in secrets else resolution.values[name],
                error=text,
                fell_to=lowered.resolved.origins[name].layer,
            )
            for name in blamed(error, {name: resolution.values[name] for name in suspects})
        )
        self._pass((lowered, serving))
        return True

    def succeeded(self) -> None:
        """Say what was healed; outside a request, record the use here."""
        if self._given is None:
            return
        if exposures.current() is None:
            exposures.record(Trace(self.settings).use())
        for healed in self._healed:
            value = MASK if healed.failed_value == MASK else getattr(self.settings, healed.field)
            logger.error(
                "%s.%s=%r (%s) failed: %s; falling back to %r (%s), answered%s",
                type(self.settings).__name__, healed.field, healed.failed_value,
                self._given[0].resolved.origins[healed.field], healed.error, value, healed.fell_to,
                f" for user {self._key}" if self._key else "",
            )  # fmt: skip

    def _pass(self, given: Given) -> None:
        """Make the view that the call gets; its own, so that its reads are those of the call."""
        self.settings = new_view(type(self.settings), (given, self._key, self._healed))
        request = exposures.current()
        if request is not None:
            request.record(Trace(self.settings))


def blamed(error: Exception, suspects: dict[str, object]) -> list[str]:
    """Which of the values that a call read its error is about; all of them where it does not tell.

    An OpenAI-style error names the parameter in ``param``; others quote the value.

    Args:
        error: What the call raised.
        suspects: Field to the value that was read.
    """
    parameter = getattr(error, "param", None)
    if isinstance(parameter, str) and parameter:
        named = [name for name in suspects if name == parameter or name.endswith(f"_{parameter}")]
        if named:
            return named
    text = describe(error)
    quoted = [name for name, value in suspects.items() if isinstance(value, str) and value and value in text]
    return quoted or list(suspects)


def _without_secrets(text: str, secrets: list[object]) -> str:
    """Mask the secrets that an error quotes, as in "incorrect API key provided: …"."""
    for secret in secrets:
        plain = secret.get_secret_value() if isinstance(secret, SecretStr | SecretBytes) else ""
        shown = plain.decode(errors="replace") if isinstance(plain, bytes) else plain
        if shown:
            text = text.replace(shown, MASK)
    return text


def describe(error: Exception) -> str:
    """An error in one line of bounded length; an error that cannot even be printed gives its type."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - whatever a hostile __str__ raises
        text = "(its message cannot be read)"
    return f"{type(error).__name__}: {text}"[:_ERROR_MAX]
