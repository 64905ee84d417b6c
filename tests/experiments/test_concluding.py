"""A decision is carried out in the flag files: everybody gets the arm that is shipped, or the default."""

import pytest

from tests.experiments.test_running import FOLDER, arms_of, declared, start
from tests.flagfiles import write_flags
from windsock.errors import ConfigurationError
from windsock.experiments.decision import Action, Decision, State
from windsock.experiments.running.concluding import concluded
from windsock.flagfiles.files import read_files
from windsock.flagfiles.sets import flag_set

SHIP = Decision(State.WIN, Action.SHIP, "cheaper", "It is better.", ())
STOP = Decision(State.HARMFUL, Action.STOP, None, "It is worse.", ())
BASE = {"state": "ENABLED", "variants": {"base": {"heat": 1}, "eu": {}}, "defaultVariant": "base"}
BY_PLAN = {"if": [{"==": [{"var": "plan"}, "pro"]}, "eu"]}


def flags_of(tmp_path, body):
    write_flags(tmp_path / "teacher.flagd.json", {"teacher": body})
    return read_files([tmp_path])


def test_the_arms_fields_are_laid_over_the_default_variant(tmp_path):
    files = start(declared(), flags_of(tmp_path, BASE))
    after = concluded(declared(), SHIP, files, FOLDER, "production")
    flags = flag_set(after).flags
    assert flags["teacher"].variants == {"base": {"heat": 1, "reasoning_model": "small"}, "eu": {}}
    assert set(arms_of(after, "teacher.experiment").values()) == {None}


def test_a_rule_about_the_environment_says_which_variant_that_is(tmp_path):
    rule = {"if": [{"==": [{"var": "environment"}, "production"]}, "eu"]}
    files = start(declared(), flags_of(tmp_path, BASE | {"targeting": rule}))
    flag = flag_set(concluded(declared(), SHIP, files, FOLDER, "production")).flags["teacher"]
    assert flag.variants == {"base": {"heat": 1}, "eu": {"reasoning_model": "small"}}
    assert flag.targeting == rule


def test_a_class_without_a_flag_gets_one():
    after = concluded(declared(), SHIP, start(declared()), FOLDER, "production")
    assert [each.path for each in after] == [
        "flagd/teacher.experiment.flagd.json",
        "flagd/teacher.flagd.json",
    ]
    assert flag_set(after).flags["teacher"].variants == {"base": {"reasoning_model": "small"}}


def test_a_features_default_becomes_the_arms_value(tmp_path):
    rag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    write_flags(tmp_path / "rag.flagd.json", {"rag": rag})
    experiment = declared(feature="rag", arms={"control": False, "cheaper": True})
    after = concluded(experiment, SHIP, start(experiment, read_files([tmp_path])), FOLDER, "production")
    flag = flag_set(after).flags["rag"]
    assert (dict(flag.variants), flag.default_variant, flag.targeting) == (
        {"on": True, "off": False},
        "on",
        None,
    )


@pytest.mark.parametrize("decision", [SHIP, STOP])
def test_a_decision_about_another_version_than_the_one_that_runs_is_refused(decision):
    running = start(declared(version=2, reason="new arms"))
    with pytest.raises(ConfigurationError, match="version 2 runs, and this decision is about version 1"):
        concluded(declared(), decision, running, FOLDER, "production")


def test_stopping_gives_everybody_the_default(tmp_path):
    files = flags_of(tmp_path, BASE)
    after = concluded(declared(), STOP, start(declared(), files), FOLDER, "production")
    flags = flag_set(after).flags
    assert flags["teacher"].same_as(flag_set(files).flags["teacher"])
    assert set(arms_of(after, "teacher.experiment").values()) == {None}


@pytest.mark.parametrize(
    ("body", "changed", "decision", "message"),
    [
        (BASE, {}, Decision(State.COLLECTING, Action.GO_ON, None, "", ()), "goes on, so there is nothing to apply"),
        (BASE | {"targeting": BY_PLAN}, {}, SHIP, "add the fields of cheaper to its variants by hand"),
        (BASE | {"defaultVariant": None}, {}, SHIP, "not everybody in production gets the same variant of teacher"),
        (BASE, {"audience": {"==": [{"var": "plan"}, "pro"]}}, SHIP, "has an audience"),
        (BASE, {"arms": {"control": "a", "cheaper": "b"}}, SHIP, "assign the winner's with `windsock profile assign`"),
        (BASE, {"arms": {"control": "a", "cheaper": "b"}}, STOP, "windsock experiment assign cheaper_model --undo"),
    ],
)  # fmt: skip
def test_what_a_person_has_to_do_is_refused(tmp_path, body, changed, decision, message):
    experiment = declared(**changed)
    files = flags_of(tmp_path, body)
    running = files if experiment.are_profiles else start(experiment, files)
    with pytest.raises(ConfigurationError, match=message):
        concluded(experiment, decision, running, FOLDER, "production")
