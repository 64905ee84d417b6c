"""A one-second cache of a flagd server's answers, so that a request doesn't ask the same thing twice."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason

Details = FlagResolutionDetails[Any]

SECONDS: Final = 1.0
"""How long an answer may be reused: time-dependent rules change without an event."""

_ANSWERS_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class _Answer:
    details: Details | None
    missing: str | None
    until: float

    @property
    def is_for_all(self) -> bool:
        return self.details is None or (self.is_kept and self.details.reason == Reason.STATIC)

    @property
    def is_kept(self) -> bool:
        return self.details is None or self.details.variant is not None


class Answers:
    """Answers by flag, type and context; cleared when flags change.

    An answer to a question asked before a change is never kept after it: it goes into the table current at
    the time of the question, and `clear` replaces that table.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Answer] = {}

    def clear(self) -> None:
        """Forget all answers, including those still in flight."""
        self._known = {}

    def of(self, kind: str, flag_key: str, context: EvaluationContext, ask: Callable[[], Details]) -> Details:
        """Return an answer from the last second, or ask.

        Args:
            kind: The requested type; for any other type, flagd answers with an error.
            flag_key: The flag.
            context: All attributes; any difference makes it a different question, unless the flag doesn't
                exist or its answer is the same for everyone.
            ask: Asks the server. Answers without a variant aren't kept.

        Raises:
            FlagNotFoundError: The flag doesn't exist.
            OpenFeatureError: Any other error that `ask` raises.
        """
        known = self._known
        for_all = f"{kind} {flag_key}"
        answer = _fresh(known, for_all)
        if answer is None:
            for_one = repr((for_all, context.targeting_key, sorted(context.attributes.items())))
            answer = _fresh(known, for_one)
            if answer is None:
                answer = _asked(ask)
                if len(known) >= _ANSWERS_MAX:
                    known.clear()
                if answer.is_for_all:
                    known[for_all] = answer
                elif answer.is_kept:
                    known[for_one] = answer
        if answer.details is None:
            raise FlagNotFoundError(answer.missing)
        return replace(answer.details, flag_metadata=dict(answer.details.flag_metadata))


def _fresh(known: dict[str, _Answer], question: str) -> _Answer | None:
    answer = known.get(question)
    return None if answer is None or answer.until < time.monotonic() else answer


def _asked(ask: Callable[[], Details]) -> _Answer:
    try:
        details = ask()
    except FlagNotFoundError as error:
        return _Answer(None, error.error_message, time.monotonic() + SECONDS)
    return _Answer(details, None, time.monotonic() + SECONDS)
