"""Experiments: the list, the live report, and start, stop and decide, each after a plan."""

from pathlib import Path
from typing import Final

from markupsafe import Markup

from windsock.api.settings import ConfigurationApi
from windsock.api.tokens import Role
from windsock.console.page_errors import NotAllowedError, NotFoundError
from windsock.console.reading import QUERIES, analysis, git_flags
from windsock.console.views.changes import who_moves
from windsock.console.views.flags import running
from windsock.console.visits import Answer, Go, Page, Route, Visit
from windsock.errors import ConfigurationError, MissingExtraError, WindsockError
from windsock.gitops.applying import apply_to_folder
from windsock.gitops.plan import Plan
from windsock.gitops.plan_text import text
from windsock.runtime.state import health


def experiments(visit: Visit) -> Answer:
    """Every declared experiment and its latest decision."""
    folder = visit.console.flags / "experiments"
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    on = _running(visit)
    decided = {row[0]: row for row in visit.connection.execute(QUERIES["decisions"]).fetchall()}
    rows = [(name, name in on, decided.get(name)) for name in names]
    return Page("experiments.html", "Experiments", {"rows": rows, "folder": str(folder)})


def experiment(visit: Visit) -> Answer:
    """One experiment, with a freshly computed report."""
    name = _name(visit, visit.asked.get("name", ""))
    wrong, report, decision = "", Markup(""), None
    try:
        result = analysis(visit.console, name)
        report, decision = Markup(result.sections()), result.decision  # noqa: S704 - escaped where it is made
    except WindsockError as error:
        wrong = "\n".join(error.lines)
    values = {
        "name": name,
        "running": name in _running(visit),
        "report": report,
        "decision": decision,
        "wrong": wrong,
        "may_change": visit.person.role is Role.ADMIN,
        "recorded": visit.asked.get("recorded", ""),
    }
    return Page("experiment.html", name, values)


def plan(visit: Visit) -> Answer:
    """What starting or stopping the experiment would do."""
    name, action = _name(visit, visit.form.get("name", "")), visit.form.get("action", "")
    made = _plan(visit, name, action)
    title = f"{'Stop' if action == 'stop' else 'Start'} {name}"
    values = {
        "name": name,
        "action": "stop" if action == "stop" else "start",
        "lines": list(text(made)),
        "moves": list(who_moves(made)),
        "population": made.population,
        "findings": made.findings,
        "base": _digest(made),
        "writable": ConfigurationApi.live().writable,
        "documents": [(step.path, step.after or "") for step in made.steps],
    }
    return Page("experiment_plan.html", title, values)


def apply(visit: Visit) -> Answer:
    """Start or stop the experiment, if the files still match the plan."""
    name = _name(visit, visit.form.get("name", ""))
    if not ConfigurationApi.live().writable:
        raise NotAllowedError("writing flag files is switched off here; set CONFIGURATION_API_WRITABLE=true")
    made = _plan(visit, name, visit.form.get("action", ""))
    if _digest(made) != visit.form.get("base"):
        raise ConfigurationError(
            "the flag files have changed since the plan; nothing was changed: look again"
        )
    apply_to_folder(made, Path(), [visit.console.flags])
    return Go("/experiment", {"name": name})


def record(visit: Visit) -> Answer:
    """Record the current decision along with the data it was computed from."""
    from windsock.experiments.data.keeping import keep  # noqa: PLC0415 - an extra

    name = _name(visit, visit.form.get("name", ""))
    keep(analysis(visit.console, name), visit.console.database_url)
    return Go("/experiment", {"name": name, "recorded": 1})


def _plan(visit: Visit, name: str, action: str) -> Plan:
    try:
        from windsock.experiments.reading import read_declared, read_holdouts  # noqa: PLC0415 - an extra
        from windsock.experiments.running.starting import (  # noqa: PLC0415
            flag_files,
            planned,
            started,
            stopped,
        )
    except ImportError as missing:
        raise MissingExtraError("starting an experiment", "experiments") from missing
    folder = visit.console.flags
    declared, files = read_declared(folder, name).experiment, flag_files(folder)
    visit.must_change(declared.settings or declared.feature or name)
    after = (
        stopped(declared, files)
        if action == "stop"
        else started(declared, files, read_holdouts(folder / "holdouts.yaml"), folder)
    )
    environment = health().environment
    return planned(files, after, environment, base="the files", declarations=visit.console.declarations)


def _digest(made: Plan) -> str:
    return ",".join(f"{step.path}:{step.before}" for step in made.steps)


def _name(visit: Visit, name: str) -> str:
    known = {path.stem for path in (visit.console.flags / "experiments").glob("*.yaml")}
    if name not in known:
        raise NotFoundError(f"No experiment {name!r} is declared in {visit.console.flags / 'experiments'}.")
    return name


def _running(visit: Visit) -> set[str]:
    return running(git_flags(visit.console).flags.values())


ROUTES: Final = (
    Route("/experiments", experiments),
    Route("/experiment", experiment),
    Route("/experiment/plan", plan, "POST", Role.ADMIN),
    Route("/experiment/apply", apply, "POST", Role.ADMIN),
    Route("/experiment/record", record, "POST", Role.ADMIN),
)
