"""An experiment's document becomes a flag that gives every engine's units the same arms."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from tests.flagd_server import FlagdServer, flagd_binary
from tests.flagfiles import write_flags, write_text
from windsock.cli._experiment_new import command as new_command
from windsock.cli._findings import Format
from windsock.cli.lint import command as lint_command
from windsock.errors import ConfigurationError
from windsock.evaluator import FlagEvaluator
from windsock.experiments.documents import Experiment
from windsock.experiments.holdouts import Holdouts
from windsock.experiments.reading import read_declared
from windsock.experiments.running.checking import problems
from windsock.experiments.running.compiling import compiled, flag_key
from windsock.experiments.running.starting import difference, started, stopped
from windsock.flagfiles.files import FlagFile, read_files
from windsock.flagfiles.sets import flag_set
from windsock.lint import linter

WINDSOCK = Path(sys.executable).parent / "windsock"
USERS = [f"user-{number}" for number in range(4_000)]
NONE = Holdouts()
FOLDER = Path("flagd")


def declared(name="cheaper_model", **changed):
    facts = {
        "name": name,
        "hypothesis": "It costs less.",
        "owner": "ada",
        "settings": "teacher",
        "arms": {"control": {}, "cheaper": {"reasoning_model": "small"}},
        "metrics": {"goal": ["cost_per_request"]},
        "minimum_effect": 0.05,
    }
    if "feature" in changed:
        del facts["settings"]
    return Experiment.model_validate(facts | changed)


def arms_of(files, key, users=USERS, **attributes):
    """Which arm each user gets; None without one."""
    evaluator = FlagEvaluator()
    evaluator.load(flag_set(files))
    found = {}
    for user in users:
        outcome = evaluator.compiled[key].evaluate({"targetingKey": user, **attributes})
        found[user] = outcome.variant if outcome.reason not in ("DEFAULT", "STATIC") else None
    return found


def start(experiment, files=(), holdouts=NONE):
    return started(experiment, files, holdouts, FOLDER)


def test_arms_have_their_shares_and_the_flag_lints_clean():
    files = start(declared(allocation={"control": 3, "cheaper": 1}))
    (file,) = files
    assert file.path == "flagd/teacher.experiment.flagd.json"
    assert linter.lint(file.data, file.path).findings == ()
    count = Counter(arms_of(files, "teacher.experiment").values())
    assert count.keys() == {"control", "cheaper"}
    assert count["control"] / len(USERS) == pytest.approx(0.75, abs=0.03)


def test_more_traffic_keeps_those_who_are_in():
    files, before = (), {}
    for traffic in (0.1, 0.3, 1.0):
        files = start(declared(traffic=traffic), files)
        after = arms_of(files, "teacher.experiment")
        assert all(after[user] == arm for user, arm in before.items() if arm is not None)
        assert sum(arm is not None for arm in after.values()) / len(USERS) == pytest.approx(traffic, abs=0.03)
        before = after


def test_another_version_draws_its_arms_independently():
    first = arms_of(start(declared()), "teacher.experiment")
    second = arms_of(start(declared(version=2, reason="more arms")), "teacher.experiment")
    same = sum(first[user] == second[user] for user in USERS)
    assert same / len(USERS) == pytest.approx(0.5, abs=0.04)


def test_a_unit_is_in_one_experiment_of_a_group_at_most_and_in_none_of_its_holdout():
    holdouts = Holdouts(holdouts={"winter": 0.1})
    files = start(declared(traffic=0.4, exclusion_group="search", holdout="winter"), (), holdouts)
    other = declared("other", settings="tutor", traffic=0.5, exclusion_group="search", holdout="winter")
    files = start(other, files, holdouts)
    one, two = arms_of(files, "teacher.experiment"), arms_of(files, "tutor.experiment")
    assert not [user for user in USERS if one[user] and two[user]]
    assert sum(map(bool, one.values())) / len(USERS) == pytest.approx(0.4 * 0.9, abs=0.03)
    assert sum(map(bool, two.values())) / len(USERS) == pytest.approx(0.5 * 0.9, abs=0.03)
    with pytest.raises(ConfigurationError, match="20 % of the group 'search' is not free"):
        start(declared("third", settings="judge", traffic=0.2, exclusion_group="search"), files, holdouts)


def test_an_unknown_unit_is_left_out():
    files = start(declared(unit="session_id"))
    assert set(arms_of(files, "teacher.experiment").values()) == {None}
    assert set(arms_of(files, "teacher.experiment", ["u"], session_id="s").values()) <= {"control", "cheaper"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"arms": {"control": {}, "cheaper": {"reasoning_model": "tiny"}}}, "version 1 runs"),
        ({"allocation": {"control": 9, "cheaper": 1}}, "version 1 runs"),
        ({"audience": {"==": [{"var": "country"}, "CH"]}}, "version 1 runs"),
        ({"traffic": 0.2}, "version 1 runs"),
        ({"name": "another"}, "runs the experiment 'cheaper_model'"),
        ({"holdout": "winter"}, "'winter' is not declared"),
        ({"arms": {"control": {}, "none": {"temperature": 1}}}, "rename the arm 'none'"),
        ({"arms": {"a": "profile_a", "b": "profile_b"}}, "windsock experiment assign"),
    ],
)
def test_what_a_running_experiment_refuses(changed, message):
    files = start(declared(traffic=0.5))
    with pytest.raises(ConfigurationError, match=message):
        start(declared(**{"traffic": 0.5} | changed), files)


def test_a_hand_written_experiment_is_left_alone(tmp_path):
    body = {"state": "ENABLED", "variants": {"none": {}, "a": {}}, "defaultVariant": "none"}
    body["targeting"] = {"fractional": [["a", 1], ["none", 1]]}
    write_flags(tmp_path / "hand.flagd.json", {"teacher.experiment": body})
    with pytest.raises(ConfigurationError, match="one that nobody declared"):
        start(declared(), read_files([tmp_path]))


def test_a_feature_carries_an_experiment_and_is_itself_again_afterwards(tmp_path):
    feature = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    write_flags(tmp_path / "rag.flagd.json", {"rag": feature, "other": feature})
    files = read_files([tmp_path])
    experiment = declared(feature="rag", arms={"control": False, "indexing": True})
    running = start(experiment, files)
    assert set(arms_of(running, "rag").values()) == {"control", "indexing"}
    assert flag_set(start(experiment, running)).flags["rag"].same_as(flag_set(running).flags["rag"])
    ended = flag_set(stopped(experiment, running)).flags
    assert ended["rag"].metadata == {"ended.cheaper_model": 1}
    assert replace(ended["rag"], metadata={}).same_as(flag_set(files).flags["rag"])
    assert ended["other"].same_as(flag_set(files).flags["other"])


def test_a_features_own_metadata_outlasts_an_experiment(tmp_path):
    own = {"owner": "ada", "expires": "2027-01-01"}
    feature = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    write_flags(tmp_path / "rag.flagd.json", {"rag": feature | {"metadata": own}})
    experiment = declared(feature="rag", arms={"control": False, "indexing": True}, segments=["country"])
    running = start(experiment, read_files([tmp_path]))
    assert flag_set(start(experiment, running)).flags["rag"].same_as(flag_set(running).flags["rag"])
    assert own.items() <= flag_set(running).flags["rag"].metadata.items()
    metadata = flag_set(stopped(experiment, running)).flags["rag"].metadata
    assert metadata == own | {"ended.cheaper_model": 1}


@pytest.mark.parametrize("changed", [{}, {"feature": "rag", "arms": {"control": False, "on": True}}])
def test_a_version_that_ended_is_not_started_again(tmp_path, changed):
    """What everybody gets may have changed, and rows of before and after can't be told apart."""
    feature = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    write_flags(tmp_path / "rag.flagd.json", {"rag": feature})
    first, other = declared(**changed), declared("other", **changed)
    second = declared(version=2, reason="another base", **changed)
    files = stopped(first, start(first, read_files([tmp_path])))
    files = stopped(other, start(other, files))
    for ended, version in (first, 1), (other, 1), (second, 2):
        if ended is second:
            files = start(second, files)
            assert difference(second, flag_set(files).flags, NONE) is None
            files = stopped(second, files)
        with pytest.raises(
            ConfigurationError, match=rf"version {version} has ended.*`version: {version + 1}`"
        ):
            start(ended, files)
    with pytest.raises(ConfigurationError, match="version 2 has ended"):
        start(first, files)


