"""Features: boolean flags with a code default."""

from collections.abc import Callable
from pathlib import Path

import pytest
from openfeature import api
from openfeature.hook import Hook

import windsock
from windsock.errors import DeclarationError

Serve = Callable[..., Path]

RAG = windsock.feature("rag_auto_indexing", default=False, env="RAG_AUTO_INDEXING_ENABLED")


def boolean(default: str, targeting: object = None, state: str = "ENABLED") -> dict[str, object]:
    flag = {"state": state, "variants": {"on": True, "off": False}, "defaultVariant": default}
    return flag if targeting is None else {**flag, "targeting": targeting}


def test_the_code_default_without_a_flag(serve: Serve) -> None:
    assert RAG() is False
    serve({})
    assert RAG("ann") is False


def test_the_flag_decides(serve: Serve) -> None:
    serve({"rag_auto_indexing": boolean("on")})
    assert RAG() is True


def test_a_disabled_flag_gives_the_code_default(serve: Serve) -> None:
    serve({"rag_auto_indexing": boolean("on", state="DISABLED")})
    assert RAG() is False


def test_users_and_attributes_reach_the_rule(serve: Serve) -> None:
    rule = {
        "if": [{"or": [{"==": [{"var": "targetingKey"}, "ann"]}, {"==": [{"var": "tier"}, "pro"]}]}, "on"]
    }
    serve({"rag_auto_indexing": boolean("off", rule)})
    assert RAG("ann") is True
    assert RAG("bob") is False
    assert RAG("bob", tier="pro") is True


@pytest.mark.parametrize("variant", ["yes", 1, {"a": 1}])
def test_a_flag_of_another_type_gives_the_code_default(serve: Serve, variant: object) -> None:
    serve({"rag_auto_indexing": {"state": "ENABLED", "variants": {"on": variant}, "defaultVariant": "on"}})
    assert RAG() is False


def test_the_first_call_reads_the_environment_where_nothing_was_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEW_FEATURE", "true")
    assert windsock.feature("new_feature", default=False, env="NEW_FEATURE")() is True


def test_the_environment_decides_before_the_flag(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve({"rag_auto_indexing": boolean("on")})
    monkeypatch.setenv("RAG_AUTO_INDEXING_ENABLED", "false")
    assert RAG() is True  # read at start and on reload
    windsock.reload()
    assert RAG() is False


def test_a_variable_that_is_no_boolean_is_told_and_passed_by(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RAG_AUTO_INDEXING_ENABLED", "perhaps")
    serve({"rag_auto_indexing": boolean("on")})
    assert RAG() is True
    assert "RAG_AUTO_INDEXING_ENABLED='perhaps' is not a boolean" in caplog.text


def test_hooks_are_run(serve: Serve) -> None:
    calls: list[str] = []

    class Recorder(Hook):
        def before(self, hook_context, hints):
            calls.append(f"before {hook_context.flag_key}")

        def after(self, hook_context, details, hints):
            calls.append(f"after {details.value}")

    serve({"rag_auto_indexing": boolean("on")})
    api.add_hooks([Recorder()])
    assert RAG("ann") is True
    assert calls == ["before rag_auto_indexing", "after True"]


def test_the_default_must_be_a_bool() -> None:
    with pytest.raises(DeclarationError, match="must be True or False"):
        windsock.feature("x", default="on")  # type: ignore[arg-type]
