"""Experiments: the list, the live report, and start and stop, each behind a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markupsafe import Markup

from windsock.api.tokens import Role
from windsock.console.file_changes import FileChange, planned, write
from windsock.console.page_errors import NotFoundError
from windsock.console.pages.file_plan import file_plan
from windsock.console.reading import QUERIES, analysis, git_flags
from windsock.console.views.flags import running
from windsock.console.visits import Answer, Go, Page, Route, Visit
from windsock.errors import MissingExtraError, WindsockError
from windsock.experiments.running.undeclared import undeclared
from windsock.flags import Flag
from windsock.gitops.population import made_up
from windsock.runtime.state import health
from windsock.text import printable

_HYPOTHESIS: Final = 160
"""Characters of a hypothesis in the list; its page has all of it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An experiment in the list.

    Attributes:
        name: Its name.
        running: Whether a flag runs it.
        declared: Whether it has a document.
        owner: Who decides; empty if unknown.
        hypothesis: What is expected; empty if unknown.
        decided: Version, state and time of its latest recorded decision.
    """

    name: str
    running: bool
    declared: bool
    owner: str
    hypothesis: str
    decided: Sequence[object] | None


def experiments(visit: Visit) -> Answer:
    """Every experiment, declared or written by hand, with its latest decision."""
    folder, on = visit.console.flags / "experiments", _running(visit)
    decided = {row[0]: row for row in visit.connection.execute(QUERIES["decisions"]).fetchall()}
    rows = [
        Listed(name, name in on, True, *_stated(path), decided.get(name))  # noqa: FBT003 - its name is above
        for name, path in sorted(_documents(visit).items())
    ]
    for name, flag in _undeclared(visit).items():
        owner = str(flag.metadata.get("owner", ""))
        rows.append(Listed(name, flag.enabled, False, owner, "", decided.get(name)))  # noqa: FBT003 - not declared
    return Page("experiments.html", "Experiments", {"rows": rows, "folder": str(folder)})


def _documents(visit: Visit) -> dict[str, Path]:
    return {path.stem: path for path in (visit.console.flags / "experiments").glob("*.yaml")}


def _undeclared(visit: Visit) -> dict[str, Flag]:
    return undeclared(git_flags(visit.console).flags.values(), _documents(visit))


def _stated(path: Path) -> tuple[str, str]:
    """Owner and hypothesis; empty if the document can't be read, which its page explains."""
    try:
        from windsock.experiments.reading import read_experiment  # noqa: PLC0415 - an extra
    except ImportError:
        return "", ""
    try:
        read = read_experiment(path)
    except WindsockError:
        return "", ""
    return read.owner, printable(read.hypothesis, _HYPOTHESIS)


def experiment(visit: Visit) -> Answer:
    """One experiment, with a freshly computed report."""
    name = visit.query.get("name", "")
    declared = name not in (by_hand := _undeclared(visit))
    name = declared_name(visit, name) if declared else name
    wrong, report, decision = "", Markup(""), None
    try:
        result = analysis(visit.console, name)
        report, decision = Markup(result.sections()), result.decision  # noqa: S704 - escaped where it is made
    except WindsockError as error:
        wrong = "\n".join(error.lines)
    values = {
        "name": name,
        "declared": declared,
        "running": name in _running(visit) if declared else by_hand[name].enabled,
        "report": report,
        "decision": decision,
        "wrong": wrong,
        "may_change": declared and visit.person.role is Role.ADMIN,
        "recorded": visit.query.get("recorded", ""),
    }
    return Page("experiment.html", name, values)


def plan(visit: Visit) -> Answer:
    """What starting or stopping the experiment would do."""
    name, action = declared_name(visit, visit.form.get("name", "")), _action(visit)
    values = {"name": name, "action": action, "plan": file_plan(visit, _change(visit, name, action))}
    return Page("experiment_plan.html", f"{action.capitalize()} {name}", values)


def apply(visit: Visit) -> Answer:
    """Start or stop the experiment, if the files still match the plan."""
    name = declared_name(visit, visit.form.get("name", ""))
    write(visit, _change(visit, name, _action(visit)), visit.form.get("plan", ""))
    return Go("/experiment", {"name": name})


def _action(visit: Visit) -> str:
    return "stop" if visit.form.get("action") == "stop" else "start"


def _change(visit: Visit, name: str, action: str) -> FileChange:
    """Plan what `windsock experiment start` or `stop` would write."""
    try:
        from windsock.experiments.reading import read_declared, read_holdouts  # noqa: PLC0415 - an extra
        from windsock.experiments.running.starting import flag_files, started, stopped  # noqa: PLC0415
    except ImportError as missing:
        raise MissingExtraError("starting an experiment", "experiments") from missing
    folder = visit.console.flags
    experiment, files = read_declared(folder, name).experiment, flag_files(folder)
    after = (
        stopped(experiment, files)
        if action == "stop"
        else started(experiment, files, read_holdouts(folder / "holdouts.yaml"), folder)
    )
    return planned(visit, files, after, made_up(health().environment))


def declared_name(visit: Visit, name: str) -> str:
    """The name of a declared experiment.

    Raises:
        NotFoundError: None has it.
    """
    if name not in _documents(visit):
        raise NotFoundError(f"No experiment {name!r} is declared in {visit.console.flags / 'experiments'}.")
    return name


def _running(visit: Visit) -> set[str]:
    return running(git_flags(visit.console).flags.values())


ROUTES: Final = (
    Route("/experiments", experiments),
    Route("/experiment", experiment),
    Route("/experiment/plan", plan, "POST", Role.ADMIN),
    Route("/experiment/apply", apply, "POST", Role.ADMIN),
)
