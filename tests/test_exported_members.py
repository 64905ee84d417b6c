"""What each public module exports: a name that comes or goes is a decision, and shows up here."""

import importlib

import pytest

EXPORTED = {
    "windsock": [
        "Fixed", "Settings", "Tunable", "WindsockError", "__version__", "aheal", "current_request", "explain",
        "feature", "heal", "health", "reload", "request", "start", "stop", "wait_for",
    ],
    "windsock.console": ["Console", "Issuer", "application"],
    "windsock.evaluator": ["CompiledFlag", "FlagEvaluator", "Outcome"],
    "windsock.flags": ["Bucketing", "Document", "Flag", "FlagSet", "JsonValue", "Problem", "merge", "read_document"],
    "windsock.healing": ["Blame", "Classifier", "Fault", "MirrorReport", "Verdict", "Withdrawal", "aheal", "classify", "heal"],
    "windsock.provenance": ["Explanation", "Provenance", "explain"],
    "windsock.providers": ["CompiledProvider", "FilesProvider", "Serving"],
    "windsock.runtime": ["Health", "health", "reload", "start", "stop", "wait_for"],
    "windsock.settings": ["Feature", "Fixed", "Settings", "Tunable", "feature"],
    "windsock.testing": ["at", "each_variant", "override", "pairwise", "profile"],
    "windsock.usage": [
        "COLUMNS", "EventRecord", "ExperimentSink", "ExposureRecord", "ExposureSink", "Healed", "LogSink", "Measured",
        "MemorySink", "OpenTelemetrySink", "Pending", "Request", "RowsRefusedError", "Sink", "Sinks", "Spool",
        "UsageHealth", "UsageOptions", "UsageRecord", "UsageWriter", "Use", "hashed_user_id",
    ],
}  # fmt: skip


@pytest.mark.parametrize("module", EXPORTED)
def test_a_public_module_exports_these_names_and_has_each_of_them(module: str) -> None:
    imported = importlib.import_module(module)
    assert sorted(imported.__all__) == sorted(EXPORTED[module])
    for name in imported.__all__:
        assert getattr(imported, name) is not None


def test_errors_are_one_family() -> None:
    errors = importlib.import_module("windsock.errors")
    family = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and each.__module__ == errors.__name__
    ]
    assert len(family) >= 9
    assert all(issubclass(each, errors.WindsockError) for each in family)


def test_an_unknown_name_is_an_attribute_error_that_says_where() -> None:
    for module in "windsock", "windsock.usage":
        with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'nothing'"):
            importlib.import_module(module).nothing  # noqa: B018 - the access is the test


def test_start_is_a_context_manager(tmp_path) -> None:
    import windsock

    with windsock.start(flags=tmp_path, usage=None):
        assert windsock.health().source == str(tmp_path)
    assert windsock.health().source == ""


def test_without_a_start_nothing_is_ready_and_health_says_what_to_do() -> None:
    import windsock

    windsock.stop()
    health = windsock.health()
    assert (health.ready, health.status) == (False, "NOT_READY")
    assert "call windsock.start()" in health.stale
