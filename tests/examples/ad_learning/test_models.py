"""Champion against challenger: a Celery worker, small scikit-learn models, and the criteria in force."""

import csv
import random

import joblib
import pytest
from celery.signals import worker_init
from examples.ad_learning.tasks import auto_evaluate_models_after_training, celery_app
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from tests.celery_worker import celery_worker

import windsock
from windsock.errors import ConfigurationError


@pytest.fixture
def folder(tmp_path, monkeypatch, served):
    """A champion that knows nothing, a challenger that has learnt, and 1,200 held-out ads."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("AD_LEARNING_MODELS", str(folder))
    dice = random.Random(7)
    rows = [[dice.random(), dice.random()] for _ in range(1400)]
    classes = [int(ctr + 0.2 * noise > 0.6) for ctr, noise in rows]
    joblib.dump(DummyClassifier().fit(rows[:200], classes[:200]), folder / "winner.champion.joblib")
    joblib.dump(LogisticRegression().fit(rows[:200], classes[:200]), folder / "new.joblib")
    with (folder / "winner.holdout.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [*row, label] for row, label in zip(rows[200:], classes[200:], strict=True)
        )
    return folder


def evaluate(model="new.joblib", model_type="winner"):
    return auto_evaluate_models_after_training(model, model_type)


def test_a_worker_promotes_a_challenger_that_wins(folder):
    before = (folder / "winner.champion.joblib").read_bytes()
    with celery_worker(celery_app):
        task = celery_app.send_task("auto_evaluate_models", ["new.joblib", "winner"])
        result = task.get(timeout=60)
    assert result["status"] == "promoted"
    assert list(result) == ["status", "metrics"]
    metrics = result["metrics"]
    assert metrics["samples"] == 1200
    assert metrics["challenger_accuracy"] > metrics["champion_accuracy"] + 0.2
    assert metrics["confidence"] > 0.999
    assert (folder / "winner.champion.joblib").read_bytes() == (folder / "new.joblib").read_bytes() != before
    assert sorted(path.name for path in folder.iterdir()) == [
        "new.joblib",
        "winner.champion.joblib",
        "winner.holdout.csv",
    ]


def test_the_first_model_is_seated_as_champion(folder):
    (folder / "winner.champion.joblib").unlink()
    assert evaluate() == {"status": "promoted", "metrics": {"samples": 1200}}
    assert (folder / "winner.champion.joblib").read_bytes() == (folder / "new.joblib").read_bytes()
    assert evaluate()["status"] == "evaluated", "the second challenger is compared with it"


def test_the_first_model_waits_for_a_person_without_auto_promote(folder, configure):
    configure("model_evaluation", auto_promote=False)
    (folder / "winner.champion.joblib").unlink()
    assert evaluate()["challenger_wins"] is True
    assert not (folder / "winner.champion.joblib").exists()


def test_a_first_model_that_cannot_be_loaded_is_not_seated(folder):
    (folder / "winner.champion.joblib").unlink()
    with pytest.raises(ConfigurationError, match="no such model"):
        evaluate("other.joblib")
    assert not (folder / "winner.champion.joblib").exists()


def test_the_feature_flag_gates_it(folder, configure):
    configure("feature_flags", champion_challenger=False)
    assert evaluate() == {"status": "disabled"}


def test_without_auto_promote_the_result_is_given_and_nothing_changes(folder, configure):
    configure("model_evaluation", auto_promote=False)
    before = (folder / "winner.champion.joblib").read_bytes()
    result = evaluate()
    assert (result["status"], result["challenger_wins"], result["unmet"]) == ("evaluated", True, [])
    assert (folder / "winner.champion.joblib").read_bytes() == before


@pytest.mark.parametrize(
    ("criterion", "value"),
    [("min_samples", 1201), ("min_accuracy_delta", 0.9), ("min_improvement_pct", 500.0)],
)
def test_each_criterion_alone_keeps_the_champion(folder, configure, criterion, value):
    configure("model_evaluation", **{criterion: value})
    before = (folder / "winner.champion.joblib").read_bytes()
    result = evaluate()
    assert (result["challenger_wins"], result["unmet"]) == (False, [criterion])
    assert (folder / "winner.champion.joblib").read_bytes() == before


def test_a_small_lead_on_few_rows_is_not_confident(folder, configure):
    lines = (folder / "winner.holdout.csv").read_text().splitlines()
    (folder / "winner.holdout.csv").write_text("\n".join(lines[:20]))
    configure("model_evaluation", min_samples=1)
    result = evaluate()
    assert (result["unmet"], result["metrics"]["confidence"]) == (
        ["confidence_level"],
        pytest.approx(1 - 5 / 31),  # four wins of four: the e-value is 2 · 16 · (1 - 1/32) / 5
    )
    configure("model_evaluation", confidence_level=0.83)
    assert evaluate()["status"] == "promoted"


def test_the_champion_itself_does_not_win(folder):
    result = evaluate("winner.champion.joblib")
    assert result["unmet"] == ["min_accuracy_delta", "min_improvement_pct", "confidence_level"]
    assert result["metrics"]["confidence"] == 0


@pytest.mark.parametrize(
    ("model", "model_type", "message"),
    [
        ("gone.joblib", "winner", r"gone\.joblib: there is no such model"),
        ("../../secrets.joblib", "winner", r"secrets\.joblib: models are loaded from .*models only"),
        ("new.joblib", "other", r"other\.holdout\.csv: there are no held-out rows"),
    ],
)
def test_what_is_missing_or_outside_is_named(folder, model, model_type, message):
    with pytest.raises(ConfigurationError, match=message):
        evaluate(model, model_type)


def test_a_broken_row_is_named_by_its_line(folder):
    (folder / "winner.holdout.csv").write_text("0.1,0.2,1\n0.1,many,0\n")
    with pytest.raises(ConfigurationError, match=r"winner\.holdout\.csv:2: this is no row of numbers"):
        evaluate()


def test_a_worker_that_begins_serves_the_flags(served):
    windsock.stop()
    worker_init.send(sender=None)
    assert windsock.health().source == str(served.parent)
