"""A database's URL that can't be read is refused wherever it is taken, and nothing of it is said."""

from pathlib import Path

import pytest

import windsock
from windsock.api import Api, configuration_router
from windsock.console import Console, application
from windsock.errors import ConfigurationError
from windsock.experiments.data.warehouse import open_postgres
from windsock.mirror.fitness import open_connection
from windsock.postgres.connection import KeptConnection
from windsock.postgres.migrations import connect
from windsock.postgres.urls import check_url
from windsock.usage.postgres import PostgresSink

PASSWORD = "s3cret-word"


class Guarded(windsock.Settings, flag="guarded_urls"):
    top_k: int = 3


TAKERS = {
    "migrate": connect,
    "mirror": open_connection,
    "usage": PostgresSink,
    "faults": lambda url: KeptConnection(url, "name", "purpose"),
    "experiments": open_postgres,
    "api": lambda url: configuration_router(Api(Guarded, Path("a.flagd.json"), url, "/config")),
    "console": lambda url: application(Console((Guarded,), Path("flagd"), url)),
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:{PASSWORD}%@host/db",
        f"postgresql://ann:a@{PASSWORD}@host/db",
        f"postgresql://ann:9999/{PASSWORD}@host/db",
        f"postgresql://ann:{PASSWORD}/x",
        f"ann:{PASSWORD}@host/db",
        f"postgresql+asyncpg://ann:{PASSWORD}@host/db",
        f"postgresql://ann:{PASSWORD}\udce9@host/db",  # a variable's byte that isn't UTF-8
        f"postgresql://ann:{PASSWORD}%e9@host/db",  # the same, percent-encoded
        f"postgresql://ann:{PASSWORD}@host/db?application_name=%ff",
    ],
)
def test_it_is_refused_without_a_word_of_it(taker, url):
    with pytest.raises(ConfigurationError, match="the database's URL can't be read") as refused:
        TAKERS[taker](url)
    assert PASSWORD not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:pass@host:5432/db",
        "postgresql://ann:p%40ss%25@host/db?sslmode=require",
        "postgresql://a,b:1,c:2/db?target_session_attrs=any",
        "postgresql:///db?host=/var/run/postgresql",
        "postgresql://",
        "host=/tmp dbname=db password='p@ss w%rd'",
        "service=production",
    ],
)
def test_what_libpq_reads_is_taken(url):
    check_url(url)
