"""What differs on purpose from pydantic-settings, and which values fall when something is wrong."""

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    SettingsConfigDict,
)
from tests.flagfiles import object_flag, profile_flag
from tests.settings.teacher import Serve, SetEnv, every_way

import windsock

CONFIG = "3f0c2f5e-3a53-4a3f-9d6c-0b6f6f6d0001"


class TestWantedDifferences:
    """The table of docs/from-pydantic-settings.md, row by row."""

    def test_empty_means_unset(self, setenv: SetEnv) -> None:
        class App(windsock.Settings):
            n: int = 1

        setenv("N", "")
        assert App().n == 1

    def test_dotenv_is_read_and_its_other_keys_do_not_matter(self, tmp_path: Path) -> None:
        class App(windsock.Settings):
            n: int = 1

        (tmp_path / ".env").write_text("N=2\nUNRELATED=1\n")
        assert App().n == 2

    @pytest.mark.parametrize("extra", ["ignore", "allow"])
    def test_a_class_that_sets_extra_sees_other_keys_of_dotenv(
        self, tmp_path: Path, extra: Literal["ignore", "allow"]
    ) -> None:
        def counting(base: Any) -> Any:
            class Counting(base):
                model_config = SettingsConfigDict(env_file=".env", extra=extra)
                said: list[str] = []

                @model_validator(mode="before")
                @classmethod
                def keep(cls, said: dict[str, Any]) -> dict[str, Any]:
                    return {**said, "said": sorted(said)}

            return Counting

        (tmp_path / ".env").write_text("UNRELATED=1\n")
        before, after = counting(BaseSettings)(), counting(windsock.Settings)
        assert before.said == ["unrelated"]
        assert [each.said for each in every_way(after)] == [before.said] * 3

    def test_what_is_wrong_falls_but_arguments_must_be_valid(
        self, setenv: SetEnv, caplog: pytest.LogCaptureFixture
    ) -> None:
        class App(windsock.Settings):
            n: int = 1
            words: list[str] = []
            kept: int = 1

        for name, text in {"N": "many", "WORDS": "no json", "KEPT": "5"}.items():
            setenv(name, text)
        assert App().model_dump() == {"n": 1, "words": [], "kept": 5}
        assert "App.n: environment N gives 'many', refused" in caplog.text
        with pytest.raises(ValidationError) as raised:
            App(kept="x")
        assert [error["loc"] for error in raised.value.errors()] == [("kept",)]

    def test_arguments_may_be_named_by_the_field(self) -> None:
        class App(windsock.Settings):
            n: int = Field(1, validation_alias="NUMBER")

        assert (App(n=2).n, App(NUMBER=3).n) == (2, 3)

    def test_a_variable_changes_what_it_names_in_a_class_with_a_flag(self, setenv: SetEnv) -> None:
        class Named(windsock.Settings, flag="named"):
            limits: dict[str, int] = {"a": 1, "b": 2}

        class Carried(windsock.Settings):
            limits: dict[str, int] = {"a": 1, "b": 2}

        setenv("NAMED_LIMITS", '{"a": 5}')
        setenv("LIMITS", '{"a": 5}')
        assert Named().limits == {"a": 5, "b": 2}
        assert Carried().limits == {"a": 5}
        setenv("NAMED_LIMITS", '{"a": null, "c": 3}')
        assert Named().limits == {"b": 2, "c": 3}

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ({"c": 3}, {"a": 1, "b": 2, "c": 3}),
            ({"a": None}, {"b": 2}),
            ({"*": None, "c": 3}, {"c": 3}),
            ({"*": None}, {}),
        ],
    )
    def test_mappings_merge_and_null_removes(
        self, serve: Serve, said: dict[str, object], expected: dict[str, int]
    ) -> None:
        class App(windsock.Settings):
            limits: dict[str, int] = {"a": 1, "b": 2}

        serve({"app": object_flag({"on": {"limits": said}}, "on")})
        assert App.live().limits == expected

    @pytest.mark.parametrize(
        ("name", "value"), [("whole", True), ("decimal", True), ("on", 1), ("on", 0), ("numbers", [1, True])]
    )
    def test_flags_distinguish_booleans_from_numbers(
        self, serve: Serve, name: str, value: object, caplog: pytest.LogCaptureFixture
    ) -> None:
        class App(windsock.Settings):
            whole: int = 10
            decimal: float = 0.7
            on: bool = False
            numbers: list[int] = [5]

        serve({"app": object_flag({"on": {name: value}}, "on")})
        assert App.live() == App()
        assert f"App.{name}: base app/on gives" in caplog.text

    def test_whole_decimals_are_whole_numbers(self, serve: Serve) -> None:
        class App(windsock.Settings):
            whole: int = 10

        serve({"app": object_flag({"on": {"whole": 4.0}}, "on")})
        assert App.live().whole == 4


class Inner(BaseModel):
    tags: str = "a"
    n: int = 0

    @field_validator("tags", mode="before")
    @classmethod
    def strip(cls, tags: Any) -> Any:
        return tags.strip()


class Multi(windsock.Settings):
    tags: str = "a,b"
    model: str = "m0"
    top: int = 1
    low: int = 1
    high: int = 10
    inner: Inner = Inner()

    @field_validator("tags", mode="before")
    @classmethod
    def split(cls, tags: Any) -> Any:
        return ",".join(tags.split(","))

    @field_validator("high")
    @classmethod
    def above(cls, high: int, info: ValidationInfo) -> int:
        if high <= info.data.get("low", 0):
            raise ValueError("not above low")
        return high


class TestWhatFalls:
    def test_alone_whatever_a_validator_raises(self, serve: Serve) -> None:
        serve(
            {
                "multi": object_flag({"on": {"tags": 5, "top": 7, "model": "flag"}}, "on"),
                "multi.profile": profile_flag(
                    {CONFIG: {"inner": {"tags": 3, "n": 4}, "top": 9}}, {"ann": CONFIG}
                ),
            }
        )
        ann = Multi.for_user("ann")
        assert (ann.tags, ann.model, ann.top, ann.inner) == ("a,b", "flag", 9, Inner(n=4))
        refused = windsock.explain(ann).refused
        assert [text.split(" from ")[0] for text in refused] == ["tags", "inner.tags"]

    def test_the_layer_that_brought_the_error_not_the_one_that_holds_the_value(self, serve: Serve) -> None:
        serve(
            {
                "multi": object_flag({"on": {"high": 20}}, "on"),
                "multi.profile": profile_flag({CONFIG: {"low": 30, "top": 2}}, {"ann": CONFIG}),
            }
        )
        ann = Multi.for_user("ann")
        assert (ann.low, ann.high) == (1, 20)
        assert windsock.explain(ann)["high"].layer == "base"

    def test_what_two_layers_say_wrongly_falls_to_the_code(self, serve: Serve) -> None:
        serve(
            {
                "multi": object_flag({"on": {"top": "x"}}, "on"),
                "multi.profile": profile_flag({CONFIG: {"top": "y"}}, {"ann": CONFIG}),
            }
        )
        assert Multi.for_user("ann").top == 1
        assert len(windsock.explain(Multi.for_user("ann")).refused) == 2
