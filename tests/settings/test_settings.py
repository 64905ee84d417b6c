"""The six layers that decide a value, and the views of settings."""

import asyncio
import copy
import pickle
import signal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
from django.utils.functional import SimpleLazyObject
from pydantic import (
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict
from tests.flagfiles import object_flag, profile_flag
from tests.settings.teacher import Serve, SetEnv, Teacher
from werkzeug.local import LocalProxy

import windsock
from windsock.client import evaluation

CONFIG = "3f0c2f5e-3a53-4a3f-9d6c-0b6f6f6d0001"


class Limits(BaseModel):
    per_hour: int = Field(15, ge=0)
    per_day: int = Field(100, ge=0)


class Loop(BaseModel):
    enabled: bool = True
    timeout_seconds: float = 300


class Worker(windsock.Settings, flag="worker"):
    limits: Limits = Limits()
    loops: dict[str, Loop] = {"rag": Loop(), "dna": Loop(timeout_seconds=60)}
    channels: list[str] = ["mail"]
    low: int = 1
    high: int = 10
    token: SecretStr = SecretStr("hunter2")

    @model_validator(mode="after")
    def ordered(self) -> "Worker":
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self


class TestWithoutStart:
    def test_code_defaults(self) -> None:
        teacher = Teacher.for_user("ann")
        assert (teacher.retrieval_top_k, teacher.reasoning_model, teacher.temperature) == (
            10,
            "gpt-4o-mini",
            0.7,
        )
        assert windsock.explain(teacher)["retrieval_top_k"].layer == "default"

    def test_environment(self, setenv: SetEnv) -> None:
        setenv("TEACHER_RETRIEVAL_TOP_K", "12")
        setenv("OPENAI_CHAT_MODEL", "gpt-4.1")
        teacher = Teacher.for_user("ann")
        assert (teacher.retrieval_top_k, teacher.reasoning_model) == (12, "gpt-4.1")
        entry = windsock.explain(teacher)["reasoning_model"]
        assert (entry.layer, entry.variable) == ("environment", "OPENAI_CHAT_MODEL")

    def test_empty_variable_means_unset(self, setenv: SetEnv) -> None:
        setenv("TEACHER_RETRIEVAL_TOP_K", "")
        assert Teacher.for_user("ann").retrieval_top_k == 10

    def test_alias_replaces_the_prefixed_name(self, setenv: SetEnv) -> None:
        setenv("TEACHER_REASONING_MODEL", "gpt-4.1")
        assert Teacher.for_user("ann").reasoning_model == "gpt-4o-mini"

    def test_dotenv_is_below_the_environment(self, setenv: SetEnv, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("TEACHER_RETRIEVAL_TOP_K=20\nTEACHER_TEMPERATURE=0.1\n")
        setenv("TEACHER_TEMPERATURE", "0.2")
        teacher = Teacher.for_user("ann")
        assert (teacher.retrieval_top_k, teacher.temperature) == (20, 0.2)
        assert windsock.explain(teacher)["retrieval_top_k"].layer == ".env"

    def test_bad_variable_falls_to_the_default_alone(
        self, setenv: SetEnv, caplog: pytest.LogCaptureFixture
    ) -> None:
        setenv("TEACHER_RETRIEVAL_TOP_K", "many")
        setenv("TEACHER_TEMPERATURE", "0.3")
        teacher = Teacher.for_user("ann")
        assert (teacher.retrieval_top_k, teacher.temperature) == (10, 0.3)
        assert (
            "Teacher.retrieval_top_k: environment TEACHER_RETRIEVAL_TOP_K gives 'many', refused"
            in caplog.text
        )

    def test_nested_variables(self, setenv: SetEnv) -> None:
        setenv("WORKER_LIMITS__PER_HOUR", "5")
        setenv("WORKER_LOOPS__RAG__TIMEOUT_SECONDS", "7")
        worker = Worker.for_user(None)
        assert worker.limits == Limits(per_hour=5, per_day=100)
        assert worker.loops == {"rag": Loop(timeout_seconds=7), "dna": Loop(timeout_seconds=60)}

    def test_a_variable_that_is_not_json_leaves_the_others(
        self, setenv: SetEnv, caplog: pytest.LogCaptureFixture
    ) -> None:
        setenv("WORKER_CHANNELS", "mail,chat")
        setenv("WORKER_LOW", "2")
        worker = Worker.for_user(None)
        assert (worker.channels, worker.low) == (["mail"], 2)
        assert "WORKER_CHANNELS cannot be read for Worker.channels" in caplog.text

    @pytest.mark.anyio
    async def test_async(self) -> None:
        teacher = await Teacher.afor_user("ann")
        assert teacher.retrieval_top_k == 10


class TestLayers:
    def test_each_layer_overlays_only_what_it_names(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / ".env").write_text("TEACHER_RERANK_TOP_N=4\nOPENAI_CHAT_MODEL=from-dotenv\n")
        monkeypatch.setenv("OPENAI_CHAT_MODEL", "from-environment")
        serve(
            {
                "teacher": object_flag({"base": {"retrieval_top_k": 11, "rerank_top_n": 2}}, "base"),
                "teacher.experiment": object_flag({"warm": {"temperature": 1.1}}, "warm"),
                "teacher.profile": profile_flag({CONFIG: {"retrieval_top_k": 25}}, {"ann": CONFIG}),
            }
        )
        ann = windsock.explain(Teacher.for_user("ann"))
        assert [(f.field, f.value, f.layer) for f in ann.fields] == [
            ("retrieval_top_k", 25, "profile"),
            ("rerank_top_n", 4, ".env"),
            ("reasoning_model", "from-environment", "environment"),
            ("temperature", 1.1, "experiment"),
        ]
        assert ann["retrieval_top_k"].config_id == CONFIG
        assert ann["retrieval_top_k"].shadowed == ("base",)
        bob = Teacher.for_user("bob")
        assert (bob.retrieval_top_k, bob.temperature) == (11, 1.1)

    def test_base_targets_the_environment(self, serve: Serve) -> None:
        targeting = {"if": [{"==": [{"var": "environment"}, "development"]}, "dev"]}
        serve(
            {"teacher": object_flag({"base": {}, "dev": {"retrieval_top_k": 2}}, "base", targeting)},
            environment="development",
        )
        assert Teacher.for_user("ann").retrieval_top_k == 2
        assert Teacher.live().retrieval_top_k == 2

    def test_nested_models_and_mappings_merge_and_lists_replace(self, serve: Serve) -> None:
        serve(
            {
                "worker": object_flag(
                    {"base": {"limits": {"per_day": 50}, "loops": {"new": {"enabled": False}}}}, "base"
                ),
                "worker.profile": profile_flag(
                    {
                        CONFIG: {
                            "limits": {"per_hour": 1},
                            "channels": ["chat"],
                            "loops": {"rag": {"enabled": False}},
                        }
                    },
                    {"ann": CONFIG},
                ),
            }
        )
        worker = Worker.for_user("ann")
        assert worker.limits == Limits(per_hour=1, per_day=50)
        assert worker.channels == ["chat"]
        assert worker.loops["rag"] == Loop(enabled=False, timeout_seconds=300)
        assert set(worker.loops) == {"rag", "dna", "new"}
        assert windsock.explain(worker)["limits.per_day"].layer == "base"
        assert windsock.explain(worker)["limits.per_hour"].layer == "profile"

    def test_a_refused_value_of_a_profile_is_told_with_the_profiles_name(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        profile = profile_flag({CONFIG: {"retrieval_top_k": 999}}, {"ann": CONFIG})
        serve({"teacher.profile": {**profile, "metadata": {f"config.{CONFIG}": "patient"}}})
        told = str(windsock.explain(Teacher.for_user("ann")))
        assert "refused: retrieval_top_k from profile teacher.profile/patient: " in told
        assert (
            "Teacher.retrieval_top_k: profile teacher.profile/patient gives 999, refused, so " in caplog.text
        )

    @pytest.mark.parametrize("bad", ["many", 0, 201, None, [], {"x": 1}, "yes"])
    def test_a_bad_value_falls_alone(
        self, serve: Serve, bad: object, caplog: pytest.LogCaptureFixture
    ) -> None:
        profile = profile_flag({CONFIG: {"retrieval_top_k": bad, "temperature": 0.2}}, {"ann": CONFIG})
        serve({"teacher": object_flag({"base": {"retrieval_top_k": 12}}, "base"), "teacher.profile": profile})
        teacher = Teacher.for_user("ann")
        assert (teacher.retrieval_top_k, teacher.temperature) == (12, 0.2)
        assert f"Teacher.retrieval_top_k: profile teacher.profile/{CONFIG} gives" in caplog.text
        assert caplog.text.count("refused") == 1
        Teacher.for_user("ann")
        assert caplog.text.count("refused") == 1

    def test_a_bad_nested_value_falls_alone(self, serve: Serve) -> None:
        profile = profile_flag({CONFIG: {"limits": {"per_hour": -1, "per_day": 7}}}, {"ann": CONFIG})
        serve({"worker.profile": profile})
        assert Worker.for_user("ann").limits == Limits(per_hour=15, per_day=7)

    def test_fields_tied_by_a_validator_fall_together(self, serve: Serve) -> None:
        serve(
            {
                "worker": object_flag({"base": {"low": 3}}, "base"),
                "worker.profile": profile_flag({CONFIG: {"low": 30, "high": 20}}, {"ann": CONFIG}),
            }
        )
        worker = Worker.for_user("ann")
        assert (worker.low, worker.high) == (3, 10)
        assert {r.split(" ")[0] for r in windsock.explain(worker).refused} == {"low", "high"}

    def test_unknown_fields_are_named_and_the_rest_counts(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        serve(
            {
                "teacher.profile": profile_flag(
                    {CONFIG: {"retreival_top_k": 5, "rerank_top_n": 9}}, {"ann": CONFIG}
                )
            }
        )
        assert Teacher.for_user("ann").rerank_top_n == 9
        assert "Teacher has no such field; did you mean 'retrieval_top_k'?" in caplog.text

    def test_a_variant_that_is_not_an_object(self, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
        serve({"teacher": object_flag({"base": [1, 2]}, "base")})
        assert Teacher.for_user("ann").retrieval_top_k == 10
        assert "flag 'teacher' variant 'base' is not an object" in caplog.text

    def test_a_profile_that_sets_a_field_of_a_running_arm_leaves_the_experiment(self, serve: Serve) -> None:
        serve(
            {
                "teacher.experiment": object_flag(
                    {"control": {}, "warm": {"temperature": 1.1, "rerank_top_n": 8}}, "warm"
                ),
                "teacher.profile": profile_flag({CONFIG: {"temperature": 0.2}}, {"ann": CONFIG}),
            }
        )
        ann, bob = Teacher.for_user("ann"), Teacher.for_user("bob")
        assert (ann.temperature, ann.rerank_top_n) == (0.2, 3)
        assert windsock.explain(ann).excluded
        assert (bob.temperature, bob.rerank_top_n) == (1.1, 8)
        assert not windsock.explain(bob).excluded

    def test_shadowed_fields_are_reported(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEACHER_TEMPERATURE", "0.1")
        serve({"teacher": object_flag({"base": {"temperature": 1.5, "rerank_top_n": 4}}, "base")})
        assert Teacher.live().temperature == 0.1
        assert windsock.health().shadowed == ("teacher.temperature",)


class TestViews:
    def test_a_view_is_a_frozen_instance(self, serve: Serve) -> None:
        serve({"teacher": object_flag({"base": {"retrieval_top_k": 11}}, "base")})
        teacher = Teacher.for_user("ann")
        assert isinstance(teacher, Teacher)
        with pytest.raises(ValidationError, match="frozen"):
            teacher.retrieval_top_k = 3  # type: ignore[misc]

    def test_a_view_is_whole_wherever_pydantic_looks(self, serve: Serve) -> None:
        serve({"teacher": object_flag({"base": {"retrieval_top_k": 11}}, "base")})
        whole = {
            "retrieval_top_k": 11,
            "rerank_top_n": 3,
            "reasoning_model": "gpt-4o-mini",
            "temperature": 0.7,
        }

        class Envelope(BaseModel):
            teacher: Teacher

        for make in (lambda: Teacher.for_user("ann"), Teacher.live):
            assert make().model_dump() == whole
            assert dict(make()) == whole
            assert Envelope(teacher=make()).model_dump() == {"teacher": whole}
            assert "retrieval_top_k=11" in repr(make())
            assert make() == Teacher(retrieval_top_k=11)
            assert hash(make()) == hash(Teacher.for_user("bob"))
            assert pickle.loads(pickle.dumps(make())).model_dump() == whole
            assert copy.deepcopy(make()).model_dump() == whole
            assert make().model_copy(update={"rerank_top_n": 9}).model_dump() == {**whole, "rerank_top_n": 9}
            assert make().model_fields_set == {"retrieval_top_k"}

    def test_what_one_user_changes_in_place_changes_for_no_other(self, serve: Serve) -> None:
        serve({"worker": object_flag({"base": {"channels": ["mail", "chat"]}}, "base")})
        ann = Worker.for_user("ann")
        ann.channels.append("fax")
        ann.loops["rag"].enabled = False
        dict(Worker.for_user("ann"))["channels"].append("fax")
        copy.copy(Worker.for_user("ann")).channels.append("fax")
        Worker.live().channels.append("fax")
        assert ann.channels == ["mail", "chat", "fax"]
        assert Worker.for_user("ann").channels == Worker.live().channels == ["mail", "chat"]
        assert Worker.for_user("ann").loops["rag"].enabled

    def test_live_follows_a_change(self, serve: Serve) -> None:
        live = Teacher.live()
        assert live.retrieval_top_k == 10
        serve({"teacher": object_flag({"base": {"retrieval_top_k": 11}}, "base")})
        assert live.retrieval_top_k == 11
        assert Teacher.live() is live

    @pytest.mark.parametrize("key", [uuid.UUID(int=7), 7])
    def test_any_id_is_its_text(self, serve: Serve, key: object) -> None:
        serve({"teacher.profile": profile_flag({CONFIG: {"retrieval_top_k": 25}}, {str(key): CONFIG})})
        assert Teacher.for_user(key).retrieval_top_k == 25

    @pytest.mark.parametrize("lazy", [LocalProxy, SimpleLazyObject], ids=["werkzeug", "django"])
    @pytest.mark.parametrize("key", ["ann", 7])
    def test_a_lazy_id_is_its_text(
        self, serve: Serve, lazy: Callable[[Callable[[], object]], object], key: object
    ) -> None:
        """Flask's and Django's say that they are of the class of what they stand for."""
        profiles = profile_flag({CONFIG: {"retrieval_top_k": 25}}, {str(key): CONFIG})
        tiers = {"if": [{"in": [{"var": "tier"}, ["pro"]]}, "pro"]}
        base = object_flag({"base": {}, "pro": {"rerank_top_n": 4}}, "base", tiers)
        serve({"teacher": base, "teacher.profile": profiles})
        teacher = Teacher.for_user(lazy(lambda: key), tier=lazy(lambda: "pro"))
        assert (teacher.retrieval_top_k, teacher.rerank_top_n) == (25, 4)

    @pytest.mark.parametrize(
        "key",
        ["", None, LocalProxy(lambda: None), SimpleLazyObject(lambda: None)],
        ids=["", "none", "werkzeug", "django"],
    )
    def test_a_call_without_a_user_has_no_profile(self, serve: Serve, key: object) -> None:
        profiles = {"ann": CONFIG, "None": CONFIG}
        serve({"teacher.profile": profile_flag({CONFIG: {"retrieval_top_k": 25}}, profiles)})
        assert Teacher.for_user(key).retrieval_top_k == 10

    @pytest.mark.parametrize(
        "key", ["o'hara", 'quo"te', "naïve-ü-漢", "nul\x00", "x" * 100_000, "$ref", "\ud800"]
    )
    def test_hostile_ids(self, serve: Serve, key: str) -> None:
        serve({"teacher.profile": profile_flag({CONFIG: {"retrieval_top_k": 25}}, {"ann": CONFIG})})
        assert Teacher.for_user(key).retrieval_top_k == 10

    def test_attributes_reach_the_rules(self, serve: Serve) -> None:
        rule = {"if": [{"==": [{"var": "tier"}, "pro"]}, "pro"]}
        serve({"teacher": object_flag({"base": {}, "pro": {"rerank_top_n": 7}}, "base", rule)})
        assert Teacher.for_user("ann", tier="pro").rerank_top_n == 7
        assert Teacher.for_user("ann").rerank_top_n == 3

    def test_explain_refuses_an_ordinary_instance(self) -> None:
        with pytest.raises(TypeError, match="for_user"):
            windsock.explain(Teacher())

    def test_secrets_are_never_shown(self, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
        serve({"worker": object_flag({"base": {"token": {"nested": "s3cret-value"}}}, "base")})
        explanation = windsock.explain(Worker.live())
        assert "hunter2" not in str(explanation) + repr(explanation.to_dict())
        assert "s3cret-value" not in str(explanation) + caplog.text
        assert Worker.live().token.get_secret_value() == "hunter2"

    def test_a_validator_that_quotes_a_secret(self, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
        class Vault(windsock.Settings, flag="vault"):
            token: SecretStr = SecretStr("a")

            @field_validator("token")
            @classmethod
            def check(cls, token: SecretStr) -> SecretStr:
                if token.get_secret_value() != "a":
                    raise ValueError(f"{token.get_secret_value()} is no token")
                return token

        serve({"vault": object_flag({"base": {"token": "s3cret-value"}}, "base")})
        assert Vault.live().token.get_secret_value() == "a"
        assert "s3cret-value" not in str(windsock.explain(Vault.live())) + caplog.text


class TestCarriedOver:
    """An existing pydantic-settings class, its base changed and nothing else."""

    def test_the_same_values_from_the_same_environment(
        self, monkeypatch: pytest.MonkeyPatch, serve: Serve
    ) -> None:
        def declare(base: type[BaseSettings]) -> type[BaseSettings]:
            class AppSettings(base):  # type: ignore[misc, valid-type]
                model_config = SettingsConfigDict(env_prefix="MYAPP_")
                host: str = "localhost"
                api_key: str = Field("none", validation_alias="API_KEY")
                limits: Annotated[dict[str, int], Field()] = {"a": 1}

            return AppSettings

        monkeypatch.setenv("MYAPP_HOST", "example.test")
        monkeypatch.setenv("API_KEY", "k")
        before, after = declare(BaseSettings), declare(windsock.Settings)
        assert (
            before().model_dump()
            == after().model_dump()
            == {"host": "example.test", "api_key": "k", "limits": {"a": 1}}
        )
        serve({"app": object_flag({"base": {"limits": {"b": 2}}}, "base")})
        assert after.live().limits == {"a": 1, "b": 2}  # type: ignore[attr-defined]

    def test_without_a_prefix_names_stay_unprefixed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Carried(windsock.Settings):
            plain_name: int = 1

        monkeypatch.setenv("PLAIN_NAME", "2")
        assert Carried().plain_name == 2


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Answering(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("a text that is not its own")


class Stopping:
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error

    def __bool__(self) -> bool:
        raise self.error


def nested_list(depth: int) -> list[object]:
    inner: list[object] = []
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    "key",
    [Unspeakable(), 10**5000, nested_list(100_000)],
    ids=lambda key: type(key).__name__,
)
def test_a_key_without_text_counts_as_no_user_with_a_warning(serve: Serve, caplog, key: object) -> None:
    serve({"teacher.profile": profile_flag({CONFIG: {"retrieval_top_k": 25}}, {"ann": CONFIG})})
    evaluation._warn_of_key.cache_clear()
    assert Teacher.for_user(key, tier=key).retrieval_top_k == Teacher.for_user(None).retrieval_top_k
    assert f"a targeting key of type {type(key).__name__} has no text" in caplog.text


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, asyncio.CancelledError, BaseException])
def test_a_text_that_raises_what_would_stop_a_service_stops_nothing(serve: Serve, error) -> None:
    rule = {"if": [{"==": [{"var": "tier"}, "pro"]}, "pro"]}
    serve({"teacher": object_flag({"base": {}, "pro": {"rerank_top_n": 7}}, "base", rule)})
    stopping = Stopping(error)
    assert Teacher.for_user(stopping, tier="pro").rerank_top_n == 7
    for attribute in (stopping, [stopping], {"tier": stopping}, (stopping,)):
        assert Teacher.for_user("ann", tier=attribute).rerank_top_n == 3
        assert asyncio.run(Teacher.afor_user("ann", tier=attribute)).rerank_top_n == 3


@pytest.mark.parametrize("served", [True, False])
def test_a_key_among_the_attributes_that_raises_is_no_user(serve: Serve, served) -> None:
    if served:
        serve({"teacher": object_flag({"base": {"rerank_top_n": 7}}, "base", None)})
    view = Teacher.for_user(None, targetingKey=Stopping(SystemExit))
    assert view.rerank_top_n == (7 if served else 3)
    view = asyncio.run(Teacher.afor_user(None, targetingKey=Stopping(SystemExit)))
    assert view.rerank_top_n == (7 if served else 3)


def test_somebody_who_interrupts_is_heard(serve: Serve) -> None:
    rule = {"if": [{"==": [{"var": "tier"}, "pro"]}, "pro"]}
    serve({"teacher": object_flag({"base": {}, "pro": {"rerank_top_n": 7}}, "base", rule)})
    for key, tier in ((Stopping(KeyboardInterrupt), "pro"), ("ann", Stopping(KeyboardInterrupt))):
        with pytest.raises(KeyboardInterrupt):
            Teacher.for_user(key, tier=tier)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers")
@pytest.mark.parametrize("key", [uuid.UUID(int=7), 10**4_000], ids=["UUID", "int"])
def test_an_order_to_stop_is_heard_while_an_id_becomes_text(key: object) -> None:
    def stop(*_: object) -> None:
        raise SystemExit

    before = signal.signal(signal.SIGALRM, stop)
    try:
        for _ in range(20):
            with pytest.raises(SystemExit):
                ask_until_stopped(key)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def ask_until_stopped(key: object) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    while True:
        assert evaluation.key_text(key) is not None


def test_an_id_that_overrides_str_is_taken_as_it_is(serve: Serve) -> None:
    serve({"teacher.profile": profile_flag({CONFIG: {"retrieval_top_k": 25}}, {"ann": CONFIG})})
    assert Teacher.for_user(Answering("ann")).retrieval_top_k == 25
