"""Shapes of settings classes as public repositories have them, written anew: the same values on both bases."""

import copy
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import (
    AliasChoices,
    AnyUrl,
    BaseModel,
    BeforeValidator,
    ByteSize,
    Field,
    PositiveInt,
    PostgresDsn,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    computed_field,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    JsonConfigSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

import windsock

Declare = Callable[[Any], Any]


def web_template(base: Any) -> Any:
    """Lists written with commas, an address made of parts, secrets that must not stay as they are."""

    def parsed(value: Any) -> Any:
        if isinstance(value, str) and not value.startswith("["):
            return [each.strip() for each in value.split(",") if each.strip()]
        return value

    class Settings(base):
        model_config = SettingsConfigDict(env_file="../.env", env_ignore_empty=True, extra="ignore")
        SECRET_KEY: str = "changethis"
        FRONTEND_HOST: str = "http://localhost:5173"
        ENVIRONMENT: Literal["local", "staging", "production"] = "local"
        CORS: Annotated[list[AnyUrl] | str, BeforeValidator(parsed)] = []
        PROJECT_NAME: str
        POSTGRES_SERVER: str
        POSTGRES_PORT: int = 5432
        POSTGRES_USER: str
        POSTGRES_PASSWORD: str = ""
        EMAILS_FROM_NAME: str | None = None

        @computed_field
        @property
        def all_cors(self) -> list[str]:
            return [str(origin).rstrip("/") for origin in self.CORS] + [self.FRONTEND_HOST]

        @computed_field
        @property
        def uri(self) -> PostgresDsn:
            return PostgresDsn.build(
                scheme="postgresql+psycopg", username=self.POSTGRES_USER, password=self.POSTGRES_PASSWORD,
                host=self.POSTGRES_SERVER, port=self.POSTGRES_PORT, path="app",
            )  # fmt: skip

        @model_validator(mode="after")
        def name(self) -> Self:
            if not self.EMAILS_FROM_NAME:
                self.EMAILS_FROM_NAME = self.PROJECT_NAME
            return self

        @model_validator(mode="after")
        def no_default_secrets(self) -> Self:
            if self.SECRET_KEY == "changethis" and self.ENVIRONMENT != "local":
                raise ValueError("change SECRET_KEY")
            return self

    return Settings


def groups_of_settings(base: Any) -> Any:
    """Each group reads its own prefix, and the whole makes the groups."""

    class Logs(base):
        model_config = SettingsConfigDict(env_prefix="BX_LOGS_")
        level: int = 20

    class Storage(base):
        model_config = SettingsConfigDict(env_prefix="BX_STORAGE_")
        host: str = "db"
        password: SecretStr = SecretStr("")

        @computed_field
        @property
        def url(self) -> str:
            return f"postgresql://{self.host}/{self.password.get_secret_value()}"

    class Whole(base):
        model_config = SettingsConfigDict(env_prefix="BX_", env_nested_delimiter="__")
        logs: Logs = Field(default_factory=Logs)
        storage: Storage = Field(default_factory=Storage)

    return Whole


def many_mixins(base: Any) -> Any:
    """Dozens of small classes, one that inherits them all."""

    class Deployment(base):
        NAME: str = Field(default="app", description="Name")
        DEBUG: bool = False

    class Database(base):
        DB_HOST: str = "localhost"
        DB_PORT: PositiveInt = 5432
        DB_EXTRAS: str = ""

        @computed_field
        @property
        def DB_OPTIONS(self) -> dict[str, str]:  # noqa: N802 - as they write it
            return dict(pair.split("=") for pair in self.DB_EXTRAS.split(",") if pair)

    class Storage(base):
        KIND: Literal["local", "s3"] = "local"
        TIMEOUT: timedelta = timedelta(seconds=5)
        LIMIT: ByteSize = ByteSize(1024)

    class App(Deployment, Database, Storage):
        model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore")

    return App


def commas_in_the_environment(base: Any) -> Any:
    """A source of its own that splits lists, validators that read other fields, an assignable object."""

    class Commas(EnvSettingsSource):
        def prepare_field_value(self, field_name: str, field: Any, value: Any, value_is_complex: bool) -> Any:
            if field_name == "paths" and value:
                return value.split(",")
            return super().prepare_field_value(field_name, field, value, value_is_complex)

    class Flow(base):
        model_config = SettingsConfigDict(validate_assignment=True, extra="ignore", env_prefix="FLOW_")
        dev: bool = False
        config_dir: str | None = None
        database_url: str | None = None
        paths: list[str] = []

        @field_validator("config_dir", mode="before")
        @classmethod
        def folder(cls, value: Any) -> Any:
            return value or "/var/flow"

        @field_validator("database_url", mode="before")
        @classmethod
        def database(cls, value: Any, info: ValidationInfo) -> Any:
            return value or f"sqlite:///{info.data['config_dir']}/{'pre' if info.data['dev'] else 'db'}"

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: Any, init_settings: Any, **others: PydanticBaseSettingsSource
        ) -> tuple[Any, ...]:
            return init_settings, Commas(settings_cls)

    return Flow


