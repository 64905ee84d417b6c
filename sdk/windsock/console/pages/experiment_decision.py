"""Deciding an experiment: the proposal with its evidence, what it would write, and both behind one plan."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from windsock.api.tokens import Role
from windsock.console.file_changes import FileChange, planned, write
from windsock.console.pages.experiments import declared_name
from windsock.console.pages.file_plan import file_plan
from windsock.console.reading import analysis
from windsock.console.visits import Answer, Go, Page, Route, Visit
from windsock.errors import ChangedSinceError, WindsockError
from windsock.gitops.population import made_up
from windsock.runtime.state import health

if TYPE_CHECKING:
    from windsock.experiments.result import Result


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an experiment's report proposes.

    Attributes:
        result: The analysis and its decision.
        change: What carrying it out writes; None if nothing has to be written, or the console can't.
        fault: Why the console can't carry it out.
    """

    result: "Result"
    change: FileChange | None
    fault: str = ""

    @property
    def id(self) -> str:
        """The proposed action and arm; applying asks for the one that was seen."""
        decision = self.result.decision
        return f"{decision.action}:{decision.arm or ''}"


def plan(visit: Visit) -> Answer:
    """The proposal, its evidence, and what carrying it out would do."""
    name = declared_name(visit, visit.form.get("name", ""))
    proposal = _proposal(visit, name)
    from windsock.experiments.reporting.left_out import data_end  # noqa: PLC0415 - an extra

    values = {
        "name": name,
        "proposal": proposal,
        "decision": proposal.result.decision,
        "warnings": list(data_end(proposal.result.analysis)),
        "plan": file_plan(visit, proposal.change) if proposal.change else None,
    }
    return Page("experiment_decision.html", f"Decide {name}", values)


def apply(visit: Visit) -> Answer:
    """Record the decision with what it was computed from and, if asked, carry it out."""
    name = declared_name(visit, visit.form.get("name", ""))
    proposal = _proposal(visit, name)
    if proposal.id != visit.form.get("proposal"):
        raise ChangedSinceError(
            f"the report of {name} proposes something else now; nothing was changed or recorded: look again"
        )
    from windsock.experiments.data.keeping import keep  # noqa: PLC0415 - an extra

    change = proposal.change if visit.form.get("do") == "apply" else None
    if change is not None:
        write(visit, change, visit.form.get("plan", ""))
    keep(proposal.result, visit.console.database_url)
    return Go("/experiment", {"name": name, "recorded": "only" if change is None else "applied"})


def _proposal(visit: Visit, name: str) -> Proposal:
    result = analysis(visit.console, name)
    from windsock.experiments.data.keeping import refuse_undecidable  # noqa: PLC0415 - an extra
    from windsock.experiments.decision import Action  # noqa: PLC0415
    from windsock.experiments.running.concluding import concluded  # noqa: PLC0415
    from windsock.experiments.running.starting import flag_files  # noqa: PLC0415

    refuse_undecidable(result)
    experiment, decision = result.analysis.declared.experiment, result.decision
    visit.must_change(experiment.flag)
    if decision.action is Action.GO_ON:
        return Proposal(result, None)
    folder, environment = visit.console.flags, health().environment
    files = flag_files(folder)
    try:
        after = concluded(experiment, decision, files, folder, environment)
        return Proposal(result, planned(visit, files, after, made_up(environment)))
    except WindsockError as error:
        return Proposal(result, None, "\n".join(error.lines))


ROUTES: Final = (
    Route("/experiment/decide", plan, "POST", Role.ADMIN),
    Route("/experiment/decide/apply", apply, "POST", Role.ADMIN),
)
