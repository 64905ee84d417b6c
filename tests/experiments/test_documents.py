"""Experiments and metrics as documents: what is read, and what is said about a mistake."""

import json
from datetime import timedelta
from pathlib import Path

import jsonschema_rs
import pytest

from tests.experiments.data import GOOD, METRICS
from tests.processor import at_most
from windsock.errors import ConfigurationError, UnreachableError
from windsock.experiments.documents import Experiment, Maximum, PlannedLooks
from windsock.experiments.metrics import BUILT_IN, Metrics, Quantile
from windsock.experiments.reading import (
    MAX_MESSAGE,
    read_declared,
    read_experiment,
    read_holdouts,
    read_metrics,
)

DOUBLED = "[&a0 [x]" + "".join(f", &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)) + "]"
"""A list that is short to write and would be endless to show."""


@pytest.mark.parametrize("size", [90_000, 500_000, 5_000_000])
@pytest.mark.parametrize("part", ["1,", "[", "{a: "])
def test_a_document_of_any_size_takes_seconds_at_most(flags, part, size) -> None:
    (flags / "metrics.yaml").write_text("metrics: [" + part * (size // len(part)))
    with (
        at_most(30),
        pytest.raises(ConfigurationError),
    ):  # it takes 88 s and more where it depends on the size
        read_declared(flags, "cheaper_model")


def test_an_experiment_is_read_with_its_metrics(flags) -> None:
    declared = read_declared(flags, "cheaper_model")
    experiment = declared.experiment
    assert experiment.control == "control"
    assert experiment.treatments == ["cheaper"]
    assert experiment.shares == {"control": 0.5, "cheaper": 0.5}
    assert experiment.minimum_effect == 0.05
    assert [(each.metric, each.margin) for each in experiment.metrics.guardrails] == [
        ("error_rate", 0.0),
        ("failing_units", 0.5),
    ]
    assert experiment.maximum == Maximum(units=5000)
    assert declared.metrics["revenue"].window == timedelta(days=14)
    assert declared.metrics["revenue"].cap == Quantile(quantile=0.99)
    assert declared.metrics["cost_per_request"] == BUILT_IN["cost_per_request"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("owner: ann@example.org\n", ""), "cheaper_model.yaml:1: `owner` is missing"),
        (("owner:", "ownr:"), "cheaper_model.yaml:3: ownr: `ownr` is not known here"),
        (("minimum_effect: 5%", "minimum_effect: five"), ":14: minimum_effect: a share is written as 5% or 0.05"),
        (("maximum: {units: 5000}", "maximum: {duration: 28}"), ":15: maximum.duration: a duration needs its unit"),
        (("maximum: {units: 5000}", "maximum: {duration: 0d}"), ":15: maximum: a maximum's `duration` must be longer than zero"),
        (("maximum: {units: 5000}", "maximum: {}"), ":15: maximum: a maximum is either `units` or `duration`"),
        (("settings: teacher", "settings: teacher\nfeature: beta"), "names either `settings`"),
        (("  control: {}\n", "  control: true\n"), "arms are all mappings of fields"),
        (("maximum: {units: 5000}", "design: fixed"), "need `maximum`"),
        (("maximum: {units: 5000}", "maximum: {units: 50}\ndesign: {looks: [0.5, 0.4, 1]}"), ":16: design"),
        (("maximum: {units: 5000}", "maximum: {units: 50}\nversion: 2"), "needs `reason`"),
        (("settings: teacher", "settings: teacher\nallocation: {control: 1, small: 1}"), "the same arms as `arms`"),
        (("settings: teacher", "settings: teacher\nallocation: {control: 1, cheaper: 0}"), "must be above 0"),
        (("settings: teacher", "settings: teacher\nallocation: {control: 50%, cheaper: 50%}"), ":5: allocation.control: must be a number"),
        (("settings: teacher", "settings: teacher\nsegments: plan"), ":5: segments: must be a list"),
        (("settings: teacher", "settings: teacher\nallocation: {control: 1e300, cheaper: 1e-300}"), "must be at most 1000000000"),
        (("settings: teacher", "settings: teacher\nallocation: {control: 1, cheaper: 2000}"), "an arm gets 0.0005 of the units"),
        (("settings: teacher", "settings: teacher\nallocation: {control: nan, cheaper: 1}"), ":5: allocation.control"),
        (("margin: 50%", "margin: 100%"), ":12: metrics.guardrails.1.margin: must be at most 0.99"),
        (("minimum_effect: 5%", "minimum_effect: 0"), ":14: minimum_effect: must be at least 0.0001"),
        (("minimum_effect: 5%", "minimum_effect: -0.0"), ":14: minimum_effect: must be at least 0.0001"),
        (("minimum_effect: 5%", "minimum_effect: 1e999 %"), ":14: minimum_effect: a share is written as"),
        (("maximum: {units: 5000}", "maximum: {units: 999999999999999999}"), ":15: maximum.units"),
        (("maximum: {units: 5000}", "maximum: {duration: 99999w}"), ":15: maximum.duration: a duration is longer than zero and at most 3,650 days"),
        (("settings: teacher", "settings: teacher\ntraffic: 1e-99"), ":5: traffic: must be at least 0.001"),
        (("settings: teacher", "settings: teacher\nalpha: 1e-300"), ":5: alpha: must be at least 1e-06"),
        (("settings: teacher", "settings: teacher\nversion: 999999999999999999\nreason: r"), ":5: version"),
        (("settings: teacher", "settings: teacher\nalpha: 0.3"), ":5: alpha: must be at most 0.2"),
        (("maximum: {units: 5000}", "maximum: {units: 50}\ndesign: {looks: [0.001, 1]}"), ":16: design.looks: planned looks are at least 1% of the maximum apart"),
        (("maximum: {units: 5000}", "maximum: {units: 50}\ndesign: {looks: [0.5, 0.505, 1]}"), ":16: design.looks: planned looks are at least 1% of the maximum apart"),
        (("maximum: {units: 5000}", "maximum: {units: 50}\ndesign: sometimes"), ":16: design: must be 'any_time' or 'fixed'"),
        (("maximum: {units: 5000}", "maximum: {units: 1}"), ":15: maximum.units: must be at least 2"),
        (("  control: {}\n", "  control: 5\n"), ":6: arms.control: an arm is a mapping of fields, true or false, or a profile's name"),
        (("secondary: [revenue]", "secondary: [revenue, revenue]"), ":8: metrics: `secondary` names revenue twice"),
        (("- error_rate\n", "- failing_units\n"), ":8: metrics: `guardrails` names failing_units twice"),
        (("goal: [cost_per_request]", f"goal: [{', '.join(f'm{n}' for n in range(21))}]"), ":9: metrics.goal: List should have at most 20 items"),
        (("secondary: [revenue]", f"secondary: [{', '.join(f'm{n}' for n in range(98))}]"), ":8: metrics: 101 metrics; an experiment names at most 100"),
        (("settings: teacher", f"settings: teacher\nsegments: [{', '.join(f's{n}' for n in range(21))}]"), ":5: segments: List should have at most 20 items"),
        (("settings: teacher", f"settings: {'t' * 80_000}"), ":4: settings: String should have at most 200 characters"),
        (("owner:", "hypothesis: again\nowner:"), ":3: 'hypothesis' is written twice"),
        (("name: cheaper_model", "name: other"), "must be the file's"),
        (("arms:", "arms: &a"), None),
        (("  cheaper: {reasoning_model: small}", "  cheaper: &a {x: 1}\n  third: *a"), "anchors"),
        (("name:", "name: ["), "not YAML"),
        (("owner:", f"? {DOUBLED}\n: 1\nowner:"), ":3: a key must be text"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_line(flags, change, message) -> None:
    path = flags / "experiments" / "cheaper_model.yaml"
    path.write_text(GOOD.replace(*change))
    if message is None:
        assert read_experiment(path)
        return
    with pytest.raises(ConfigurationError) as raised:
        read_experiment(path)
    assert message in "\n".join(raised.value.lines)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("kind: mean", "kind: median"), "metrics.yaml:4: metrics.revenue.kind"),
        (("    value: value\n", ""), "a mean needs `value`"),
        (("kind: mean", "kind: share"), "`threshold` goes with kind: share"),
        (("window: 2w", "window: 0d"), "`window` must be longer than zero"),
        (("better: higher", "better: higher\n    covariate: 0d"), "a cap by quantile needs `covariate`"),
        (("source: {event: revenue}", "source: {table: 'x; drop table y'}"), "metrics.yaml:3: metrics.revenue.source"),
        (("value: value", "value: 'a b'"), "metrics.yaml:5: metrics.revenue.value"),
        (("{quantile: 0.99}", "{quantile: 1}"), "metrics.yaml:8: metrics.revenue.cap.quantile: must be at most 0.9999"),
        (("{quantile: 0.99}", "{quantile: 0.1}"), "metrics.yaml:8: metrics.revenue.cap.quantile: must be at least 0.5"),
        (("{quantile: 0.99}", "1e99"), "metrics.yaml:8: metrics.revenue.cap: must be at most 1e+15"),
        (("{quantile: 0.99}", "0"), "metrics.yaml:8: metrics.revenue.cap: must be at least 1e-12"),
        (("{quantile: 0.99}", "five"), "metrics.yaml:8: metrics.revenue.cap: must be a number"),
        (("kind: mean", "kind: share\n    threshold: -1e99"), "metrics.yaml:5: metrics.revenue.threshold: must be at least -1e+15"),
        (("window: 2w", "window: 99999w"), "metrics.yaml:7: metrics.revenue.window: a duration is longer than zero and at most 3,650 days"),
        (("window: 2w", "delay: -1d"), "metrics.yaml:7: metrics.revenue.delay: a duration is written as 30m"),
        (("{event: revenue}", "{evnt: revenue}"), "metrics.yaml:3: metrics.revenue.source: a source is `requests`, {event: NAME}"),
        (("{event: revenue}", "{sql: select 1, at: x}"), "metrics.yaml:3: metrics.revenue.source: `at` is not known here"),
        (("{event: revenue}", "5"), "metrics.yaml:3: metrics.revenue.source: a source is `requests`, {event: NAME}"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_metric_is_said_with_its_line(flags, change, message) -> None:
    (flags / "metrics.yaml").write_text(METRICS.replace(*change))
    with pytest.raises(ConfigurationError) as raised:
        read_metrics(flags / "metrics.yaml")
    assert message in str(raised.value)


def test_a_message_about_a_long_word_is_short(flags) -> None:
    path = flags / "experiments" / "cheaper_model.yaml"
    path.write_text(GOOD + "x" * 900 + ": 1\n")
    with pytest.raises(ConfigurationError) as raised:
        read_experiment(path)
    assert len(str(raised.value)) == MAX_MESSAGE


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/dev/zero", "leads out of the folder"),
        (".", "not a file|cannot be read"),
        ("cheaper_model.yaml", "cannot be read|no such experiment"),
    ],
)
def test_a_link_to_what_is_not_a_file_is_refused(flags, target, message) -> None:
    path = flags / "experiments" / "cheaper_model.yaml"
    path.unlink()
    path.symlink_to(target)
    with pytest.raises(UnreachableError, match=message):
        read_declared(flags, "cheaper_model")


def test_of_thousands_of_mistakes_the_first_are_told_and_the_others_counted(flags) -> None:
    path = flags / "experiments" / "cheaper_model.yaml"
    path.write_text(GOOD + "".join(f"unknown_{number}: 1\n" for number in range(4000)))
    with pytest.raises(ConfigurationError) as raised:
        read_experiment(path)
    told = raised.value.lines
    assert told[0] == f"{path}:16: unknown_0: `unknown_0` is not known here"
    assert told[-1] == f"{path}: and 3,950 more mistakes"
    assert len(told) == 51


def test_what_is_missing_is_named(flags) -> None:
    with pytest.raises(UnreachableError, match="no such experiment; there is 'cheaper_model'"):
        read_declared(flags, "../metrics")
    (flags / "metrics.yaml").unlink()
    with pytest.raises(ConfigurationError, match="the metric 'revenue' is neither built in nor declared"):
        read_declared(flags, "cheaper_model")


def test_words_of_yaml_are_text_as_in_flag_files(flags) -> None:
    path = flags / "experiments" / "cheaper_model.yaml"
    path.write_text(GOOD.replace("  control: {}\n", "  off: {}\n").replace("  cheaper: {", "  on: {"))
    assert list(read_experiment(path).arms) == ["off", "on"]


def test_planned_looks_and_profiles_are_read(flags) -> None:
    path = flags / "experiments" / "cheaper_model.yaml"
    arms = "arms: {control: control_v1, tuned: experimental_v1}\n"
    text = GOOD[: GOOD.index("arms:")] + arms + GOOD[GOOD.index("metrics:") :] + "design: {looks: [50%, 1]}\n"
    path.write_text(text)
    experiment = read_experiment(path)
    assert experiment.arms == {"control": "control_v1", "tuned": "experimental_v1"}
    assert experiment.design == PlannedLooks(looks=[0.5, 1.0])


@pytest.mark.parametrize("model", [Experiment, Metrics])
def test_the_json_schema_accepts_what_the_model_accepts(model) -> None:
    import yaml

    schema = json.loads(json.dumps(model.model_json_schema()))
    document = yaml.safe_load(GOOD if model is Experiment else METRICS)
    validator = jsonschema_rs.validator_for(schema)
    assert validator.is_valid(document)
    assert not validator.is_valid(document | {"surprise": 1})


@pytest.mark.parametrize(
    ("share", "message"),
    [("0%", "must be at least 0.001"), ("100%", "must be at most 0.9"), ("soon", "5% or 0.05")],
)
def test_a_holdout_keeps_some_units_but_never_nearly_all(tmp_path, share, message) -> None:
    path = tmp_path / "holdouts.yaml"
    path.write_text(f"holdouts:\n  winter: {share}\n")
    with pytest.raises(ConfigurationError) as raised:
        read_holdouts(path)
    assert str(raised.value).startswith(f"{path}:2: holdouts.winter: ")
    assert message in str(raised.value)


@pytest.mark.parametrize("linked", ["experiments/cheaper_model.yaml", "experiments", "metrics.yaml"])
def test_a_link_out_of_the_folder_is_not_read(flags, linked, tmp_path_factory) -> None:
    elsewhere = (flags / linked).rename(tmp_path_factory.mktemp("elsewhere") / "secret")
    (flags / linked).symlink_to(elsewhere)
    with pytest.raises(UnreachableError, match="this link leads out of the folder"):
        read_declared(flags, "cheaper_model")


def test_holdouts_are_not_read_through_one_either(flags, tmp_path_factory) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_text("password: hunter2\n")
    (flags / "holdouts.yaml").symlink_to(secret)
    with pytest.raises(UnreachableError, match="this link leads out of the folder"):
        read_holdouts(flags / "holdouts.yaml")


def test_a_link_within_the_folder_is_read(flags) -> None:
    """A ConfigMap's folder consists of them."""
    (flags / "..data").mkdir()
    for name in ("metrics.yaml", "experiments"):
        (flags / name).rename(flags / "..data" / name)
        (flags / name).symlink_to(Path("..data") / name)
    assert read_declared(flags, "cheaper_model").experiment.name == "cheaper_model"
