"""Versions of a flag: go back to the flag of an earlier commit, behind a plan."""

import json
from collections.abc import Mapping
from typing import Final

from windsock.api.tokens import Role
from windsock.console.file_changes import FileChange, planned, write
from windsock.console.page_errors import NotFoundError
from windsock.console.pages.file_plan import file_plan
from windsock.console.plan_users import plan_users
from windsock.console.reading import git_files
from windsock.console.visits import Answer, Go, Page, Route, Visit
from windsock.errors import ConfigurationError
from windsock.flagfiles.editing import flag_body, redefined, served_file
from windsock.flagfiles.files import FlagFile
from windsock.flags import JsonValue
from windsock.gitops.repository import Commit, Repository
from windsock.settings.arms import EXPERIMENT


def plan(visit: Visit) -> Answer:
    """What going back to a version would change, and for whom."""
    key, commit = _asked(visit)
    change = _back(visit, key, commit)
    values = {"key": key, "commit": commit, "plan": file_plan(visit, change)}
    return Page("flag_plan.html", f"Go back: {key}", values)


def apply(visit: Visit) -> Answer:
    """Go back to the version, if the files still match the plan."""
    key, commit = _asked(visit)
    write(visit, _back(visit, key, commit), visit.form.get("plan", ""))
    return Go("/changes", {"flag": key})


def _asked(visit: Visit) -> tuple[str, Commit]:
    """The flag, and one of the commits that its page lists."""
    key, revision = visit.form.get("key", ""), visit.form.get("revision", "")
    visit.must_change(key)
    past = visit.shared.past.now().value
    commits = (event.commit for event in past.by_key.get(key, ()))
    commit = next((each for each in commits if each.revision == revision), None)
    if commit is None:
        raise NotFoundError(f"The page of the flag {key!r} has no such version any more; open it again.")
    return key, commit


def _back(visit: Visit, key: str, commit: Commit) -> FileChange:
    files = git_files(visit.console)
    current = served_file(files, key)
    earlier = served_file(Repository().files_at(commit.revision, [visit.console.flags]), key)
    if current is None or earlier is None:
        raise NotFoundError(
            f"The flag {key!r} isn't in a file {'now' if current is None else f'at {commit.revision[:10]}'}."
        )
    for file in (current, earlier):
        if name := file.document.flags[key].metadata.get(EXPERIMENT):
            raise ConfigurationError(f"{key} runs the experiment {name}: start and stop it under Experiments")
    return planned(visit, files, redefined(files, key, _definition(earlier, key)), plan_users(visit))


def _definition(file: FlagFile, key: str) -> JsonValue:
    """A flag as its file had it; shared rules, which may have changed since, are written out."""
    body = flag_body(file, key)
    if isinstance(body, Mapping) and '"$ref"' in json.dumps(body.get("targeting")):
        return {**body, "targeting": file.document.flags[key].targeting}
    return body


ROUTES: Final = (
    Route("/flag/plan", plan, "POST", Role.EDITOR),
    Route("/flag/apply", apply, "POST", Role.EDITOR),
)
