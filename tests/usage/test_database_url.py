"""`DATABASE_URL` may be meant for something else: it never keeps a service from starting, and no password is shown."""

import logging
from pathlib import Path

import pytest

import windsock
from windsock.errors import ConfigurationError
from windsock.usage.request import installed

SECRET = "s3cret%word"
FOREIGN = [
    f"postgresql+asyncpg://app:{SECRET}@db/app",
    f"sqlite:///{SECRET}.db",
    f"mysql://app:{SECRET}@db/app",
    f"app:{SECRET}@db/app",
]


@pytest.fixture(autouse=True)
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    yield
    windsock.stop()


@pytest.mark.parametrize("url", FOREIGN)
def test_a_url_that_is_not_postgresqls_is_one_warning_and_no_usage(
    url, monkeypatch, tmp_path, caplog
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with caplog.at_level(logging.WARNING, "windsock"):
        windsock.start(flags=tmp_path)
    told = [record.getMessage() for record in caplog.records if "DATABASE_URL" in record.getMessage()]
    assert len(told) == 1
    assert "not a PostgreSQL URL" in told[0]
    assert SECRET not in caplog.text
    assert installed() is None
    assert windsock.health().usage is None


@pytest.mark.parametrize("password", [f"{SECRET}%", "s3cret\udce9", "s3cret%e9"])
def test_one_that_cannot_be_read_is_one_warning_and_no_usage(password, monkeypatch, tmp_path, caplog) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://app:{password}@db/app")
    windsock.start(flags=tmp_path)
    (told,) = [record.getMessage() for record in caplog.records if "DATABASE_URL" in record.getMessage()]
    assert "can't be read" in told
    assert "s3cret" not in caplog.text
    assert installed() is None


@pytest.mark.parametrize("url", FOREIGN)
def test_the_same_passed_on_purpose_is_an_error_without_the_password(url, tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="not a PostgreSQL URL") as raised:
        windsock.start(flags=tmp_path, usage=url)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("usage", [True, 3, b"postgresql://app:s3cret@localhost/app"])
def test_what_cannot_store_usage_is_an_error(usage, tmp_path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"not a PostgreSQL URL; .* or pass a sink or False"
    ) as raised:
        windsock.start(flags=tmp_path, usage=usage)
    assert "s3cret" not in str(raised.value)
    assert installed() is None


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_usage_can_be_switched_off(how, monkeypatch, tmp_path, caplog) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@localhost:1/app")
    if how == "variable":
        monkeypatch.setenv("WINDSOCK_USAGE", "off")
    windsock.start(flags=tmp_path, usage=False if how == "argument" else None)
    assert installed() is None
    assert "DATABASE_URL" not in caplog.text


@pytest.mark.parametrize("url", ["postgres://app@localhost:1/app", "host=localhost port=1 dbname=app"])
def test_what_libpq_reads_is_used(url, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    windsock.start(flags=tmp_path)
    assert installed() is not None
