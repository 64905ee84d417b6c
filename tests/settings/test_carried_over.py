"""What carries over from pydantic-settings by changing the base, shape by shape."""

import threading
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    Discriminator,
    Field,
    PostgresDsn,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    computed_field,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from tests.flagfiles import object_flag, profile_flag
from tests.settings.generated import Backoff, Bucket, Disk, Point, Policy
from tests.settings.teacher import Serve, SetEnv, every_way

import windsock

CONFIG = "3f0c2f5e-3a53-4a3f-9d6c-0b6f6f6d0001"
T = TypeVar("T")


class TestValuesThatAreMade:
    def test_from_other_fields(self, setenv: SetEnv) -> None:
        class Store(windsock.Settings):
            PG_HOST: str = "localhost"
            PG_URL: str | None = None

            @field_validator("PG_URL", mode="before")
            @classmethod
            def build(cls, url: Any, info: ValidationInfo) -> Any:
                return url or f"postgresql://{info.data['PG_HOST']}/app"

        setenv("PG_HOST", "db.internal")
        assert {each.PG_URL for each in every_way(Store)} == {"postgresql://db.internal/app"}

    def test_by_a_factory_that_reads_the_other_fields(self, serve: Serve) -> None:
        class Paths(windsock.Settings, flag="paths"):
            root: str = "/a"
            logs: str = Field(default_factory=lambda data: data["root"] + "/logs")

        serve({"paths": object_flag({"on": {"root": "/b"}}, "on")})
        assert Paths.for_user("ann").logs == "/b/logs"

    def test_once_by_a_validator_that_is_not_idempotent(self, setenv: SetEnv) -> None:
        class Api(windsock.Settings):
            prefix: str = "v1"

            @field_validator("prefix")
            @classmethod
            def slash(cls, prefix: str) -> str:
                return f"/{prefix}"

        assert {each.prefix for each in every_way(Api)} == {"/v1"}
        setenv("PREFIX", "v2")
        assert {each.prefix for each in every_way(Api)} == {"/v2"}

    @pytest.mark.parametrize("config", [{}, {"frozen": False}])
    def test_by_a_validator_that_assigns(self, setenv: SetEnv, config: dict[str, Any]) -> None:
        class Broker(windsock.Settings):
            model_config = SettingsConfigDict(**config)
            host: str = "localhost"
            url: str | None = None

            @model_validator(mode="after")
            def fill(self) -> "Broker":
                if self.url is None:
                    self.url = f"amqp://{self.host}"
                return self

        setenv("HOST", "h1")
        assert {each.url for each in every_way(Broker)} == {"amqp://h1"}


class Item(BaseModel):
    item_type: str = Field("none", alias="itemType")
    size: int = Field(1, validation_alias=AliasChoices("itemSize", "item_size"))


class Slashed(BaseModel):
    path: str = "p"
    depth: int = 1

    @field_validator("path")
    @classmethod
    def slash(cls, path: str) -> str:
        return f"/{path}"


class TestNested:
    def test_a_flag_or_variable_names_another_member_of_a_union(self, setenv: SetEnv, serve: Serve) -> None:
        class Files(windsock.Settings):
            store: Annotated[Disk | Bucket, Discriminator("kind")] = Disk()

        assert Files(store={"kind": "bucket", "name": "x"}).store == Bucket(name="x")
        serve({"files": object_flag({"on": {"store": {"kind": "bucket", "name": "f"}}}, "on")})
        assert Files.for_user("ann").store == Bucket(name="f")
        setenv("STORE", '{"kind": "disk", "path": "/e"}')
        assert Files.for_user("ann").store == Disk(path="/e")

    @pytest.mark.parametrize(
        ("variable", "text"),
        [("ITEM", '{"itemType": "B"}'), ("ITEM__ITEMTYPE", "B"), ("ITEM__itemType", "B")],
    )
    def test_aliases_in_variables_and_names_in_flags(
        self, setenv: SetEnv, serve: Serve, variable: str, text: str
    ) -> None:
        class Shop(windsock.Settings):
            item: Item = Item()

        setenv(variable, text)
        assert {each.item.item_type for each in every_way(Shop)} == {"B"}
        serve({"shop.profile": profile_flag({CONFIG: {"item": {"size": 3}}}, {"ann": CONFIG})})
        assert Shop.for_user("ann").item == Item(itemType="B", itemSize=3)

    def test_a_default_of_a_subclass_stays_one(self, serve: Serve) -> None:
        class Retry(windsock.Settings):
            policy: Policy = Backoff(name="b")

        assert [each.policy for each in every_way(Retry)] == [Backoff(name="b")] * 3
        serve({"retry": object_flag({"on": {"policy": {"factor": 5}}}, "on")})
        assert Retry.for_user("ann").policy == Backoff(name="b", factor=5)

    def test_a_default_that_does_not_survive_being_validated_again(self, serve: Serve) -> None:
        class Deep(windsock.Settings):
            slashed: Slashed = Slashed(path="q")

        serve({"deep": object_flag({"on": {"slashed": {"depth": 2}}}, "on")})
        assert Deep.for_user("ann").slashed.model_dump() == {"path": "/q", "depth": 2}

    def test_a_default_that_is_a_dataclass(self, serve: Serve) -> None:
        class Drawn(windsock.Settings):
            point: Point = Point(x=1, y=2)

        serve({"drawn": object_flag({"on": {"point": {"y": 5}}}, "on")})
        assert Drawn.for_user("ann").point == Point(x=1, y=5)

    def test_a_flag_changes_only_what_it_names_of_a_default(self, serve: Serve) -> None:
        class Shop(windsock.Settings):
            item: Item = Item(itemType="A", itemSize=7)

        serve({"shop": object_flag({"on": {"item": {"item_type": "B"}}}, "on")})
        assert Shop.for_user("ann").item == Item(itemType="B", itemSize=7)


