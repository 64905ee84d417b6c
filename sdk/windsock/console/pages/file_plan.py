"""The plan of a change to flag files: what changes, who moves, and a patch if nothing may be written."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from windsock.console.file_changes import FileChange, lines, may_write
from windsock.console.views.changes import Patch, patch, who_moves
from windsock.console.visits import Visit
from windsock.gitops.plan_text import text
from windsock.settings.declaration import Declaration
from windsock.text import mask_passwords


@dataclass(frozen=True, slots=True)
class FilePlan:
    """A planned change as a template shows it.

    Attributes:
        changes: What changes, one line per part.
        moves: Who gets something else, in words.
        population: The users for whom the rules were evaluated.
        printed: The plan as the commands print it.
        faults: Why it can't be applied.
        revision: The plan that was seen; applying asks for it.
        writable: Whether it can be applied here.
        patches: Each file with its patch, if it can't.
    """

    changes: Sequence[str]
    moves: Sequence[str]
    population: str
    printed: Sequence[str]
    faults: Sequence[str]
    revision: str
    writable: bool
    patches: Sequence[tuple[str, Patch]]

    @property
    def can_apply(self) -> bool:
        """Whether there is something to apply, and it may be."""
        return self.writable and bool(self.changes) and not self.faults


def file_plan(visit: Visit, change: FileChange) -> FilePlan:
    """Show a planned change."""
    return FilePlan(
        changes=[mask_passwords(line) for line in lines(visit, change)],
        moves=list(who_moves(change.plan)),
        population=change.plan.population,
        printed=[mask_passwords(line) for line in text(change.plan)],
        faults=change.faults,
        revision=change.revision,
        writable=may_write(),
        patches=[] if may_write() else _patches(visit, change),
    )


def shown_patch(visit: Visit, path: Path, before: bytes | None, after: bytes) -> Patch:
    """The patch of a file, for a page: without a secret of a settings class, whose lines it might show."""
    if _holds_secret(visit.console.declarations, before or b"{}", after):
        return Patch(fault="the file sets a secret field")
    return patch(path, before, after)


def _patches(visit: Visit, change: FileChange) -> list[tuple[str, Patch]]:
    before = {file.path: file.data for file in change.before}
    return [
        (step.path, shown_patch(visit, Path(step.path), before.get(step.path), (step.after or "").encode()))
        for step in change.plan.steps
    ]


def _holds_secret(declarations: Sequence[Declaration], *documents: bytes) -> bool:
    """Whether a file with a class's flag sets one of its secrets; a patch shows lines of other flags too."""
    keys: set[str] = set()
    for each in documents:  # each key, even one that is given twice
        json.loads(each, object_pairs_hook=lambda pairs: keys.update(name for name, _ in pairs))
    return any(
        each.secrets & keys and keys & {each.flag, each.experiment_flag, each.profile_flag}
        for each in declarations
    )
