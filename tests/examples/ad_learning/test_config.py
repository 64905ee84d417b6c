"""Ad learning: the configuration by the names and numbers of its document, and what a winner is."""

from pathlib import Path

import pytest
from examples.ad_learning.config_loader import (
    find_config,
    get_learning_config,
    get_learning_cycle_config,
    get_rag_config,
    get_winner_thresholds,
    is_feature_enabled,
    reload_config,
)
from examples.ad_learning.settings import Learning
from examples.ad_learning.winners import is_winner
from tests.waiting import eventually

import windsock
from examples.ad_learning import config_loader
from windsock import testing
from windsock.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("served")

VARIABLES = {
    "WINNER_CTR_THRESHOLD": "winner_detection.ctr_threshold",
    "WINNER_ROAS_THRESHOLD": "winner_detection.roas_threshold",
    "WINNER_MIN_IMPRESSIONS": "winner_detection.min_impressions",
    "LEARNING_CYCLE_INTERVAL_SECONDS": "self_learning_cycle.interval_seconds",
    "SAFE_EXECUTOR_POLL_INTERVAL_MS": "safe_executor.poll_interval_ms",
    "POLL_INTERVAL_MS": "safe_executor.poll_interval_ms",
    "MAX_ACTIONS_PER_HOUR": "safe_executor.rate_limiting.max_actions_per_hour",
    "MAX_ACTIONS_PER_DAY": "safe_executor.rate_limiting.max_actions_per_day",
    "MAX_BUDGET_CHANGE_PCT": "safe_executor.budget_velocity.max_change_pct",
    "VELOCITY_WINDOW_HOURS": "safe_executor.budget_velocity.velocity_window_hours",
    "JITTER_MIN_MS": "safe_executor.jitter.min_ms",
    "JITTER_MAX_MS": "safe_executor.jitter.max_ms",
    "FUZZY_BUDGET_VARIANCE_PCT": "safe_executor.fuzzy_budgets.variance_pct",
    "AD_PLATFORM_TIMEOUT_SECONDS": "workers.platform_seconds",
}
SWITCHES = {
    "RAG_AUTO_INDEXING_ENABLED": "feature_flags.rag_auto_indexing",
    "SAFE_EXECUTOR_ENABLED": "safe_executor.enabled",
    "JITTER_ENABLED": "safe_executor.jitter.enabled",
    "FUZZY_BUDGETS_ENABLED": "safe_executor.fuzzy_budgets.enabled",
}


@pytest.fixture
def setenv(monkeypatch):
    def setenv(name, value):
        monkeypatch.setenv(name, value)
        reload_config()

    return setenv


def at(config, path):
    for key in path.split("."):
        config = config[key]
    return config


class TestTheDocumentsOwnTests:
    def test_config_loading(self):
        config = get_learning_config()
        assert config["winner_detection"]["ctr_threshold"] == 0.03

    def test_env_override(self, setenv):
        setenv("WINNER_CTR_THRESHOLD", "0.05")
        thresholds = get_winner_thresholds()
        assert thresholds["ctr_threshold"] == 0.05

    def test_feature_flags(self):
        assert is_feature_enabled("rag_auto_indexing") is True


def test_the_file_says_what_the_code_defaults_say_with_the_loops_in_their_order():
    served = get_learning_config()
    loops = served["self_learning_cycle"].pop("loops")
    windsock.stop()
    defaults = get_learning_config()
    assert [loop["priority"] for loop in defaults["self_learning_cycle"].pop("loops").values()] == [999] * 7
    assert [loop["priority"] for loop in loops.values()] == [1, 2, 3, 4, 5, 6, 7]
    assert served == defaults


