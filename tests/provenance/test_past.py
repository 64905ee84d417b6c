"""The past, rebuilt from Git's files and the assignment history, equals what was logged."""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from tests.flagfiles import object_flag, write_flags
from tests.healing.conftest import anyio_backend, fresh_process, serve
from tests.healing.teachers import TYPO, Provider, StatusError, Teacher

import windsock
from windsock.flags import merge, read_document
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions
from windsock.provenance.past import History, Past, read_history
from windsock.usage import MemorySink, UsageOptions, UsageWriter
from windsock.usage.postgres import PostgresSink

__all__ = ["anyio_backend", "fresh_process", "serve"]

WINDSOCK = Path(sys.executable).parent / "windsock"
NOW = timedelta(0)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PATIENT = UsageOptions(flush_interval=20)  # a starved machine loses no row


@pytest.fixture
def sql(database):
    with psycopg.connect(database, autocommit=True) as connection:
        yield lambda statement, *values: connection.execute(statement, values or None)


@pytest.fixture
def users(sql):
    return [
        row[0]
        for row in sql(
            "insert into profiles (id) select gen_random_uuid() from generate_series(1, 100) returning id::text"
        )
    ]


def git_flags(epoch):
    """Git's part, another in every epoch: a base value, and an experiment over half of the users."""
    split = {"fractional": [["on", 50], ["off", 50]]}
    return {
        "teacher": object_flag({"base": {"retrieval_top_k": 10 + epoch}}, "base"),
        "teacher.experiment": object_flag({"off": {}, "on": {"temperature": epoch / 10}}, "off", split),
    }


def test_ten_thousand_logged_exposures_are_replayed(database, sql, users, tmp_path):
    folder = tmp_path / "flagd"
    mirror = Mirror(MirrorOptions(url=database, folder=folder, flags=("teacher",), max_shrink=1.0))
    memory = MemorySink()
    random_ = random.Random(7)
    flag_sets, configs = [], []
    for epoch in range(5):
        settings = json.dumps({"reasoning_model": f"model-{epoch}", "temperature": 0.5})
        ((config,),) = sql(
            "insert into app_configurations (name, settings) values (%s, %s::jsonb) returning id",
            f"c{epoch}",
            settings,
        ).fetchall()
        configs.append(config)
        for user in random_.sample(users, 40):
            sql("update profiles set config_id = %s where id = %s", random_.choice([*configs, None]), user)
        sql(
            "update app_configurations set settings = settings || %s::jsonb where id = %s",
            json.dumps({"retrieval_top_k": 50 + epoch}),
            configs[0],
        )
        mirror.once()
        path = folder / "git.flagd.json"
        write_flags(path, git_flags(epoch))
        windsock.start(flags=folder, usage=UsageWriter(memory, options=PATIENT))
        flag_sets.append((datetime.now(UTC), merge([read_document(path.read_bytes(), path.name)])))
        for _ in range(20):
            for user in users:
                with windsock.request():
                    teacher = Teacher.for_user(user)
                    teacher.model_dump(exclude={"api_key"})
        windsock.stop()
    assert len(memory.rows) == 10_000
    with psycopg.connect(database) as connection:
        past = Past(Teacher, flag_sets, read_history(connection, users), "production")
    assert [row for row in memory.rows if past.differences(row, lag=NOW)] == []

    # a log that somebody has touched is found out, whatever was touched
    row = next(row for row in memory.rows if row.config_id is not None)
    for corrupted in (
        replace(row, values_json=row.values_json.replace("model-", "modem-")),
        replace(row, config_id=None),
        replace(row, variant="none"),
        replace(row, requested_at=row.requested_at - timedelta(days=1)),
        replace(row, user_id="somebody else"),
        replace(row, values_json='{"temperature": 9.9}'),
    ):
        assert past.differences(corrupted, lag=NOW), corrupted