def test_a_variant_of_the_features_own_that_is_an_arm_outlasts_the_experiment(tmp_path):
    feature = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    write_flags(tmp_path / "rag.flagd.json", {"rag": feature})
    files = read_files([tmp_path])
    experiment = declared(feature="rag", arms={"off": False, "on": True})
    running = start(experiment, files)
    assert set(arms_of(running, "rag").values()) == {"on", "off"}
    again = start(experiment, running)
    assert flag_set(again).flags["rag"].same_as(flag_set(running).flags["rag"])
    assert dict(flag_set(stopped(experiment, again)).flags["rag"].variants) == feature["variants"]


def test_another_version_leaves_none_of_the_arms_that_it_drops_and_takes_no_variant_along(tmp_path):
    feature = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    write_flags(tmp_path / "rag.flagd.json", {"rag": feature})
    first = start(declared(feature="rag", arms={"control": False, "a": True}), read_files([tmp_path]))
    second = declared(feature="rag", arms={"control": False, "on": True}, version=2, reason="a is over")
    running = start(second, first)
    assert flag_set(running).flags["rag"].variants.keys() == {"on", "off", "control"}
    assert difference(second, flag_set(running).flags, NONE) is None
    assert dict(flag_set(stopped(second, running)).flags["rag"].variants) == feature["variants"]