class Region(PydanticBaseSettingsSource):
    """Asks what the sources before it said."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return {"host": f"{self.current_state.get('port', '?')} of {'+'.join(self.settings_sources_data)}"}


def sourced(base: Any, kind: str) -> Any:
    class Cfg(base):
        model_config = SettingsConfigDict(env_file=".env", extra="ignore")
        port: int = 1
        host: str = "-"
        nested: dict[str, int] = {}

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            if kind == "json":
                file = JsonConfigSettingsSource(settings_cls, json_file="c.json")
                return init_settings, env_settings, file
            if kind == "toml first":
                file = TomlConfigSettingsSource(settings_cls, toml_file="c.toml")
                return file, init_settings, env_settings
            if kind == "raises":
                raise ConnectionError("no vault")
            if kind == "asks":
                return init_settings, dotenv_settings, Region(settings_cls)
            return dotenv_settings, env_settings

    return Cfg


class TestSources:
    @pytest.fixture(autouse=True)
    def files(self, tmp_path: Path, setenv: SetEnv) -> None:
        (tmp_path / "c.json").write_text('{"port": 3, "nested": {"a": 5}}')
        (tmp_path / "c.toml").write_text("port = 4\n")
        (tmp_path / ".env").write_text("PORT=8\n")
        setenv("HOST", "env-host")

    @pytest.mark.parametrize("kind", ["json", "toml first", "asks", "dotenv first"])
    def test_the_class_says_which_and_in_which_order(self, kind: str) -> None:
        before, after = sourced(BaseSettings, kind), sourced(windsock.Settings, kind)
        assert {str(each.model_dump()) for each in every_way(after)} == {str(before().model_dump())}
        assert after(port=77).port == before(port=77).port

    def test_each_is_a_layer_with_its_name(self) -> None:
        explained = windsock.explain(sourced(windsock.Settings, "json").live())
        assert explained["port"].layer == "JsonConfigSettingsSource"
        assert (explained["host"].layer, explained["host"].variable) == ("environment", "HOST")

    @pytest.mark.parametrize(
        "options",
        [
            {"_env_file": "test.env"},
            {"_env_file": None},
            {"_env_prefix": "X_"},
            {"_case_sensitive": True},
            {"_secrets_dir": "."},
            {"_cli_parse_args": False},
        ],
    )
    def test_the_options_of_a_call(self, options: dict[str, Any], tmp_path: Path, setenv: SetEnv) -> None:
        (tmp_path / "test.env").write_text("PORT=7\n")
        setenv("X_PORT", "5")

        def web(base: Any) -> Any:
            class Web(base):
                model_config = SettingsConfigDict(env_file=".env", extra="ignore")
                port: int = 1
                host: str = "-"

            return Web

        assert web(windsock.Settings)(**options).model_dump() == web(BaseSettings)(**options).model_dump()

    def test_the_options_that_a_class_passes_on_itself(self, tmp_path: Path) -> None:
        class Own(windsock.Settings):
            port: int = 1
            name: str = "a"

            def __init__(self, **values: Any) -> None:
                super().__init__(_env_file="own.env", **{"name": "b", **values})

        (tmp_path / "own.env").write_text("PORT=9\n")
        assert [(each.port, each.name) for each in every_way(Own)] == [(9, "b")] * 3
        assert Own(name="c").name == "c"

    def test_a_dotenv_file_that_cannot_be_decoded_is_named_and_left_out(
        self, tmp_path: Path, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Den(windsock.Settings):
            n: int = 1

        (tmp_path / ".env").write_bytes("N=2\nNAME=café\n".encode("cp1252"))
        serve({"den": object_flag({"on": {"n": 5}}, "on")})
        assert (Den.for_user("ann").n, Den().n) == (5, 1)
        assert "Den: .env cannot be read and is left out" in caplog.text

    def test_sources_that_cannot_be_made_leave_the_usual_ones(self, caplog: pytest.LogCaptureFixture) -> None:
        broken = sourced(windsock.Settings, "raises")
        assert (broken.live().host, broken.live().port) == ("env-host", 8)
        assert "Cfg: its settings sources cannot be made" in caplog.text


class TestClasses:
    def test_generic(self, setenv: SetEnv) -> None:
        class Knob(windsock.Settings, Generic[T]):
            limit: int = 1
            value: Optional[T] = None  # noqa: UP045 - as people write it

        setenv("LIMIT", "3")
        assert Knob[int].for_user("ann").model_dump() == {"limit": 3, "value": None}
        assert Knob[int].__windsock__.flags[0] == "knob"

    def test_one_that_names_a_later_class_is_finished_at_its_first_use(self) -> None:
        assert Tree.for_user("ann").model_dump() == {"n": 0, "leaf": None}
        assert Tree.live().n == 0

    def test_a_prefix_set_to_none(self, setenv: SetEnv) -> None:
        class Bare(windsock.Settings, flag="bare"):
            model_config = SettingsConfigDict(env_prefix="")
            n: int = 1

        setenv("N", "4")
        assert Bare.live().n == 4

    def test_fields_that_the_sources_must_give(self, setenv: SetEnv, serve: Serve) -> None:
        class Required(windsock.Settings):
            url: PostgresDsn
            low: int = Field(0, ge=1)
            n: int = 1

        for make in (Required, lambda: Required.for_user("ann")):
            with pytest.raises(ValidationError) as raised:
                make()
            assert {error["loc"] for error in raised.value.errors()} == {("url",), ("low",)}
        setenv("URL", "postgresql://db/app")
        setenv("LOW", "2")
        assert {(str(each.url), each.low) for each in every_way(Required)} == {("postgresql://db/app", 2)}
        serve({"required": object_flag({"on": {"n": "x", "low": 3}}, "on")})
        assert (Required.for_user("ann").n, Required.for_user("ann").low) == (1, 2)
        assert windsock.explain(Required.live())["url"].layer == "environment"

    def test_health_holds_whatever_a_validator_raises(self) -> None:
        class Raising(windsock.Settings):
            name: str
            url: str | None = None

            @field_validator("url", mode="before")
            @classmethod
            def build(cls, url: Any, info: ValidationInfo) -> Any:
                return url or info.data["name"]

        with pytest.raises(KeyError):
            Raising.for_user("ann")
        assert windsock.health().shadowed == ()


class Tree(windsock.Settings):
    n: int = 0
    leaf: "Leaf | None" = None


class Leaf(BaseModel):
    q: int = 1


class Page(windsock.Settings, flag="page"):
    size: int = 10
    _seen: list[int] = PrivateAttr(default_factory=list)

    @computed_field
    @cached_property
    def triple(self) -> int:
        return self.size * 3

    @cached_property
    def quad(self) -> int:
        return self.size * 4


class TestWhatIsHandedOut:
    def test_views_are_frozen_and_instances_as_their_class_says(self) -> None:
        page = Page()
        page.size = 3
        assert page.size == 3
        for view in (Page.for_user("ann"), Page.live()):
            with pytest.raises(ValidationError, match="frozen"):
                view.size = 3
            with pytest.raises(ValidationError, match="frozen"):
                del view.size
        assert Page.live().size == 10

    def test_an_instance_is_hashable_only_where_its_class_is_frozen(self) -> None:
        with pytest.raises(TypeError, match="unhashable"):
            hash(Page())
        assert hash(Page.for_user("ann")) == hash(Page.live())

    def test_a_cached_property_of_the_live_object_follows(self, serve: Serve) -> None:
        live = Page.live()
        assert (live.triple, live.quad) == (30, 40)
        serve({"page": object_flag({"on": {"size": 5}}, "on")})
        assert (live.triple, live.quad) == (15, 20)
        assert live.model_dump() == {"size": 5, "triple": 15}

    def test_private_attributes_are_each_users_own(self) -> None:
        ann, bob = Page.for_user("ann"), Page.for_user("bob")
        ann._seen.append(1)
        bob._seen = [2]
        assert (ann._seen, bob._seen, Page.for_user("eve")._seen) == ([1], [2], [])

    def test_values_that_cannot_be_copied_are_handed_out_as_they_are(self) -> None:
        lock = threading.Lock()

        class Held(windsock.Settings):
            lock: Any = Field(default_factory=lambda: lock)

        assert Held.for_user("ann").lock is Held.live().lock is lock
        assert dict(Held.for_user("ann")) == {"lock": lock}

    @pytest.mark.parametrize("mode", ["wrap", "plain"])
    def test_a_serializer_of_the_class_sees_the_whole_of_a_nested_view(
        self, mode: Literal["wrap", "plain"]
    ) -> None:
        def serialized(base: Any) -> Any:
            class Told(base):
                n: int = 1
                words: list[str] = ["a"]

                if mode == "wrap":

                    @model_serializer(mode="wrap")
                    def around(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
                        return {"around": True, **handler(self)}

                else:

                    @model_serializer
                    def alone(self) -> dict[str, Any]:
                        return {"alone": dict(self.__dict__)}

            return Told

        before, after = serialized(BaseSettings), serialized(windsock.Settings)

        def told(of: Any, settings: Any) -> str:
            class Answer(BaseModel):
                settings: list[of]

            answer = Answer(settings=[settings])
            assert Answer.model_json_schema(mode="serialization")
            return f"{answer.model_dump()} {answer.model_dump_json()}"

        assert {told(after, each) for each in every_way(after)} == {told(before, before())}
