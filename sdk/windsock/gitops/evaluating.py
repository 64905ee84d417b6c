"""Evaluates one flag from its files, as the service would: once, or again whenever a file changes."""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from windsock.errors import ConfigurationError, FlagFileError
from windsock.evaluator import CompiledFlag, Outcome
from windsock.flagfiles.files import read_files
from windsock.flagfiles.sets import flag_of, flag_set
from windsock.flags import Flag, Problem
from windsock.provenance.rule import RuleStep, trace


@dataclass(frozen=True, slots=True)
class FlagQuestion:
    """Which flag is evaluated, for which context, from which files.

    Attributes:
        key: The flag's key.
        context: The attributes, with ``targetingKey`` among them where there is one.
        paths: Flag files and folders.
        at: Unix seconds, for ``$flagd.timestamp``; None for now.
    """

    key: str
    context: Mapping[str, object]
    paths: tuple[Path, ...]
    at: float | None = None

    @property
    def moment(self) -> float:
        """Unix seconds of the evaluation."""
        return time.time() if self.at is None else self.at


@dataclass(frozen=True, slots=True)
class FlagEvaluation:
    """A flag's value for a context, and why.

    Attributes:
        question: What was evaluated.
        flag: The flag.
        outcome: The outcome.
        problems: What is wrong in the files; their other flags are still served.
    """

    question: FlagQuestion
    flag: Flag
    outcome: Outcome
    problems: Sequence[Problem]

    @property
    def where(self) -> str:
        """The file and line of the flag."""
        return f"{self.flag.source}:{self.flag.line}"

    @property
    def variant(self) -> str | None:
        """The variant; for a profile, with the name that the mirror writes beside its id."""
        name = self.outcome.flag_metadata.get(f"config.{self.outcome.variant}")
        return self.outcome.variant if name is None else f"{name} ({self.outcome.variant})"

    def steps(self) -> tuple[RuleStep, ...]:
        """Each condition of the rule, and what it saw."""
        return trace(self.flag, self.question.context, int(self.question.moment))

    def to_dict(self) -> dict[str, object]:
        """The evaluation as plain data."""
        return {
            "flag": self.flag.key,
            "value": self.outcome.value,
            "variant": self.outcome.variant,
            "reason": str(self.outcome.reason),
            "error": self.outcome.error_message,
            "metadata": self.outcome.flag_metadata,
            "source": self.where,
            "context": self.question.context,
        }


def evaluate(question: FlagQuestion) -> FlagEvaluation:
    """Evaluate a flag from its files.

    Raises:
        ConfigurationError: No flag has the key.
        FlagFileError: A file can't be read at all.
        UnreachableError: A path cannot be read, or has no flag files.
    """
    served = flag_set(read_files([path for path in question.paths if _holds_flags(path)] or question.paths))
    flag = flag_of(served, question.key)
    outcome = CompiledFlag(flag, clock=lambda: question.moment).evaluate(question.context)
    return FlagEvaluation(question, flag, outcome, served.problems)


def watched(question: FlagQuestion) -> Iterator[FlagEvaluation | ConfigurationError | FlagFileError]:
    """Evaluate, and again whenever the outcome changes; never ends.

    A change without a file event is noticed within a second. A half-edited file yields its error.
    """
    from watchfiles import watch  # noqa: PLC0415 - only this needs it

    shown: object = None
    changes = watch(*question.paths, raise_interrupt=False, yield_on_timeout=True, rust_timeout=1000)
    for _ in itertools.chain([None], changes):
        try:
            found: FlagEvaluation | ConfigurationError | FlagFileError = evaluate(question)
        except (ConfigurationError, FlagFileError) as error:
            found = error
        news = _news(found)
        if news != shown:
            yield found
        shown = news


def _news(found: FlagEvaluation | ConfigurationError | FlagFileError) -> object:
    if isinstance(found, FlagEvaluation):
        return found.outcome.value, found.outcome.variant, found.outcome.error_message
    return str(found)


def _holds_flags(path: Path) -> bool:
    return not path.is_dir() or any(path.glob("*.flagd.*"))