@pytest.mark.parametrize("name", ["version", "unit", "fields", "segments", "own_arms", "allocation.on"])
@pytest.mark.parametrize("place", ["flag", "set"])
def test_metadata_that_an_experiment_would_overwrite_is_refused(tmp_path, name, place):
    feature = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    named = {"owner": "ada", name: "mine"}
    flags = {"rag": feature | ({"metadata": named} if place == "flag" else {})}
    document = {"flags": flags} | ({"metadata": named} if place == "set" else {})
    write_text(tmp_path / "rag.flagd.json", json.dumps(document))
    experiment = declared(feature="rag", arms={"control": False, "indexing": True})
    with pytest.raises(ConfigurationError, match=f"'rag', or of its file, says {name!r}"):
        start(experiment, read_files([tmp_path]))


@pytest.mark.skipif(flagd_binary() is None, reason="needs the flagd server: set FLAGD_BIN")
def test_the_real_server_gives_every_unit_the_same_arm(tmp_path):
    holdouts = Holdouts(holdouts={"winter": 0.1})
    experiment = declared(
        traffic=0.6,
        exclusion_group="search",
        holdout="winter",
        audience={"in": [{"var": "country"}, ["CH", "DE"]]},
        allocation={"control": 2, "cheaper": 1},
    )
    files = start(experiment, (), holdouts)
    users = USERS[:400]
    ours = arms_of(files, "teacher.experiment", users, country="CH")
    with FlagdServer.serving(tmp_path, json.loads(files[0].data)) as server:
        theirs = {}
        for user in users:
            answer = server.evaluate("teacher.experiment", {"targetingKey": user, "country": "CH"})
            theirs[user] = answer["variant"] if answer["reason"] not in ("DEFAULT", "STATIC") else None
    assert theirs == ours
    assert set(ours.values()) == {None, "control", "cheaper"}


DOCUMENT = """
name: cheaper_model
hypothesis: It costs less.
owner: ada
settings: teacher
arms: {control: {}, cheaper: {temperature: 0.2}}
metrics: {goal: [cost_per_request]}
minimum_effect: 5%
"""


def run(folder, *arguments):
    return subprocess.run(
        [WINDSOCK, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"NO_COLOR": "1"},
    )  # fmt: skip


@pytest.fixture
def project(tmp_path):
    base = {"state": "ENABLED", "variants": {"base": {}}, "defaultVariant": "base"}
    write_flags(tmp_path / "flagd" / "teacher.flagd.json", {"teacher": base})
    write_text(tmp_path / "flagd" / "experiments" / "cheaper_model.yaml", DOCUMENT)
    return tmp_path