def test_rows_of_failed_requests_are_replayed_too(serve):
    memory, provider = MemorySink(), Provider()
    base = {"teacher": object_flag({"base": {"reasoning_model": TYPO, "temperature": 0.2}}, "base")}
    folder = serve(base, usage=memory)

    def call(settings):
        return settings.temperature, provider(settings)

    for down in (False, True):
        provider.down = down
        with windsock.request(), contextlib.suppress(StatusError):
            windsock.heal(Teacher.for_user("ann"), call)
    with windsock.request(), contextlib.suppress(StatusError):  # down at first, and back at the next attempt
        teacher = Teacher.for_user("ann")
        try:
            windsock.heal(teacher, call)
        except StatusError:
            provider.down = False
            windsock.heal(teacher, call)
    windsock.stop()
    flags = read_document((folder / "test.flagd.json").read_bytes(), "test.flagd.json")
    past = Past(Teacher, [(NOON, merge([flags]))], History({}, {}), "production")
    assert [sorted(each["field"] for each in row.healed) for row in memory.rows] == [
        ["reasoning_model"],
        [],
        ["reasoning_model", "temperature"],
    ]
    assert [past.differences(row) for row in memory.rows] == [[], [], []]
    forged = replace(memory.rows[2], healed_json="[]")
    assert len(past.differences(forged)) == 2


def git(folder, *arguments, **variables):
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        env={**os.environ, **variables},
    )


@pytest.mark.parametrize("shards", [1, 8])
def test_the_command_tells_the_past_and_checks_it_against_the_log(database, sql, users, tmp_path, shards):
    git(tmp_path, "init", "-q")
    path = tmp_path / "flagd/teacher.flagd.json"
    write_flags(path, {"teacher": object_flag({"base": {"retrieval_top_k": 11}}, "base")})
    git(tmp_path, "add", "flagd/teacher.flagd.json")
    earlier = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    git(tmp_path, "commit", "-qm", "one", GIT_COMMITTER_DATE=earlier, GIT_AUTHOR_DATE=earlier)
    ((config,),) = sql("select id::text from app_configurations where name = 'experimental_v1'").fetchall()
    sql("update profiles set config_id = %s where id = %s", config, users[0])
    folder = tmp_path / "flagd"
    Mirror(MirrorOptions(url=database, folder=folder / "mirror", flags=("teacher",), shards=shards)).once()
    assert len(list((folder / "mirror").glob("profiles*.flagd.json"))) == shards
    windsock.start(flags=folder, usage=PostgresSink(database))
    with windsock.request():
        assert Teacher.for_user(users[0]).reasoning_model == "gpt-4o"
    windsock.stop()
    then = datetime.now(UTC)
    time.sleep(1.1)  # a commit's time has whole seconds
    sql("update app_configurations set settings = '{}' where id = %s", config)
    write_flags(path, {"teacher": object_flag({"base": {"retrieval_top_k": 12}}, "base")})
    git(tmp_path, "commit", "-qam", "two")

    def explain(*arguments):
        done = subprocess.run(
            [
                WINDSOCK,
                "explain",
                "teacher",
                "--user",
                users[0],
                "--settings",
                "tests.healing.teachers:Teacher",
                *arguments,
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "DATABASE_URL": database},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    data = json.loads(explain("--at", f"{then:%Y-%m-%dT%H:%M:%S.%fZ}", "--json"))
    values = {each["field"]: (each["value"], each["layer"]) for each in data["fields"]}
    assert values["reasoning_model"] == ("gpt-4o", "profile")
    assert values["retrieval_top_k"] == (25, "profile")
    assert data["log"][0].endswith("equal")
    now = explain()
    assert "(over base)" in now
    assert "rule of teacher" in now
    present = {each["field"]: each for each in json.loads(explain("--json"))["fields"]}
    assert (present["retrieval_top_k"]["value"], present["retrieval_top_k"]["layer"]) == (25, "profile")
    assert present["retrieval_top_k"]["config_id"] == config
    assert json.loads(explain("--user", users[1], "--json"))["fields"][0]["layer"] == "base"
    sql('update usage_logs set values = \'{"reasoning_model": "o1"}\'')
    told = explain("--at", f"{then:%Y-%m-%dT%H:%M:%S.%fZ}")
    assert "differs" in told
    assert 'reasoning_model: logged "o1", must have been "gpt-4o"' in told


def test_the_history_never_blocks_a_sign_up(database, sql):
    sql("drop table windsock.assignment_history cascade")
    sql("insert into profiles (id, config_id) select gen_random_uuid(), id from app_configurations")
    assert sql("select count(*) from profiles").fetchone() == (1,)
