"""A change to whole flags in their files: planned, linted, written under a lock, and recorded."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Final

from windsock.api.audit_writing import AuditEntry, begin, end
from windsock.api.settings import ConfigurationApi
from windsock.console.page_errors import NotAllowedError
from windsock.console.reading import served_provider, shown_flag
from windsock.console.visits import Visit
from windsock.errors import ChangedSinceError, ConfigurationError
from windsock.flagfiles.editing import flag_body, served_file
from windsock.flagfiles.files import FlagFile
from windsock.flagfiles.locking import writing
from windsock.flagfiles.sets import flag_set
from windsock.flags import FlagSet, JsonValue
from windsock.gitops.applying import apply_to_folder
from windsock.gitops.changes import changed_keys, flag_changes
from windsock.gitops.plan import Limits, Plan, PlanRequest, PlanStep, make
from windsock.gitops.population import Population
from windsock.lint.linter import Level, lint
from windsock.providers.files import FilesProvider

SWITCHED_OFF: Final = (
    "writing flag files is switched off here; set CONFIGURATION_API_WRITABLE=true, or commit the patch that"
    " the plan shows"
)

WHOLE: Final = ""
"""The audit's pointer to a flag that was written as a whole."""


@dataclass(frozen=True)  # without slots, for the cached properties
class FileChange:
    """A planned change to flag files.

    Attributes:
        before: The files before the change.
        after: The files after it.
        plan: What is written, and who moves.
        faults: Why it can't be applied: the plan's findings and the linter's errors.
    """

    before: tuple[FlagFile, ...]
    after: tuple[FlagFile, ...]
    plan: Plan
    faults: tuple[str, ...] = ()

    @cached_property
    def sets(self) -> tuple[FlagSet, FlagSet]:
        """The flags before and after."""
        return flag_set(self.before), flag_set(self.after)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The flags that change."""
        return changed_keys(*self.sets)

    @property
    def revision(self) -> str:
        """Identifies what is written over what, so that the plan that was seen is the one that is applied."""
        steps = tuple((step.path, step.before, step.after) for step in self.plan.steps)
        return hashlib.sha256(repr(steps).encode()).hexdigest()[:16]


def planned(
    visit: Visit, before: tuple[FlagFile, ...], after: tuple[FlagFile, ...], users: Population
) -> FileChange:
    """Plan a change to flag files, and check it as every write is checked.

    Raises:
        NotAllowedError: One of the flags isn't theirs to change.
        ConfigurationError: A flag that changes sets a secret field.
    """
    declarations = visit.console.declarations
    limits = Limits(allow_reshuffle=True)  # a new version says that users change arms; without one, none does
    plan = make(PlanRequest("the files", before, after, users, declarations, limits, time.time()))
    change = FileChange(before, after, plan)
    for key in change.keys:
        visit.must_change(key)
    _refuse_secrets(visit, change)
    return replace(change, faults=(*plan.findings, *_errors(plan.steps, change.keys)))


def lines(visit: Visit, change: FileChange) -> Iterator[str]:
    """Describe what changes, one part per line."""
    before, after = change.sets
    for key in change.keys:
        ends = (flags.flags.get(key) for flags in (before, after))
        for each in flag_changes(key, *(flag and shown_flag(visit.console, flag) for flag in ends)):
            yield from each.lines()


def may_write() -> bool:
    """Whether this process may write flag files."""
    return ConfigurationApi.live().writable


def write(visit: Visit, change: FileChange, expected: str) -> None:
    """Write a change, record it flag by flag, and serve it in this process immediately.

    Args:
        visit: Whose change it is.
        change: The change, planned again.
        expected: The revision of the plan that they saw.

    Raises:
        NotAllowedError: Writing is switched off.
        ChangedSinceError: It isn't the plan that they saw; nothing was changed.
        ConfigurationError: It has faults, or the audit has no room for it; nothing was changed.
        PlanError: A file changed at this very moment; nothing was changed.
        UnreachableError: The folder's lock is held for seconds; nothing was changed.
    """
    if not may_write():
        raise NotAllowedError(SWITCHED_OFF)
    if change.revision != expected:
        raise ChangedSinceError("the flag files have changed since the plan; nothing was changed: look again")
    if change.faults:
        raise ConfigurationError("\n".join(change.faults))
    folder = visit.console.flags
    with writing(folder.resolve()), visit.outside() as connection:
        numbers = [begin(connection, visit.person, entry) for entry in _entries(change)]
        apply_to_folder(_below(folder.parent, change.plan), folder.parent, [Path(folder.name)])
        for number in numbers:
            end(connection, number)
    provider = served_provider()
    if isinstance(provider, FilesProvider):
        provider.refresh()


def _below(root: Path, plan: Plan) -> Plan:
    """A plan whose paths are relative to a folder, as applying asks for; the console's may be absolute."""
    steps = (replace(step, path=Path(step.path).relative_to(root).as_posix()) for step in plan.steps)
    return replace(plan, steps=tuple(steps))


def _refuse_secrets(visit: Visit, change: FileChange) -> None:
    """Neither a page nor the audit may have what a secret field is set to."""
    for each in visit.console.declarations:
        for key in {each.flag, each.experiment_flag, each.profile_flag}.intersection(change.keys):
            flags = [held.flags[key] for held in change.sets if key in held.flags]
            values = [value for flag in flags for value in flag.variants.values()]
            if secret := sorted(each.secrets & _names(values)):
                raise ConfigurationError(
                    f"the flag {key} sets the secret field {secret[0]}, which is neither shown nor recorded: "
                    "change the flag in Git"
                )


def _names(values: Sequence[JsonValue]) -> set[str]:
    return {name for value in values if isinstance(value, Mapping) for name in value}


def _errors(steps: Sequence[PlanStep], keys: Sequence[str]) -> Iterator[str]:
    """The linter's errors about the flags that change."""
    for step, key in product(steps, keys):
        if step.after is not None:
            for each in lint(step.after.encode(), step.path, only=key).findings:
                if each.level is Level.ERROR:
                    yield f"{each.code}: {each.pointer}: {each.message}"


def _entries(change: FileChange) -> Iterator[AuditEntry]:
    """What the audit keeps of each flag: its file, and its definitions as the file had and has them."""
    steps = {step.path: step for step in change.plan.steps}
    for key in change.keys:
        old, new = (served_file(files, key) for files in (change.before, change.after))
        step = next(steps[file.path] for file in (new, old) if file is not None)
        yield AuditEntry(
            flag=key,
            file=step.path,
            revision_before=(step.before or "")[:12],
            revision_after=hashlib.sha256((step.after or "").encode()).hexdigest()[:12],
            request={},
            changed={WHOLE: [None if file is None else flag_body(file, key) for file in (old, new)]},
        )