def tracked_json(base: Any) -> Any:
    """A JSON file beside the environment, and a record of what was assigned."""

    class Config(base):
        model_config = SettingsConfigDict(json_file="c.json", extra="allow")
        _updated: set[str] = PrivateAttr(default_factory=set)
        workers: int = Field(10, ge=1, le=1000)
        features: dict[str, bool] = {"a": True}

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: Any, init_settings: Any, env_settings: Any, **others: Any
        ) -> tuple[Any, ...]:
            return env_settings, JsonConfigSettingsSource(settings_cls), init_settings

        def update(self, name: str, value: Any) -> None:
            self._updated.add(name)
            setattr(self, name, value)

    return Config


def address_of_parts(base: Any) -> Any:
    """A DSN that a validator builds unless it is given."""

    class Postgres(base):
        model_config = SettingsConfigDict(env_prefix="APP_", env_file=".env", extra="ignore")
        HOST: str = "localhost"
        PORT: str = "5432"
        NAME: str
        PASSWORD: SecretStr
        URL: PostgresDsn | None = None

        @field_validator("URL", mode="before")
        @classmethod
        def build(cls, url: Any, values: ValidationInfo) -> Any:
            return url or PostgresDsn.build(
                scheme="postgresql", host=values.data["HOST"], port=int(values.data["PORT"]), path=values.data["NAME"],
                password=values.data["PASSWORD"].get_secret_value(), username="u",
            )  # fmt: skip

    return Postgres


def yaml_and_partial_updates(base: Any) -> Any:
    """A YAML file, nested models that are updated in part."""

    class Model(BaseModel):
        name: str = "small"
        seconds: float = 5

    class Risk(base):
        model_config = SettingsConfigDict(
            env_prefix="RISK_", env_file=".env", env_nested_delimiter="__", nested_model_default_partial_update=True,
            yaml_file="c.yaml",
        )  # fmt: skip
        version: str = Field("1", description="The version.")
        model: Model = Model(name="large", seconds=9)
        fallback: Model | None = None

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: Any, init_settings: Any, env_settings: Any, dotenv_settings: Any, **others: Any
        ) -> tuple[Any, ...]:
            return init_settings, env_settings, dotenv_settings, YamlConfigSettingsSource(settings_cls)

    return Risk


def nulls_and_extras(base: Any) -> Any:
    """Text that means None, and keys that nobody declared."""

    class Loose(base):
        model_config = SettingsConfigDict(
            env_file=".env", extra="allow", env_ignore_empty=True, env_parse_none_str="null"
        )
        DB_DSN: PostgresDsn
        LIMIT: int | None = 5

    return Loose


def folders(base: Any) -> Any:
    """Paths below each other, made at first use."""

    class Places(base):
        home: Path = Field(default_factory=lambda: Path.cwd() / "home")
        data: Path = Field(default_factory=lambda values: values["home"] / "data")

        @cached_property
        def cache(self) -> Path:
            return self.data / "cache"

        @property
        def articles(self) -> Path:
            self.data.mkdir(parents=True, exist_ok=True)
            return self.data / "articles.db"

    return Places


class Level(StrEnum):
    LOW = "low"
    HIGH = "high"