def test_the_numbers_of_the_document():
    assert get_winner_thresholds() == {
        "ctr_threshold": 0.03,
        "roas_threshold": 3.0,
        "require_both": False,
        "always_valid": False,
        "confidence": 0.95,
        "min_impressions": 1000,
        "min_hours_live": 24,
    }
    cycle = get_learning_cycle_config()
    assert (cycle["interval_seconds"], cycle["continue_on_error"], cycle["max_retries"]) == (3600, True, 3)
    assert get_learning_config()["model_evaluation"] == {
        "min_improvement_pct": 2.0,
        "min_samples": 1000,
        "confidence_level": 0.95,
        "min_accuracy_delta": 0.01,
        "auto_promote": True,
    }
    assert get_learning_config()["safe_executor"] == {
        "enabled": True,
        "poll_interval_ms": 5000,
        "rate_limiting": {"max_actions_per_hour": 15, "max_actions_per_day": 100},
        "budget_velocity": {"max_change_pct": 20.0, "velocity_window_hours": 6},
        "jitter": {"enabled": True, "min_ms": 3000, "max_ms": 18000},
        "fuzzy_budgets": {"enabled": True, "variance_pct": 3.0},
        "retry": {"max_attempts": 12, "longest_wait_seconds": 3600.0, "pause_seconds": 60.0},
    }
    assert get_rag_config() == get_learning_config()["rag_indexing"]


@pytest.mark.parametrize(("variable", "path"), VARIABLES.items())
def test_a_variable_is_above_the_file_and_empty_is_unset(variable, path, setenv):
    before = at(get_learning_config(), path)
    setenv(variable, "")
    assert at(get_learning_config(), path) == before
    new = 3001 if path.endswith("_ms") else 1
    setenv(variable, str(new))
    assert at(get_learning_config(), path) == new
    entry = windsock.explain(Learning.live())[path]
    assert (entry.layer, entry.variable) == ("environment", variable)


@pytest.mark.parametrize(("variable", "path"), SWITCHES.items())
def test_a_switch_turns_off_by_its_variable(variable, path, setenv):
    assert at(get_learning_config(), path) is True
    setenv(variable, "false")
    assert at(get_learning_config(), path) is False


def test_the_executors_own_name_of_the_poll_interval_is_the_stronger(setenv):
    setenv("POLL_INTERVAL_MS", "7000")
    setenv("SAFE_EXECUTOR_POLL_INTERVAL_MS", "8000")
    assert Learning.live().safe_executor.poll_interval_ms == 8000


def test_a_variable_that_cannot_be_used_falls_alone_and_is_named(setenv, caplog):
    setenv("WINNER_ROAS_THRESHOLD", "4.5")
    setenv("WINNER_CTR_THRESHOLD", "three percent")
    assert get_winner_thresholds() | {"min_hours_live": 0} == {
        "ctr_threshold": 0.03,
        "roas_threshold": 4.5,
        "require_both": False,
        "always_valid": False,
        "confidence": 0.95,
        "min_impressions": 1000,
        "min_hours_live": 0,
    }
    assert (
        "winner_detection.ctr_threshold: environment WINNER_CTR_THRESHOLD gives 'three percent', refused"
        in caplog.text
    )


@pytest.mark.parametrize(
    ("environment", "interval", "poll"),
    [("", 3600, 5000), ("production", 3600, 5000), ("development", 60, 1000), ("staging", 900, 5000)],
)
def test_each_environment_has_its_overrides_and_the_base_for_the_rest(environment, interval, poll, setenv):
    setenv("ENVIRONMENT", environment)
    config_loader.start()
    config = get_learning_config()
    assert config["self_learning_cycle"]["interval_seconds"] == interval
    assert config["safe_executor"]["poll_interval_ms"] == poll
    assert config["winner_detection"]["ctr_threshold"] == 0.03


def test_a_test_has_a_configuration_of_its_own_and_no_other_sees_it():
    with testing.override(Learning, {"winner_detection": {"ctr_threshold": 0.5}}):
        assert not is_winner(0.04, 1.0, 24, 1000)
        assert get_winner_thresholds()["roas_threshold"] == 3.0
    assert is_winner(0.04, 1.0, 24, 1000)


def test_stricter_winner_criteria(configure):
    assert is_winner(ctr=0.04, roas=0.0, hours_live=24, impressions=1000)
    configure(
        "winner_detection", ctr_threshold=0.05, roas_threshold=4.0, require_both=True, min_impressions=5000
    )
    assert not is_winner(ctr=0.06, roas=0.0, hours_live=24, impressions=5000)
    assert not is_winner(ctr=0.06, roas=4.1, hours_live=24, impressions=4999)
    assert is_winner(ctr=0.06, roas=4.1, hours_live=24, impressions=5000)


