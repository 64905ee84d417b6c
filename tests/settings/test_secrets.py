"""A secret is shown nowhere, however deep in a type it stands and whatever becomes of its value."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, Secret, SecretBytes, SecretStr, field_validator
from tests.flagfiles import object_flag

import windsock
from windsock.settings.place import fingerprint
from windsock.settings.process import process
from windsock.text import MASK

SECRET = "s3cret-value"
Serve = Callable[..., Path]


class Login(BaseModel):
    name: str = "ada"
    password: SecretStr = SecretStr("hunter2")


class Vault(windsock.Settings, flag="vault"):
    token: SecretStr = SecretStr("hunter2")
    key: SecretBytes = SecretBytes(b"hunter2")
    perhaps: SecretStr | None = None
    several: list[SecretStr] = []
    login: Login = Login()
    numbered: Secret[str] | None = None
    open: str = "hello"

    @field_validator("open")
    @classmethod
    def lower(cls, text: str) -> str:
        if text != text.lower():
            raise ValueError("must be lower case")
        return text


SECRETS = ("token", "key", "perhaps", "several", "login", "numbered")


@pytest.fixture
def withdraw() -> Iterator[Callable[..., None]]:
    yield process.withdraw
    process.withdraw({})


@pytest.mark.parametrize("name", SECRETS)
def test_a_value_that_is_refused(name: str, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    serve({"vault": object_flag({"base": {name: {"password": [SECRET]}}}, "base")})
    explained = windsock.explain(Vault.live())
    assert explained.refused
    assert SECRET not in str(explained) + repr(explained.to_dict()) + caplog.text
    assert "the field is secret" in caplog.text


def test_which_fields_are_secret(serve: Serve) -> None:
    serve({"vault": object_flag({"base": {"login": {"password": SECRET}}}, "base")})
    shown = {each.field: each.value for each in windsock.explain(Vault.live()).fields}
    assert shown == {
        "token": MASK, "key": MASK, "perhaps": MASK, "several": MASK,
        "login.name": MASK, "login.password": MASK, "numbered": MASK, "open": "hello",
    }  # fmt: skip
    declaration = Vault.__windsock__.declaration
    assert declaration.secrets == set(SECRETS)
    assert declaration.shown({"login": {"password": SECRET}, "open": "x"}) == {"login": MASK, "open": "x"}


@pytest.mark.parametrize(("name", "value"), [("token", SECRET), ("login", {"password": SECRET})])
def test_a_value_that_is_withdrawn(
    name: str, value: object, serve: Serve, withdraw: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    serve({"vault": object_flag({"base": {name: value, "open": "there"}}, "base")})
    withdraw({("vault", "base", name): fingerprint(value)})
    vault = Vault.live()
    assert SECRET not in repr(vault.model_dump())
    assert vault.open == "there"
    assert f"Vault.{name}: base vault/base gives" in caplog.text
    assert SECRET not in caplog.text


def test_a_variable_that_cannot_be_read(
    setenv: Callable[[str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    setenv("VAULT_LOGIN", '{"password": "' + SECRET)
    assert Vault.live().login == Login()
    assert "VAULT_LOGIN cannot be read for Vault.login" in caplog.text
    assert SECRET not in caplog.text


def test_a_refusal_is_logged_once_however_often_settings_are_resolved(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    serve({"vault": object_flag({"base": {"open": "SHOUTED"}}, "base")})
    for _ in range(3):
        assert Vault.for_user("ann").open == "hello"
        windsock.reload()
    assert caplog.text.count("must be lower case") == 1
