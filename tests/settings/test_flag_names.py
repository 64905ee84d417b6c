"""How flags are named: which key belongs to which class, and which names a class cannot have."""

import sys
import textwrap
import types
from pathlib import Path

import pytest

import windsock
from windsock.errors import DeclarationError
from windsock.flag_names import class_flag


@pytest.mark.parametrize(
    ("key", "owner"),
    [
        ("teacher", "teacher"),
        ("teacher.experiment", "teacher"),
        ("teacher.profile", "teacher"),
        ("teacher.profile.shards", "teacher"),
        ("teacher.profile.17", "teacher"),
        ("school.teacher.experiment", "school.teacher"),
        ("checkout.experimental_ui", "checkout.experimental_ui"),
        ("checkout.experiments", "checkout.experiments"),
        ("checkout.profiles", "checkout.profiles"),
        ("checkout.profile.page", "checkout.profile.page"),
        ("checkout.experiment.new", "checkout.experiment.new"),
        ("experiment", "experiment"),
        (".profile", ".profile"),
    ],
)
def test_only_whole_parts_of_a_key_are_an_overlays_name(key: str, owner: str) -> None:
    assert class_flag(key) == owner


@pytest.mark.parametrize(
    "flag",
    [
        "teacher.experiment",
        "teacher.profile",
        "teacher.profile.shards",
        "teacher.profile.3",
        "windsock.sentinel",
    ],
)
def test_a_class_cannot_have_a_name_that_windsock_gives_to_other_flags(flag: str) -> None:
    with pytest.raises(DeclarationError, match=f"'{flag}' is reserved"):

        class Bad(windsock.Settings, flag=flag):
            x: int = 1


MODULE = """
    import windsock

    class {name}(windsock.Settings, flag="claimed.{flag}"):
        x: int = 1
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)

    def run(module: str, name: str, flag: str):
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(MODULE.format(name=name, flag=flag)))
        sys.modules.pop(module, None)
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        try:
            return __import__(module)
        finally:
            sys.dont_write_bytecode = before

    return run


def test_a_second_class_of_another_name_with_the_same_flag_is_refused(run) -> None:
    first = run("claims_one", "One", "a")
    with pytest.raises(
        DeclarationError, match=r"claims_two\.Two: the flag 'claimed\.a' belongs to claims_one\.One"
    ):
        run("claims_two", "Two", "a")
    assert first.One().x == 1


def test_a_class_that_is_defined_again_replaces_the_first(run) -> None:
    first, second = run("claims_three", "Three", "b"), run("claims_three", "Three", "b")
    assert first is not second
    assert second.Three().x == 1


def test_a_flag_is_free_again_when_its_class_is_gone(run) -> None:
    import gc

    run("claims_four", "Four", "c")
    del sys.modules["claims_four"]
    gc.collect()
    assert run("claims_five", "Five", "c").Five().x == 1


def test_two_classes_that_name_no_flag_are_only_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    def declared(module: str) -> type[windsock.Settings]:
        namespace = {
            "__module__": module,
            "__qualname__": "CarriedSettings",
            "__annotations__": {"n": int},
            "n": 1,
        }
        return types.new_class(
            "CarriedSettings", (windsock.Settings,), {}, lambda given: given.update(namespace)
        )

    first, second = declared("carried_one"), declared("carried_two")
    assert first().n == second().n == 1
    assert "carried_two.CarriedSettings: the flag 'carried' belongs to carried_one" in caplog.text