def test_disabled_features_are_off_and_the_others_run_on(configure):
    configure("feature_flags", rag_auto_indexing=False, auto_promoter=False)
    assert not is_feature_enabled("rag_auto_indexing")
    assert not is_feature_enabled("auto_promoter")
    assert is_feature_enabled("self_learning_cycle")
    assert not is_winner(ctr=1, roas=9, hours_live=100, impressions=10**6)


@pytest.mark.parametrize("name", ["no_such_feature", "", "model_dump", "__class__"])
def test_an_unknown_feature_is_off(name):
    assert is_feature_enabled(name) is False


@pytest.mark.parametrize(
    ("ctr", "roas", "hours", "impressions", "expected"),
    [
        (0.03, 3.0, 24, 1000, False),
        (0.0301, 3.0, 24, 1000, True),
        (0.03, 3.01, 24, 1000, True),
        (0.5, 9.0, 23, 1000, False),
        (0.5, 9.0, 24, 999, False),
        (float("nan"), float("nan"), 24, 1000, False),
    ],
)
def test_thresholds_are_exceeded_and_minimums_are_met(ctr, roas, hours, impressions, expected):
    assert is_winner(ctr, roas, hours, impressions) is expected


def test_a_change_of_the_file_is_seen_without_a_reload(served):
    document = served.read_text().replace('"ctr_threshold": 0.03', '"ctr_threshold": 0.07')
    served.write_text(document)
    eventually(lambda: get_winner_thresholds()["ctr_threshold"] == 0.07)


class TestFindConfig:
    def test_a_folder_or_the_file_may_be_named(self, served, monkeypatch):
        assert find_config() == served
        monkeypatch.setenv("LEARNING_CONFIG_PATH", str(served.parent))
        assert find_config() == served

    def test_the_executor_has_its_own_variable(self, served, monkeypatch):
        monkeypatch.setenv("LEARNING_CONFIG_PATH", "")
        monkeypatch.setenv("SAFE_EXECUTOR_CONFIG_PATH", str(served))
        assert find_config(("SAFE_EXECUTOR_CONFIG_PATH",)) == served

    def test_without_a_variable_the_usual_places_are_tried(self, served, monkeypatch):
        monkeypatch.delenv("LEARNING_CONFIG_PATH")
        monkeypatch.chdir(served.parents[1])
        assert find_config() == Path("flagd/learning.flagd.json")
        below = served.parents[1] / "service"
        below.mkdir()
        monkeypatch.chdir(below)
        assert find_config() == Path("../flagd/learning.flagd.json")

    def test_a_file_that_is_not_found_is_an_error_that_lists_the_places(self, tmp_path, monkeypatch):
        gone = tmp_path / "gone" / "learning.flagd.json"
        monkeypatch.setenv("LEARNING_CONFIG_PATH", str(gone))
        with pytest.raises(FileNotFoundError, match=rf"Learning config not found\. Tried: {gone}\."):
            config_loader.start()

    def test_the_error_lists_what_each_variable_names(self, tmp_path, monkeypatch):
        monkeypatch.setenv("LEARNING_CONFIG_PATH", str(tmp_path))
        monkeypatch.setenv("SAFE_EXECUTOR_CONFIG_PATH", "/gone.json")
        with pytest.raises(FileNotFoundError) as caught:
            find_config()
        assert f"Tried: {tmp_path}/learning.flagd.json, /gone.json. Set LEARNING_CONFIG_PATH" in str(
            caught.value
        )

    def test_a_yaml_file_of_the_old_shape_is_named(self, tmp_path, monkeypatch):
        old = tmp_path / "learning_config.yaml"
        old.write_text("winner_detection: {ctr_threshold: 0.03}\n")
        monkeypatch.setenv("LEARNING_CONFIG_PATH", str(old))
        with pytest.raises(ConfigurationError, match=r"learning_config\.yaml: this is no .*windsock import"):
            find_config()
