"""Declaring a settings class: what is refused, and the names of what is nested."""

import re

import pytest
from pydantic import AliasChoices, BaseModel, Field, ValidationError
from tests.flagfiles import object_flag
from tests.settings.teacher import Serve, SetEnv, Teacher

import windsock
from windsock.errors import DeclarationError


class Node(BaseModel):
    name: str = "root"
    children: list["Node"] = []


class TestOrdinaryInstances:
    def test_arguments_over_environment_over_defaults(self, setenv: SetEnv) -> None:
        setenv("TEACHER_TEMPERATURE", "0.1")
        teacher = Teacher(retrieval_top_k=5)
        assert (teacher.retrieval_top_k, teacher.temperature, teacher.rerank_top_n) == (5, 0.1, 3)

    def test_by_name_and_by_alias(self) -> None:
        assert Teacher(reasoning_model="a").reasoning_model == "a"
        assert Teacher(OPENAI_CHAT_MODEL="b").reasoning_model == "b"

    @pytest.mark.parametrize("arguments", [{"retrieval_top_k": 0}, {"no_such": 1}])
    def test_arguments_must_be_valid(self, arguments: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            Teacher(**arguments)


class Team:
    def __init_subclass__(cls, team: str = "", **keywords: object) -> None:
        super().__init_subclass__(**keywords)


class TestDeclaring:
    @pytest.mark.parametrize(
        ("keyword", "meant"), [("flg", "flag"), ("Flag", "flag"), ("env_prefx", "env_prefix"), ("tem", "")]
    )
    def test_a_misspelt_class_keyword_gets_the_nearest(self, keyword: str, meant: str) -> None:
        words = f"Typo: there is no class keyword '{keyword}'; " + (
            f"did you mean '{meant}'" if meant else ""
        )
        with pytest.raises(DeclarationError, match=re.escape(words)):
            type(windsock.Settings)(
                "Typo", (windsock.Settings, Team), {"__module__": __name__}, **{keyword: "x"}
            )

    def test_a_class_keyword_of_another_base_reaches_it(self) -> None:
        class Taught(windsock.Settings, Team, flag="taught.by", env_prefix="TAUGHT_", team="blue"):
            top_k: int = 10

        assert Taught().top_k == 10

    def test_the_error_of_another_base_is_its_own(self) -> None:
        class Strict:
            def __init_subclass__(cls) -> None:
                raise TypeError("our own")

        with pytest.raises(TypeError, match="our own"):
            type(windsock.Settings)("Broken", (windsock.Settings, Strict), {"__module__": __name__})

    def test_a_field_needs_a_default(self) -> None:
        with pytest.raises(DeclarationError, match=r"Bad\.x has no default"):

            class Bad(windsock.Settings, flag="bad"):
                x: int

    def test_a_default_must_be_valid(self) -> None:
        with pytest.raises(DeclarationError, match="the code defaults do not validate"):

            class Bad(windsock.Settings, flag="bad"):
                x: int = Field(0, ge=1)

    @pytest.mark.filterwarnings("ignore:Field name")
    def test_a_field_must_not_hide_a_method(self) -> None:
        with pytest.raises(DeclarationError, match=r"Bad\.live hides"):

            class Bad(windsock.Settings, flag="bad"):
                live: int = 1

    def test_a_flag_key_must_be_one(self) -> None:
        with pytest.raises(DeclarationError, match="cannot be a flag key"):

            class Bad(windsock.Settings, flag="no spaces, please"):
                x: int = 1

    def test_fields_may_have_the_names_of_functions(self) -> None:
        class Fine(windsock.Settings, flag="fine"):
            explain: str = "e"
            source: str = "s"
            user: str = "u"

        fine = Fine.for_user("ann")
        assert (fine.explain, fine.source, fine.user) == ("e", "s", "u")

    def test_a_class_derived_from_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Assistant(Teacher, flag="assistant"):
            tone: str = "kind"

        monkeypatch.setenv("ASSISTANT_TONE", "dry")
        monkeypatch.setenv("ASSISTANT_RERANK_TOP_N", "6")
        assistant = Assistant.for_user("ann")
        assert (assistant.tone, assistant.rerank_top_n) == ("dry", 6)
        assert Teacher.for_user("ann").rerank_top_n == 3

    def test_a_model_that_contains_itself(self, serve: Serve) -> None:
        class Tree(windsock.Settings, flag="tree"):
            root: Node = Node()

        serve({"tree": object_flag({"base": {"root": {"children": [{"name": "leaf"}]}}}, "base")})
        assert Tree.live().root == Node(children=[Node(name="leaf")])
        assert windsock.explain(Tree.live())["root.children"].layer == "base"

    def test_default_factories_private_attributes_and_properties(self) -> None:
        class Rich(windsock.Settings, flag="rich"):
            words: list[str] = Field(default_factory=lambda: ["a"])
            _cache: dict[str, int] = {}

            @property
            def count(self) -> int:
                return len(self.words)

        rich = Rich.for_user("ann")
        assert (rich.words, rich.count, rich._cache) == (["a"], 1, {})


class Retries(BaseModel):
    attempts: int = Field(3, ge=1, validation_alias=AliasChoices("RETRY_ATTEMPTS", "ATTEMPTS"))
    pause_seconds: float = 1.0


class Client(BaseModel):
    retries: Retries = Retries()


class Service(windsock.Settings, flag="service"):
    client: Client = Client()


class TestAliasesOfNestedFields:
    def test_the_variable_sets_the_nested_field_and_is_named(self, setenv, serve) -> None:
        serve(
            {
                "service": object_flag(
                    {"on": {"client": {"retries": {"attempts": 5, "pause_seconds": 2}}}}, "on"
                )
            }
        )
        setenv("ATTEMPTS", "7")
        assert Service.live().client.retries.model_dump() == {"attempts": 7, "pause_seconds": 2}
        assert windsock.explain(Service.live())["client.retries.attempts"].variable == "ATTEMPTS"
        setenv("RETRY_ATTEMPTS", "9")
        setenv("SERVICE_CLIENT__RETRIES__PAUSE_SECONDS", "4")
        assert Service.live().client.retries.model_dump() == {"attempts": 9, "pause_seconds": 4}

    def test_dotenv_is_read_too_and_empty_is_unset(self, setenv, tmp_path) -> None:
        (tmp_path / ".env").write_text("RETRY_ATTEMPTS=8\n")
        setenv("RETRY_ATTEMPTS", "")
        assert Service.live().client.retries.attempts == 8

    def test_a_value_out_of_range_falls_alone(self, setenv, caplog) -> None:
        setenv("RETRY_ATTEMPTS", "0")
        setenv("SERVICE_CLIENT__RETRIES__PAUSE_SECONDS", "4")
        assert Service.live().client.retries.model_dump() == {"attempts": 3, "pause_seconds": 4}
        assert "client.retries.attempts" in caplog.text