def stages_and_old_names(base: Any) -> Any:
    """A file for each stage, old names beside new ones, lists that are no JSON."""

    class Staged(base):
        model_config = SettingsConfigDict(env_file=(".env", ".env.staging"), extra="ignore", frozen=True)
        level: Level = Field(Level.LOW, validation_alias=AliasChoices("LOG_LEVEL", "LEVEL"))
        allowed: tuple[IPv4Network, ...] = (IPv4Network("10.0.0.0/8"),)
        names: Annotated[list[str], NoDecode] = ["a"]

        @field_validator("names", mode="before")
        @classmethod
        def split(cls, value: Any) -> Any:
            return value.split(",") if isinstance(value, str) else value

    return Staged


SHAPES: dict[Declare, dict[str, str]] = {
    web_template: {
        "PROJECT_NAME": "P", "POSTGRES_SERVER": "db", "POSTGRES_USER": "u", "CORS": "https://a.test, https://b.test",
        "ENVIRONMENT": "staging", "SECRET_KEY": "s",
    },
    groups_of_settings: {"BX_LOGS_LEVEL": "10", "BX_STORAGE_PASSWORD": "p", "BX_STORAGE__HOST": "h"},
    many_mixins: {"DB_PORT": "1", "DB_EXTRAS": "a=1,b=2", "KIND": "s3", "TIMEOUT": "PT9S", "LIMIT": "2MB", "NAME": ""},
    commas_in_the_environment: {"FLOW_PATHS": "a,b", "FLOW_DEV": "1"},
    tracked_json: {"WORKERS": "20", "FEATURES": '{"b": false}'},
    address_of_parts: {"APP_NAME": "n", "APP_PASSWORD": "p", "APP_HOST": "h"},
    yaml_and_partial_updates: {"RISK_MODEL__SECONDS": "3", "RISK_FALLBACK__NAME": "f"},
    nulls_and_extras: {"DB_DSN": "postgresql://h/d", "LIMIT": "null"},
    folders: {"HOME": "/srv/elsewhere"},
    stages_and_old_names: {"LEVEL": "high", "ALLOWED": '["192.168.0.0/16"]', "NAMES": "x,y"},
}  # fmt: skip


@pytest.mark.parametrize("declare", SHAPES, ids=lambda declare: declare.__name__)
@pytest.mark.parametrize("set_", [True, False], ids=["with variables", "without"])
def test_the_same_on_both_bases(
    declare: Declare, set_: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("OTHER=1\nDEBUG=true\nAPP_PORT=99\nRISK_VERSION=2\nEXTRA=kept\n")
    (tmp_path / ".env.staging").write_text("LOG_LEVEL=low\n")
    (tmp_path / "c.json").write_text('{"workers": 3, "features": {"c": true}, "note": "extra"}')
    (tmp_path / "c.yaml").write_text("model: {name: from-yaml}\nfallback: {seconds: 1}\n")
    if declare is yaml_and_partial_updates:
        (tmp_path / ".env").write_text("RISK_VERSION=2\n")
    for name, text in SHAPES[declare].items() if set_ else ():
        monkeypatch.setenv(name, text)
    windsock.reload()
    before, after = declare(BaseSettings), declare(windsock.Settings)
    if declare is many_mixins:  # empty means unset: in the table of differences
        monkeypatch.delenv("NAME", raising=False)
        windsock.reload()
    try:
        wanted = before()
    except (ValueError, KeyError) as error:
        refused = error
    else:
        refused = None
    if refused is not None:  # what the sources must give is missing
        for make in (after, lambda: after.for_user("ann"), lambda: after.live().model_dump()):
            with pytest.raises(type(refused)) as raised:
                make()
            assert str(raised.value) == str(refused)
        return
    for got in (after(), after.for_user("ann"), after.live()):
        assert got.model_dump() == wanted.model_dump()
        assert got.model_dump(mode="json") == wanted.model_dump(mode="json")
        assert repr(got) == repr(wanted)
        assert got.model_fields_set == wanted.model_fields_set
        assert got.model_extra == wanted.model_extra
        assert copy.deepcopy(got).model_dump() == wanted.model_dump()


def test_what_is_assigned_is_tracked_as_before(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("{}")
    for base in (BaseSettings, windsock.Settings):
        config = tracked_json(base)()
        config.update("workers", 5)
        assert (config.workers, config._updated) == (5, {"workers"})


def test_a_cached_getter_gives_one_instance() -> None:
    @lru_cache
    def get_settings() -> Any:
        return folders(windsock.Settings)()

    assert get_settings() is get_settings()
    assert get_settings().cache == get_settings().data / "cache"
