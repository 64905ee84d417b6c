"""Undoing a change to a profile, to its assignments, or to a flag file, if its result is still in place."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from windsock.api.store import Write
from windsock.api.tokens import Role
from windsock.console.file_changes import WHOLE, planned
from windsock.console.file_changes import write as write_files
from windsock.console.page_errors import NotFoundError
from windsock.console.pages.base import store_of, write
from windsock.console.pages.people import must_change_profile
from windsock.console.reading import QUERIES, git_files
from windsock.console.views.changes import place_of, tokens_of, undo_of
from windsock.console.visits import Answer, Go, Route, Visit
from windsock.errors import ChangedSinceError, ConfigurationError
from windsock.flagfiles.editing import flag_body, redefined, served_file
from windsock.flags import JsonValue
from windsock.flags.model import same_json
from windsock.gitops.population import made_up
from windsock.mirror import profiles
from windsock.nested import at
from windsock.runtime.state import health
from windsock.settings.arms import EXPERIMENT


def undo(visit: Visit) -> Answer:
    """Undo a change to a profile or to its assignments."""
    number = number_of(visit.form.get("id", ""))
    row = visit.connection.execute(QUERIES["touched"], {"id": number}).fetchone()
    if row is None:
        raise NotFoundError(f"There is no change {number}.")
    for settings in row[0]:
        must_change_profile(visit, settings)
    done = profiles.undo(visit.connection, number, visit.person.name)
    return Go("/change", {"id": done.id})


def undo_file(visit: Visit) -> Answer:
    """Undo a write to a flag file, if its values are still in place."""
    number = number_of(visit.form.get("id", ""))
    row = visit.connection.execute(QUERIES["written"], {"id": number}).fetchone()
    if row is None:
        raise NotFoundError(f"There is no write {number}.")
    flag, changed, _ = row
    visit.must_change(flag)
    if WHOLE in changed:
        _undo_whole(visit, number, flag, changed[WHOLE])
        return Go("/changes", {"flag": flag})
    _, store = store_of(visit, flag)
    stored = store.read()
    configuration = stored.configuration
    for pointer, (_, after) in changed.items():
        tokens = tokens_of(pointer)
        variant, path = place_of(tokens, configuration.default)
        if at(configuration.variants.get(variant, {}), path) != after:
            raise ChangedSinceError(f"write {number} can't be undone: {pointer} was changed since")
    request, cleared = undo_of(changed, configuration.default)
    write(visit, store, Write(request, visit.person, frozenset({stored.revision}), cleared))
    return Go("/changes", {"flag": flag})


def _undo_whole(visit: Visit, number: int, flag: str, ends: Sequence[JsonValue]) -> None:
    """Write a flag's definition from before, if the one that was written is still in its file."""
    before, after = ends
    files = git_files(visit.console)
    file = served_file(files, flag)
    if before is None or runs_experiment({WHOLE: ends}):
        raise ConfigurationError(
            f"write {number} isn't undone here: start and stop experiments on their pages"
        )
    if file is None or not same_json(flag_body(file, flag), after):
        raise ChangedSinceError(f"write {number} can't be undone: {flag} was changed since")
    change = planned(visit, files, redefined(files, flag, before), made_up(health().environment))
    write_files(visit, change, change.revision)


def runs_experiment(changed: Mapping[str, Any]) -> bool:
    """Whether a flag that was written as a whole ran an experiment before or after."""
    ends = [end for end in changed.get(WHOLE, ()) if isinstance(end, Mapping)]
    metadata = [each for end in ends if isinstance(each := end.get("metadata"), Mapping)]
    return any(EXPERIMENT in each for each in metadata)


def number_of(text: str) -> int:
    """A change's number from a query or form.

    Raises:
        NotFoundError: It can't be one.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise NotFoundError("There is no such change.")
    return int(text)


ROUTES: Final = (
    Route("/changes/undo", undo, "POST", Role.EDITOR),
    Route("/changes/undo-file", undo_file, "POST", Role.EDITOR),
)
