"""A flag that splits units without a document: analysed as "not declared", with exploratory figures only."""

import pytest
from typer.testing import CliRunner

from tests.experiments import engines
from tests.experiments.data import NOW
from tests.experiments.test_decision import many
from tests.flagfiles import write_flags
from windsock.cli._app import app
from windsock.errors import ConfigurationError, UnreachableError
from windsock.experiments import Result, analyze, restore
from windsock.experiments.comparison import ComparisonOutcome, MetricRole
from windsock.experiments.data.keeping import refuse_undecidable
from windsock.experiments.decision import Action, State
from windsock.experiments.running.checking import problems

KEY = "teacher.experiment"
SPLIT = {"fractional": [["cheaper", 50], ["control", 50]]}
FLAG = {
    "state": "ENABLED",
    "variants": {"control": {}, "cheaper": {"reasoning_model": "small"}},
    "defaultVariant": "control",
    "targeting": SPLIT,
}


@pytest.fixture
def look(tmp_path):
    """Analyse what a hand-written flag ran, through Parquet."""
    flags, data = tmp_path / "flagd", tmp_path / "data"
    data.mkdir()

    def run(name: str = KEY, *, rows=None, **changed: object) -> Result:
        write_flags(flags / "hand.flagd.json", {KEY: FLAG | changed})
        rows = rows or many(costs={"control": 0.02, "cheaper": 0.01})
        for each in rows.exposures:
            each |= {"experiment": name, "allocation": None}
        with engines.parquet(rows, data):
            pass
        return analyze(name, data, flags=flags, now=NOW, looks=3)

    run.flags = flags
    return run


def test_its_figures_are_exploratory_and_decide_nothing(look) -> None:
    result = look()
    assert (result.decision.state, result.decision.action) == (State.NOT_DECLARED, Action.GO_ON)
    assert result.decision.sentence.startswith(
        f"{KEY} has no document, so its figures are exploratory and decide"
    )
    cost = next(each for each in result.analysis.comparisons if each.metric == "cost_per_request")
    assert (cost.role, cost.effect.control > 1.8 * cost.effect.treatment) == (MetricRole.SECONDARY, True)
    page = result.report()
    assert "<b>not declared</b>" in page
    assert 'class="better"' not in page
    assert restore(result.snapshot()).decision == result.decision
    with pytest.raises(ConfigurationError, match="has no document"):
        refuse_undecidable(result)


def test_it_stays_legal(look) -> None:
    look()
    assert list(problems(look.flags)) == []


def test_a_split_that_went_wrong_is_told(look) -> None:
    reasons = look(rows=many(share=0.4)).decision.reasons
    assert any("the arms differ from the declared sizes" in each for each in reasons)
    weights = {"fractional": [["cheaper", 2], ["control", 3]]}
    assert look(rows=many(share=0.4), targeting=weights).decision.reasons == ()


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"experiment": "smaller", "version": 1}, "smaller"),
        ({"allocation.control": 0.5, "allocation.cheaper": 0.5}, KEY),
    ],
)
def test_the_flags_metadata_says_what_it_runs(look, said, name) -> None:
    result = look(name, metadata=said)
    assert result.analysis.declared.experiment.name == name
    assert result.analysis.ratio.shares == {"control": 0.5, "cheaper": 0.5}
    assert result.analysis.comparisons[0].outcome is not ComparisonOutcome.NOTHING


def test_a_rule_that_says_no_shares_is_refused(look) -> None:
    rule = {"if": [{"==": [{"var": "plan"}, "pro"]}, "cheaper", "control"]}
    with pytest.raises(
        ConfigurationError, match=r"doesn't say which share each arm gets; write `allocation\.<arm>`"
    ):
        look(targeting=rule)


def test_a_name_that_no_flag_runs_is_refused(look) -> None:
    with pytest.raises(UnreachableError, match="no such experiment"):
        look("teacher.other")


def test_a_misspelt_name_is_told_what_flags_run(look) -> None:
    look()
    with pytest.raises(
        UnreachableError, match=r"no such experiment; .*; flags run without a document: teacher\.exp"
    ):
        analyze("teacher_experiment", look.flags.parent / "data", flags=look.flags)


def test_check_notes_what_runs_without_a_document(look) -> None:
    look()
    done = CliRunner().invoke(app, ["experiment", "check", "--flags", str(look.flags)])
    assert done.exit_code == 0
    assert "0 experiments, 0 problems" in done.output
    assert f"hand.flagd.json: {KEY} has no document, so its figures are exploratory" in done.output.replace(
        "\n", " "
    )
