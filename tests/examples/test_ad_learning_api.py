"""The ad learning service: a change through its API is what Python and the database's trigger go by."""

import json
import shutil
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from examples.ad_learning import config_loader
from examples.ad_learning.main import create_app
from fastapi.testclient import TestClient
from openfeature import api as openfeature

import windsock
from windsock.api import Role, create_token
from windsock.migrations import find_folder, migrate, read_migrations
from windsock.mirror.loop import Mirror, Options

REPOSITORY = Path(__file__).parents[2]
PATH = "/api/config/learning"
AD = {"ctr": 0.04, "roas": 1.0, "hours_live": 24, "impressions": 1000}

OTHER_SERVICE = """
import sys
from examples.ad_learning import config_loader
config_loader.start()
for line in sys.stdin:
    print(config_loader.get_winner_thresholds()["ctr_threshold"], flush=True)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("ENVIRONMENT", "DATABASE_URL", "WINNER_CTR_THRESHOLD"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "flagd"
    folder.mkdir()
    shutil.copy(REPOSITORY / "flagd/learning.flagd.json", folder)
    monkeypatch.setenv("LEARNING_CONFIG_PATH", str(folder))
    monkeypatch.setenv("CONFIGURATION_API_WRITABLE", "true")
    return folder


@pytest.fixture
def connection(database):
    with psycopg.connect(database, autocommit=True) as connection:
        own = read_migrations(REPOSITORY / "examples/ad_learning/migrations")
        migrate(connection, [*read_migrations(find_folder()), *own])
        yield connection


@pytest.fixture
def client(folder, database, connection):
    token = create_token(connection, "ann", Role.ADMIN)
    with TestClient(create_app(database), headers={"Authorization": f"Bearer {token}"}) as client:
        yield client
    openfeature.shutdown()


@pytest.fixture
def mirror(folder, database, tmp_path, connection):
    """The mirror at work in a thread."""
    options = Options(
        url=database,
        folder=tmp_path / "mirror",
        flags=("learning",),
        learning_config="learning",
        git_folder=folder,
    )
    stop = threading.Event()
    thread = threading.Thread(target=Mirror(options).watch, args=[stop])
    thread.start()
    until(lambda: rows(connection).get("winner_detection", (None, None))[1] is not None)
    yield
    stop.set()
    thread.join(timeout=30)


@pytest.fixture
def other_service(folder):
    """Another process of the system, asked for its click threshold."""
    program = subprocess.Popen(
        [sys.executable, "-c", OTHER_SERVICE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )

    def ask():
        program.stdin.write("?\n")
        program.stdin.flush()
        return float(program.stdout.readline())

    with program:
        yield ask
        program.stdin.close()


def rows(connection):
    found = connection.execute("select key, value, revision from learning_config")
    return {key: (value, revision) for key, value, revision in found}


def until(condition, seconds=10):
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.01)
    return time.monotonic() - began


def test_the_documents_shapes(client):
    config = client.get(PATH).json()
    assert config.pop("environments") == {
        "development": {
            "self_learning_cycle": {"interval_seconds": 60},
            "safe_executor": {"poll_interval_ms": 1000},
        },
        "staging": {"self_learning_cycle": {"interval_seconds": 900}},
    }
    assert config == config_loader.get_learning_config()
    answer = client.put(PATH, json={"winner_detection": {"roas_threshold": 4.0}}).json()
    assert answer["status"] == "updated"
    assert answer["config"]["winner_detection"] == config["winner_detection"] | {"roas_threshold": 4.0}
    answer = client.post(f"{PATH}/reload").json()
    assert (answer["status"], answer["config"]) == ("reloaded", client.get(PATH).json())


def test_a_threshold_changed_at_run_time_reaches_every_process_and_the_trigger(
    client, mirror, connection, other_service
):
    assert other_service() == 0.03
    assert client.get("/winner", params=AD).json() == {"winner": True}
    assert client.put(PATH, json={"winner_detection": {"ctr_threshold": 0.05}}).status_code == 200
    assert client.get("/winner", params=AD).json() == {"winner": False}
    assert until(lambda: other_service() == 0.05) < 2  # tens of milliseconds on a machine at rest
    in_sql = "select get_winner_threshold('ctr_threshold')::float8"
    assert until(lambda: connection.execute(in_sql).fetchone() == (0.05,)) < 4
    for ad_id, ctr in (("below", 0.04), ("above", 0.06)):
        connection.execute(
            "insert into ads (ad_id, campaign_id, ctr, impressions, created_at) values (%s, 'c', %s, 1000, now() - %s)",
            [ad_id, ctr, timedelta(hours=25)],
        )
    (queued,) = connection.execute("select array_agg(payload ->> 'ad_id') from pending_jobs").fetchone()
    assert queued == ["above"]


@pytest.mark.parametrize(
    ("environment", "interval", "poll"), [("development", 30, 500), ("staging", 900, 5000)]
)
def test_faster_cycles_for_development_alone(client, monkeypatch, environment, interval, poll):
    faster = {
        "self_learning_cycle": {"interval_seconds": 30},
        "safe_executor": {"poll_interval_ms": 500},
    }
    answer = client.put(PATH, json={"environments": {"development": faster}})
    assert answer.json()["config"]["self_learning_cycle"]["interval_seconds"] == 3600
    windsock.stop()
    monkeypatch.setenv("ENVIRONMENT", environment)
    config_loader.start()
    assert config_loader.get_learning_cycle_config()["interval_seconds"] == interval
    assert config_loader.get_learning_config()["safe_executor"]["poll_interval_ms"] == poll


def test_a_variable_that_stands_above_is_named_in_the_answer_and_by_health(client, monkeypatch):
    monkeypatch.setenv("WINNER_CTR_THRESHOLD", "0.04")
    windsock.reload()
    answer = client.put(
        PATH, json={"winner_detection": {"ctr_threshold": 0.05, "roas_threshold": 5.0}}
    ).json()
    assert answer["shadowed"] == ["winner_detection.ctr_threshold"]
    assert answer["config"]["winner_detection"]["ctr_threshold"] == 0.04
    assert answer["config"]["winner_detection"]["roas_threshold"] == 5.0
    assert "learning.winner_detection" in client.get("/health").json()["shadowed"]


def test_the_file_stays_in_the_common_form(client, folder):
    path = folder / "learning.flagd.json"
    before = path.read_text().splitlines()
    client.put(PATH, json={"winner_detection": {"ctr_threshold": 0.05}})
    after = path.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [(old.strip(), new.strip()) for old, new in changed] == [
        ('"ctr_threshold": 0.03,', '"ctr_threshold": 0.05,')
    ] * 3
    assert json.loads(path.read_text())["$schema"] == "https://flagd.dev/schema/v0/flags.json"
