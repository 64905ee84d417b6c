"""Explains a user's settings from files, Git and the database: now, or at a past moment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from windsock.errors import ConfigurationError
from windsock.flagfiles.files import read_files, with_mirror
from windsock.flagfiles.sets import flag_set
from windsock.flags import Flag, FlagSet
from windsock.gitops.repository import Repository
from windsock.gitops.withdrawing import withdrawals
from windsock.healing.quarantine import Withdrawal
from windsock.postgres.migrations import connect
from windsock.provenance import Explanation, explain
from windsock.provenance.past import History, Past, read_history, resolution_of
from windsock.provenance.rule import RuleStep, trace
from windsock.settings.place import fingerprint
from windsock.settings.settings import Settings
from windsock.text import MASK, escaped
from windsock.usage import UsageRecord
from windsock.usage.data import stored_user_id
from windsock.usage.reading import Selection, read
from windsock.variables import user_id_key

if TYPE_CHECKING:
    import psycopg

LOOK_BACK: Final = 1_000
"""How many log rows are searched for the row of a past moment."""


@dataclass(frozen=True, slots=True)
class Question:
    """Whose settings are explained.

    Attributes:
        settings_class: The class.
        user: The targeting key, or None.
        attributes: The user's attributes, for rules.
        environment: The environment that base flags target.
        folder: The folder of the flag files.
    """

    settings_class: type[Settings]
    user: str | None
    attributes: Mapping[str, object]
    environment: str
    folder: Path


@dataclass(frozen=True, slots=True)
class ExplanationWithRules:
    """An explanation, with each rule's conditions.

    Attributes:
        explanation: Field by field.
        rules: The conditions of each flag that decided, by its key.
        log: Whether the log agrees; empty if it has no row for that moment.
        withdrawn: The values above that services don't serve now, because they failed in use.
        notes: What could not be read, and why; `withdrawn` is then empty.
    """

    explanation: Explanation
    rules: tuple[tuple[str, tuple[RuleStep, ...]], ...]
    log: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> Mapping[str, object]:
        """Plain data: the explanation, ``rules`` (flag, condition, what it saw), and the other fields."""
        more = {"log": self.log, "withdrawn": self.withdrawn, "notes": self.notes}
        return {**self.explanation.to_dict(), "rules": list(self._conditions()), **more}

    def __str__(self) -> str:
        lines = [f"  rule of {key}: {text}  →  {found}" for key, text, found in self._conditions()]
        lines += [f"  {line}" for line in (*self.withdrawn, *self.log, *self.notes)]
        return "\n".join((str(self.explanation), *map(escaped, lines)))

    def _conditions(self) -> Iterator[tuple[str, str, str]]:
        for key, steps in self.rules:
            for step in steps:
                yield key, "  " * step.depth + step.text, step.found


def explained(question: Question, when: datetime | None, database_url: str | None) -> ExplanationWithRules:
    """Explain a user's settings at a moment, or now for None.

    Raises:
        ConfigurationError: The moment is past and no database is named.
    """
    if when is None:
        found = explained_now(question)
        try:
            current = withdrawals(database_url)
        except ConfigurationError as error:
            return replace(found, notes=(str(error),))
        return replace(found, withdrawn=tuple(_withdrawn(found.explanation, current)))
    if not database_url:
        raise ConfigurationError("the past of an assignment is in the database: give --database-url")
    with connect(database_url) as connection:
        return explained_at(question, when, connection)


def explained_now(question: Question) -> ExplanationWithRules:
    """Explain from the current files."""
    files = read_files(with_mirror(question.folder))
    return _explained_from(question, flag_set(files), History({}, {}), datetime.now(UTC), ())


def explained_at(
    question: Question, when: datetime, connection: "psycopg.Connection[tuple[Any, ...]]"
) -> ExplanationWithRules:
    """Explain a past moment from the files in Git and the database's history of assignments.

    Raises:
        ConfigurationError: Git has no earlier commit.
    """
    served = _files_at(question.folder, when)
    history = read_history(connection, [] if question.user is None else [question.user])
    stored = None if question.user is None else {stored_user_id(question.user, user_id_key())}
    rows = read(connection, Selection(stored, limit=LOOK_BACK))
    return _explained_from(question, served, history, when, rows)


def _withdrawn(shown: Explanation, withdrawn: Sequence[Withdrawal]) -> Iterator[str]:
    """A line for each value of an explanation that is withdrawn."""
    found = {each.key: each for each in withdrawn}
    for field in shown.fields:
        each = found.get((field.flag or "", field.config_id or field.variant or "", field.field))
        if each is not None and (field.value == MASK or fingerprint(field.value) == each.fingerprint):
            yield (
                f"withdrawn: {field.field} failed in use, and services don't serve this value for another"
                f" {each.left / 60:.0f} min; see `windsock quarantine list`"
            )


def rules_of(
    flags: Mapping[str, Flag], keys: Sequence[str], context: Mapping[str, object], when: datetime
) -> tuple[tuple[str, tuple[RuleStep, ...]], ...]:
    """Each condition of each of these flags, with what it saw."""
    timestamp = int(when.timestamp())
    return tuple((key, trace(flags[key], context, timestamp)) for key in keys if key in flags)


def _explained_from(
    question: Question, served: FlagSet, history: History, when: datetime, rows: Sequence[UsageRecord]
) -> ExplanationWithRules:
    past = Past(
        question.settings_class, [(datetime.min.replace(tzinfo=UTC), served)], history, question.environment
    )
    view = past.at(when, question.user, question.attributes)
    flag = question.settings_class.__windsock__.declaration.flag
    row = next((row for row in rows if row.flag == flag and row.requested_at <= when), None)
    context = {**question.attributes, "targetingKey": question.user}
    keys = [outcome.flag_key for outcome in resolution_of(view).outcomes]
    # the row may have the hash of the id; assignments have the id itself
    logged = row and replace(row, user_id=question.user)
    log = _against_the_log(past, logged, question.attributes)
    return ExplanationWithRules(explain(view), rules_of(served.flags, keys, context, when), log)


def _files_at(folder: Path, when: datetime) -> FlagSet:
    repository = Repository()
    revision = repository.revision_at(when.isoformat())
    if revision is None:
        raise ConfigurationError(f"Git has no commit before {when:%Y-%m-%dT%H:%MZ}")
    return flag_set(repository.files_at(revision, [folder]))


def _against_the_log(
    past: Past, row: UsageRecord | None, attributes: Mapping[str, object]
) -> tuple[str, ...]:
    if row is None:
        return ()
    differences = past.differences(row, attributes)
    head = f"the log has a row of {row.requested_at:%Y-%m-%d %H:%M:%S} UTC: "
    return (head + "equal",) if not differences else (head + "differs", *differences)
