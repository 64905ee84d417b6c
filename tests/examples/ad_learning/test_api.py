"""The ad learning service: a change through its API is what Python and the database's trigger go by."""

import asyncio
import json
import subprocess
import sys
from datetime import timedelta

import psycopg
import pytest
from examples.ad_learning.indexing import index_winners
from examples.ad_learning.main import create_app
from fastapi.testclient import TestClient
from openfeature import api as openfeature
from tests.examples.ad_learning.conftest import REPOSITORY, eventually_true
from tests.waiting import eventually

import windsock
from examples.ad_learning import config_loader
from windsock.api import Role, create_token
from windsock.flagfiles.formatting import formatted

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
def client(learning_file, database, connection, monkeypatch):
    monkeypatch.setenv("CONFIGURATION_API_WRITABLE", "true")
    token = create_token(connection, "ann", Role.ADMIN)
    with TestClient(create_app(database), headers={"Authorization": f"Bearer {token}"}) as client:
        yield client
    openfeature.shutdown()


@pytest.fixture
def other_service(learning_file):
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
    client, watching_mirror, connection, other_service
):
    assert other_service() == 0.03
    assert client.get("/winner", params=AD).json() == {"winner": True}
    assert client.put(PATH, json={"winner_detection": {"ctr_threshold": 0.05}}).status_code == 200
    assert client.get("/winner", params=AD).json() == {"winner": False}
    eventually(lambda: other_service() == 0.05)
    eventually_true(connection, "select get_winner_threshold('ctr_threshold') = 0.05")
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


def test_similar_winners_are_found(client, connection, database, embeddings):
    connection.execute(
        "insert into ads (ad_id, campaign_id, ctr, impressions, raw_data, created_at) values"
        """ ('sun', 'c', 0.1, 5000, '{"attributes": ["beach", "red"]}', now() - interval '2 days'),"""
        """ ('snow', 'c', 0.2, 5000, '{"attributes": ["mountain"]}', now() - interval '2 days')"""
    )

    async def index():
        async with await psycopg.AsyncConnection.connect(database) as own:
            await index_winners(own)

    asyncio.run(index())
    found = client.get("/winners/similar", params={"text": "mountain"}).json()
    assert [(each["ad_id"], each["ctr"], each["roas"]) for each in found] == [
        ("snow", 0.2, None),
        ("sun", 0.1, None),
    ]


def test_similar_winners_that_cannot_be_found_are_503_with_what_to_do(
    client, embeddings, monkeypatch, caplog
):
    embeddings.down = True
    answer = client.get("/winners/similar", params={"text": "mountain"})
    assert (answer.status_code, "the service's log says why" in answer.json()["detail"]) == (503, True)
    assert "similar winners cannot be found: " in caplog.text
    monkeypatch.setenv("OPENAI_API_KEY", "")
    answer = client.get("/winners/similar", params={"text": "mountain"})
    assert answer.status_code == 503
    assert "OPENAI_API_KEY is not set" in answer.json()["detail"]


def test_an_overriding_variable_is_named_in_the_answer_and_by_health(client, monkeypatch):
    monkeypatch.setenv("WINNER_CTR_THRESHOLD", "0.04")
    windsock.reload()
    answer = client.put(
        PATH, json={"winner_detection": {"ctr_threshold": 0.05, "roas_threshold": 5.0}}
    ).json()
    assert answer["shadowed"] == ["winner_detection.ctr_threshold"]
    assert answer["config"]["winner_detection"]["ctr_threshold"] == 0.04
    assert answer["config"]["winner_detection"]["roas_threshold"] == 5.0
    assert "learning.winner_detection" in client.get("/health").json()["shadowed"]


def test_the_file_stays_in_the_common_form(client, learning_file):
    before = learning_file.read_text().splitlines()
    client.put(PATH, json={"winner_detection": {"ctr_threshold": 0.05}})
    after = learning_file.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [(old.strip(), new.strip()) for old, new in changed] == [
        ('"ctr_threshold": 0.03,', '"ctr_threshold": 0.05,')
    ] * 3
    assert formatted(learning_file.read_bytes(), learning_file.name) == learning_file.read_bytes()
    assert json.loads(learning_file.read_text())["$schema"] == "https://flagd.dev/schema/v0/flags.json"
