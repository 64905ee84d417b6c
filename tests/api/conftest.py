"""A service with the configuration API, on a folder and a database of the test's own."""

import json
import logging

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from openfeature import api as openfeature
from pydantic import BaseModel, Field, SecretStr, model_validator

import windsock
from windsock.api import Api, Role, configuration_router, create_token

PATH = "/api/config/thing"


class Limits(BaseModel):
    low: int = Field(1, ge=0)
    high: int = 10

    @model_validator(mode="after")
    def ordered(self):
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self


class Thing(windsock.Settings, flag="thing"):
    threshold: float = Field(0.5, ge=0, le=1)
    name: str = "it"
    count: int = Field(1, validation_alias="THING_COUNTER")
    limits: Limits = Limits()
    channels: list[str] = ["mail"]
    extra: dict[str, object] = {}
    groups: dict[str, list[str]] = {}
    token: SecretStr = SecretStr("hunter2")

    @model_validator(mode="after")
    def named(self):
        if self.name == "quoted":
            raise ValueError(f"name may not be quoted beside {self.token.get_secret_value()} or {self.extra}")
        return self


def document():
    base = {"threshold": 0.5, "name": "it", "count": 1, "limits": {"low": 1, "high": 10}}
    return {
        "flags": {
            "thing": {
                "state": "ENABLED",
                "variants": {
                    "production": base,
                    "development": base | {"limits": {"low": 5, "high": 10}},
                    "staging": base,
                },
                "defaultVariant": "production",
                "targeting": {
                    "if": [
                        {"==": [{"var": "environment"}, "development"]},
                        "development",
                        {"==": [{"var": "environment"}, "staging"]},
                        "staging",
                    ]
                },
            },
            "other": {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"},
        },
        "metadata": {"bucketing": "v2"},
    }


@pytest.fixture
def flag_file(tmp_path):
    folder = tmp_path / "flagd"
    folder.mkdir()
    path = folder / "thing.flagd.json"
    path.write_text(json.dumps(document()))
    return path


@pytest.fixture(scope="session")
def shared_database(postgres, migrated_template):
    """One database for all tests of the API: making one takes longer than most of them."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"create database api_tests template {migrated_template}")
    return postgres.database_url("api_tests")


@pytest.fixture
def database(shared_database):
    """Its connection string; no token and no audit row is in it."""
    with psycopg.connect(shared_database, autocommit=True) as connection:
        connection.execute("truncate windsock.api_tokens, windsock.configuration_audit")
    return shared_database


@pytest.fixture(scope="session")
def api_role(shared_database):
    """A login with the rights of `windsock_api`, and no others."""
    with psycopg.connect(shared_database, autocommit=True) as connection:
        connection.execute("create role api_service login in role windsock_api")
    return "api_service"


@pytest.fixture
def api_database(database, api_role):
    """The database as the API connects to it."""
    return f"{database}&user={api_role}"


@pytest.fixture
def connection(database):
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def tokens(connection):
    return {role: create_token(connection, f"the {role}", role) for role in Role}


@pytest.fixture
def app(flag_file, api_database):
    app = FastAPI()
    app.include_router(configuration_router(Api(Thing, flag_file, api_database, PATH)))
    return app


@pytest.fixture
def client(*, app, flag_file, tokens, monkeypatch, tmp_path, caplog):
    """An administrator's client of a service where writing is switched on."""
    monkeypatch.chdir(tmp_path)
    for name in ("ENVIRONMENT", "DATABASE_URL", "THING_COUNTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CONFIGURATION_API_WRITABLE", "true")
    caplog.set_level(logging.INFO, logger="windsock.api")
    windsock.start(flags=flag_file.parent)
    with TestClient(app, headers={"Authorization": f"Bearer {tokens[Role.ADMIN]}"}) as client:
        yield client
    windsock.stop()
    openfeature.shutdown()


@pytest.fixture
def audit(connection):
    """The rows of the audit, oldest first, as mappings."""

    def audit():
        cursor = connection.cursor(row_factory=psycopg.rows.dict_row)
        return cursor.execute("select * from windsock.configuration_audit order by id").fetchall()

    return audit
