"""Winners are indexed through a real embeddings client and found by likeness, with pgvector and without."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import openai
import psycopg
import pytest
from examples.ad_learning.indexing import find_similar, index_winners
from psycopg import sql
from tests.examples.ad_learning.conftest import REPOSITORY
from tests.waiting import eventually

from windsock.errors import ConfigurationError
from windsock.postgres.migrations import read_migrations

pytestmark = pytest.mark.usefixtures("served")

WORDS = {"sun": "beach red", "sea": "beach blue", "snow": "mountain white", "city": "night neon"}


@pytest.fixture
def database(database, request):
    """The database; with the parameter "table" it is one of a server on which pgvector may not be had."""
    kind = getattr(request, "param", None)
    if kind == "table":
        without_vector(database)
    elif kind == "vector":
        with psycopg.connect(database) as connection:
            if connection.execute("select from pg_extension where extname = 'vector'").fetchone() is None:
                pytest.skip("this PostgreSQL server has no pgvector")
    return database


def without_vector(database):
    """Make the index anew as a role that may not create an extension."""
    (migration,) = [
        each
        for each in read_migrations(REPOSITORY / "examples/ad_learning/migrations")
        if each.name == "ad_learning_index"
    ]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("drop table winner_index")
        connection.execute("drop extension if exists vector cascade")
        connection.execute("drop function nearest_winners")
        role = sql.Identifier(f"limited_{connection.info.dbname}")
        connection.execute(sql.SQL("create role {}").format(role))
        connection.execute(sql.SQL("grant create, usage on schema public to {}").format(role))
        connection.execute(sql.SQL("grant references on ads to {}").format(role))
        connection.execute(sql.SQL("set role {}").format(role))
        for statement in migration.texts:
            connection.execute(statement.encode())
        connection.execute("reset role")
        connection.execute(sql.SQL("reassign owned by {} to current_user").format(role))
        connection.execute(sql.SQL("drop owned by {}").format(role))
        connection.execute(sql.SQL("drop role {}").format(role))


both_kinds = pytest.mark.parametrize("database", ["vector", "table"], indirect=True)


@pytest.fixture
def winners(connection):
    """Four ads with attributes, all of them queued."""
    for ad_id, words in WORDS.items():
        connection.execute(
            "insert into ads (ad_id, campaign_id, ctr, impressions, raw_data, created_at)"
            " values (%s, 'c', 0.1, 5000, %s::jsonb, now() - interval '2 days')",
            [ad_id, json.dumps({"attributes": words.split(), "roas": 4.5})],
        )
    return list(WORDS)


def run(database, work, *arguments):
    async def connected():
        async with await psycopg.AsyncConnection.connect(database) as connection:
            return await work(connection, *arguments)

    return asyncio.run(connected())


def jobs(connection):
    query = "select payload ->> 'ad_id', status, attempts, error from pending_jobs order by id"
    return connection.execute(query).fetchall()


def type_of_embedding(connection):
    query = "select format_type(atttypid, -1) from pg_attribute where attrelid = 'winner_index'::regclass and attname = 'embedding'"
    return connection.execute(query).fetchone()[0]


@both_kinds
def test_winners_are_found_by_likeness(database, connection, winners, embeddings, request):
    kind = {"vector": "vector", "table": "double precision[]"}[request.node.callspec.params["database"]]
    assert type_of_embedding(connection) == kind
    assert run(database, index_winners) == {"status": "completed", "rows": 4, "failed": 0}
    assert len(embeddings.served) == 1, "one call for the whole batch"
    found = run(database, find_similar, "c beach red")
    assert [each.ad_id for each in found][:2] == ["sun", "sea"]
    assert [round(each.likeness, 4) for each in found] == [1.0, 0.6667, 0.3333, 0.3333]
    assert (found[0].ctr, found[0].roas) == (0.1, 4.5)


@both_kinds
def test_a_place_without_a_length_is_like_nothing(database, connection, winners, embeddings):
    run(database, index_winners)
    connection.execute(
        "update winner_index set embedding = array_fill(0::float8, array[256]) where ad_id = 'sun'"
    )
    found = run(database, find_similar, "c beach red")
    assert [each.ad_id for each in found] == ["sea", "city", "snow", "sun"]
    assert found[-1].likeness is None


@both_kinds
def test_another_model_or_dimension_embeds_all_winners_again_and_apart(
    database, connection, winners, embeddings, configure
):
    run(database, index_winners)
    embeddings.embeddings["another-model"] = 64
    configure("rag_indexing", embedding_model="another-model", embedding_dimension=64, batch_size=3)
    assert run(database, find_similar, "c beach red") == []
    assert [run(database, index_winners)["rows"] for _ in range(3)] == [3, 1, 0]
    assert run(database, find_similar, "c beach red")[0].ad_id == "sun"
    query = "select distinct model, dimension from winner_index"
    assert connection.execute(query).fetchall() == [("another-model", 64)]


def test_the_feature_flag_stops_it(database, connection, winners, embeddings, configure):
    configure("feature_flags", rag_auto_indexing=False)
    assert run(database, index_winners)["status"] == "disabled"
    assert {job[1] for job in jobs(connection)} == {"pending"}
    assert embeddings.served == []


def test_two_workers_index_each_winner_once(database, connection, winners, embeddings, configure):
    configure("rag_indexing", batch_size=2)

    async def both(first):
        async with await psycopg.AsyncConnection.connect(database) as second:
            return await asyncio.gather(index_winners(first), index_winners(second))

    assert [result["rows"] for result in run(database, both)] == [2, 2]
    assert {job[1:3] for job in jobs(connection)} == {("done", 1)}


def test_how_many_are_found_is_configured(database, connection, winners, embeddings, configure):
    run(database, index_winners)
    configure("rag_indexing", similar_winners=2)
    assert len(run(database, find_similar, "c beach red")) == 2


@pytest.mark.usefixtures("winners", "embeddings")
def test_a_model_that_does_not_exist_is_healed_by_the_layer_below(database, connection, configure, caplog):
    configure("rag_indexing", embedding_model="no-such-model")
    assert run(database, index_winners)["rows"] == 4
    assert "no-such-model" in caplog.text
    assert connection.execute("select distinct model from winner_index").fetchall() == [
        ("text-embedding-3-small",)
    ]


def test_a_text_that_the_model_refuses_fails_alone_after_the_configured_attempts(
    database, connection, winners, embeddings, configure
):
    configure("rag_indexing", max_attempts=2)
    words = json.dumps({"attributes": ["snow"] * 9000})
    connection.execute("update ads set raw_data = raw_data || %s::jsonb where ad_id = 'snow'", [words])
    assert run(database, index_winners) == {"status": "completed", "rows": 3, "failed": 1}
    assert [job[:3] for job in jobs(connection) if job[1] != "done"] == [("snow", "pending", 1)]
    assert run(database, index_winners) == {"status": "completed", "rows": 0, "failed": 1}
    ((*job, error),) = [job for job in jobs(connection) if job[1] != "done"]
    assert job == ["snow", "failed", 2]
    assert "maximum context length" in error
    assert run(database, index_winners) == {"status": "completed", "rows": 0, "failed": 0}


def test_an_outage_uses_up_no_attempt(database, connection, winners, embeddings):
    embeddings.down = True
    with pytest.raises(openai.InternalServerError):
        run(database, index_winners)
    assert {job[1:] for job in jobs(connection)} == {("pending", 0, None)}
    embeddings.down = False
    assert run(database, index_winners)["rows"] == 4


@pytest.mark.usefixtures("winners")
def test_while_somebody_waits_the_client_does_not_ask_again(database, embeddings, configure):
    embeddings.down = True
    asked = {}
    for retries in (0, 1):
        configure("rag_indexing", model_retries=retries)
        for work, *arguments in ((index_winners,), (find_similar, "beach")):
            embeddings.served.clear()
            with pytest.raises(openai.InternalServerError):
                run(database, work, *arguments)
            asked[work, retries] = len(embeddings.served)
    assert asked[index_winners, 1] == 2 * asked[index_winners, 0]
    assert asked[find_similar, 1] == asked[find_similar, 0] > 0


@pytest.mark.usefixtures("winners", "embeddings")
def test_a_model_that_never_answers_is_waited_for_as_long_as_is_set(
    database, connection, silent, configure, monkeypatch
):
    monkeypatch.setenv("OPENAI_BASE_URL", silent)
    configure("rag_indexing", model_seconds=0.2, model_retries=0)
    with pytest.raises(openai.APITimeoutError):
        run(database, index_winners)
    assert {job[1:] for job in jobs(connection)} == {("pending", 0, None)}
    configure("workers", request_seconds=0.1)
    with pytest.raises(openai.APITimeoutError):
        run(database, find_similar, "beach")


def test_without_a_key_the_error_names_the_variable(database, winners, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY is not set"):
        run(database, index_winners)


def test_a_worker_indexes_what_is_queued_while_it_runs(database, connection, winners, embeddings, configure):
    configure("rag_indexing", poll_interval_seconds=0.05)
    program = subprocess.Popen(
        [sys.executable, "-m", "examples.ad_learning.rag_worker"],
        cwd=REPOSITORY,
        env=os.environ | {"DATABASE_URL": database},
        stderr=subprocess.PIPE,
        text=True,
    )

    def indexed():
        return connection.execute("select count(*) from winner_index").fetchone()[0]

    with program:
        eventually(lambda: indexed() == 4)
        connection.execute(
            "insert into ads (ad_id, campaign_id, ctr, impressions, created_at)"
            " values ('later', 'c', 0.1, 5000, now() - interval '2 days')"
        )
        eventually(lambda: indexed() == 5)
        program.send_signal(signal.SIGTERM)
        said = program.communicate(timeout=30)[1]
    assert program.returncode == 0, said
    assert "Indexed 4 winners" in said