@pytest.mark.slow
def test_from_a_document_to_a_running_flag_and_back(project):
    assert run(project, "experiment", "check").returncode == 0
    dry = run(project, "experiment", "start", "cheaper_model", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert not (project / "flagd" / "teacher.experiment.flagd.json").exists()
    begun = run(project, "experiment", "start", "cheaper_model")
    assert begun.returncode == 0, begun.stderr
    assert "wrote flagd/teacher.experiment.flagd.json" in begun.stdout
    assert "nothing to do" in run(project, "experiment", "start", "cheaper_model").stdout
    assert run(project, "lint").returncode == 0
    write_text(project / "flagd" / "experiments" / "cheaper_model.yaml", DOCUMENT.replace("0.2", "0.3"))
    linted = run(project, "lint")
    assert linted.returncode == 1
    assert "the flag that runs says something else (variants)" in linted.stdout + linted.stderr
    refused = run(project, "experiment", "start", "cheaper_model")
    assert refused.returncode == 1
    assert "version: 2" in refused.stderr
    assert run(project, "experiment", "stop", "cheaper_model").returncode == 0
    flag = flag_set(read_files([project / "flagd"])).flags["teacher.experiment"]
    assert (flag.targeting, dict(flag.metadata)) == (None, {"ended.cheaper_model": 1})


def test_lint_says_what_is_wrong_with_an_experiment_in_every_format(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    document = project / "flagd" / "experiments" / "cheaper_model.yaml"
    write_text(document, DOCUMENT.replace("owner: ada", "owner: ada\nownr: bo"))
    said = {}
    for form in Format:
        with pytest.raises(typer.Exit):
            lint_command(form=form)
        said[form] = capsys.readouterr().out
    assert "flagd/experiments/cheaper_model.yaml:5:1  error    experiment  " in said[Format.TABLE]
    (found,) = json.loads(said[Format.JSON])
    place = ("flagd/experiments/cheaper_model.yaml", 5, "`ownr` is not known here")
    assert (found["source"], found["line"], found["message"].removeprefix("ownr: ")) == place
    (run_,) = json.loads(said[Format.SARIF])["runs"]
    assert [(each["ruleId"], each["level"]) for each in run_["results"]] == [("experiment", "error")]
    region = run_["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 5, "startColumn": 1}
    assert said[Format.GITHUB].startswith("::error file=flagd/experiments/cheaper_model.yaml,line=5,col=1,")


@pytest.mark.slow
def test_new_writes_a_document_that_checks(project):
    made = run(
        project,
        "experiment",
        "new",
        "warmer",
        "--settings",
        "teacher",
        "--field",
        "temperature=1.1",
        "--owner",
        "Ada B: c",
    )
    assert made.returncode == 0, made.stderr
    assert list(problems(project / "flagd")) == []
    again = run(project, "experiment", "new", "../x", "--settings", "t", "--field", "a=1", "--owner", "b")
    assert again.returncode == 1


def test_a_new_document_may_switch_a_feature(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    feature = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    write_flags(project / "flagd" / "rag.flagd.json", {"rag": feature})
    new_command("indexed", owner="ada", feature="rag")
    assert "wrote flagd/experiments/indexed.yaml" in capsys.readouterr().out
    experiment = read_declared(FOLDER, "indexed").experiment
    assert (experiment.feature, experiment.arms) == ("rag", {"control": False, "treatment": True})
    assert set(arms_of(start(experiment, read_files([FOLDER])), "rag").values()) == {"control", "treatment"}
    with pytest.raises(ConfigurationError, match="--settings with --field, or --feature alone"):
        new_command("both", owner="ada", feature="rag", settings="teacher")


def test_keys_are_named_after_what_they_run_on():
    assert flag_key(declared()) == "teacher.experiment"
    assert flag_key(declared(feature="rag", arms={"control": False, "on": True})) == "rag"
    assert "fields" in compiled(declared())["metadata"]
    assert isinstance(start(declared())[0], FlagFile)
