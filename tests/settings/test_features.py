"""Features: flags of one value, with a code default."""

from collections.abc import Callable
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.hook import Hook

import windsock
from windsock.errors import DeclarationError
from windsock.settings.feature_values import DeclaredFeature
from windsock.settings.process import process
from windsock.text import short

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


class Truthless(int):
    """An id that has a text but no truth."""

    def __bool__(self) -> bool:
        raise SystemExit


def test_an_id_whose_truth_raises_is_its_text(serve: Serve) -> None:
    serve(
        {"rag_auto_indexing": boolean("off", {"if": [{"in": ["7", {"var": "targetingKey"}]}, "on", "off"]})}
    )
    assert RAG(Truthless(7)) is True
    assert RAG(Truthless(8)) is False


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


def test_a_variable_that_is_not_a_boolean_is_reported_and_ignored(
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


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Tone(StrEnum):
    DRY = "dry"
    KIND = "kind"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(Enum):
    TEXT = "a"
    NUMBER = 1


TYPED = [
    ("light", "dark", "dark"),
    (1, 4, 4),
    (1, 4.0, 4),
    (0.5, 2.5, 2.5),
    (0.5, 2, 2.0),
    (Colour.RED, "blue", Colour.BLUE),
    (Tone.DRY, "kind", Tone.KIND),
    (Level.LOW, 2, Level.HIGH),
    (False, True, True),
]
UNFIT = [
    ("light", 5, "text"),
    (1, "4", "a whole number"),
    (1, 4.5, "a whole number"),
    (1, True, "a whole number"),
    (0.5, True, "a number"),
    (False, 1, "a boolean"),
    (Colour.RED, "green", "one of red, blue"),
    (Level.LOW, True, "one of 1, 2"),
]


def served(value: object) -> dict[str, object]:
    return {"typed": {"state": "ENABLED", "variants": {"v": value}, "defaultVariant": "v"}}


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize(("default", "value", "expected"), TYPED)
def test_the_defaults_type_is_the_features(
    serve: Serve, default: Any, value: object, expected: object, *, hooked: bool
) -> None:
    typed = windsock.feature("typed", default=default)
    assert typed() is default
    if hooked:
        api.add_hooks([Hook()])
    serve(served(value))
    assert (typed("ann"), type(typed("ann"))) == (expected, type(expected))
    (told,) = windsock.explain(typed, "ann").fields
    assert (told.value, told.layer, told.variant) == (getattr(expected, "value", expected), "flag", "v")


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize(("default", "value", "words"), UNFIT)
def test_a_value_of_another_type_is_logged_once_and_the_default_serves(
    serve: Serve, default: Any, value: object, words: str, caplog: pytest.LogCaptureFixture, *, hooked: bool
) -> None:
    typed = windsock.feature("typed", default=default)
    if hooked:
        api.add_hooks([Hook()])
    serve(served(value))
    assert typed() is typed("ann") is default
    (said,) = [each.message for each in caplog.records if each.name == "windsock.settings"]
    plain = f"feature 'typed': variant 'v' gives {short(value)}, which is not {words}"
    by_client = f"feature 'typed': its value must be {words}: flag 'typed': variant 'v' is "
    assert said.startswith((by_client, plain) if hooked else plain)  # OpenFeature knows no enums
    explained = windsock.explain(typed)
    assert (explained.fields[0].layer, explained.fields[0].value) == (
        "default",
        getattr(default, "value", default),
    )
    assert explained.refused


@pytest.mark.parametrize(
    ("default", "text", "expected"),
    [("a", "b", "b"), (1, "2", 2), (0.5, "1.5", 1.5), (Colour.RED, "blue", Colour.BLUE), (Level.LOW, "2", 2)],
)
def test_a_variable_is_read_as_the_type(
    monkeypatch: pytest.MonkeyPatch, default: Any, text: str, expected: object
) -> None:
    monkeypatch.setenv("TYPED", text)
    typed = windsock.feature("typed", default=default, env="TYPED")
    assert typed() == expected
    (told,) = windsock.explain(typed).fields
    assert (told.layer, told.variable) == ("environment", "TYPED")


@pytest.mark.parametrize("default", [None, [], {}, b"x", Mixed.TEXT, 1j])
def test_other_defaults_are_refused(default: Any) -> None:
    with pytest.raises(DeclarationError, match="feature 'x': the default must be a boolean, text, a number"):
        windsock.feature("x", default=default)


@pytest.mark.parametrize("key", ["", None, 3])
def test_a_feature_has_a_key(key: Any) -> None:
    with pytest.raises(DeclarationError, match="the first argument is the flag's key, a text"):
        windsock.feature(key, default=False)


def test_the_process_knows_features_in_the_order_of_their_declaration() -> None:
    """In the order of addresses, which of two features with one key counts would differ from run to run."""
    declared = [windsock.feature(f"ordered_{number}", default=False) for number in range(50)]
    known = [each.key for each in process.readers if isinstance(each, DeclaredFeature)]
    assert known[-50:] == [f"ordered_{number}" for number in range(len(declared))]


def test_asked_without_calling_it_raises() -> None:
    with pytest.raises(TypeError, match="feature 'rag_auto_indexing' must be called"):
        bool(RAG)


def test_an_attribute_of_a_class_is_called_without_the_object(serve: Serve) -> None:
    """Python 3.14 makes a `functools.partial` a method: the object would be asked for as the user."""

    class Page:
        rag = RAG

    serve({"rag_auto_indexing": boolean("off", {"if": [{"==": [{"var": "targetingKey"}, "ann"]}, "on"]})})
    assert Page().rag is Page.rag is RAG
    assert Page().rag("ann") is True
    assert "__get__" in vars(type(RAG))


def test_what_a_feature_is_and_why(serve: Serve) -> None:
    rule = {"if": [{"==": [{"var": "tier"}, "pro"]}, "on"]}
    serve({"rag_auto_indexing": boolean("off", rule)}, environment="staging")
    assert str(windsock.explain(RAG, "ann", tier="pro")).splitlines()[1:] == [
        "  rag_auto_indexing  True  flag rag_auto_indexing/on"
    ]
    explained = windsock.explain(RAG, "ben")
    assert (explained.user, explained.environment) == ("ben", "staging")
    assert explained.reasons == {"rag_auto_indexing": "DEFAULT"}
    with pytest.raises(TypeError, match="these settings already have a user"):
        windsock.explain(Plain.for_user("ann"), "ann")


class Plain(windsock.Settings):
    n: int = 1


@pytest.mark.parametrize(
    ("asked", "named"), [(3, "'int'"), (None, "'NoneType'"), (windsock.Settings, "the class 'Settings'")]
)
def test_only_settings_and_features_are_explained(asked, named):
    with pytest.raises(TypeError, match=rf"^explain takes what `for_user` .*; got {named}$"):
        windsock.explain(asked)
