"""Each part of the system has a role in the database: with it the part does its work, and nothing else."""

import asyncio
import json

import psycopg
import pytest
from celery import Celery
from examples.ad_learning.ad_platform_endpoint import AdPlatformEndpoint
from examples.ad_learning.indexing import index_winners
from examples.ad_learning.main import create_app
from examples.ad_learning.safe_executor import Outcome, SafeExecutor
from examples.ad_learning.self_learning_orchestrator import SelfLearningOrchestrator
from fastapi.testclient import TestClient
from openfeature import api as openfeature
from psycopg.errors import InsufficientPrivilege

from windsock.api import Role, create_token

PATH = "/api/config/learning"
A_JOB = "insert into pending_jobs (job_type, payload) values ('budget_change', '{}')"
FORBIDDEN_TO_ALL = (
    "create table public.mine ()",
    "select settings from app_configurations",
    "select token_sha256 from windsock.api_tokens",
    "update learning_config set value = '{}'",
    "delete from ads",
    "delete from pending_jobs",
)
FORBIDDEN = {
    "api": (
        "update ads set ctr = 1",
        A_JOB,
        "delete from windsock.configuration_audit",
        "select * from executor_actions",
    ),
    "learner": (
        "insert into executor_actions (job_id) values (1)",
        "update pending_jobs set payload = '{}'",
        "update ads set campaign_id = 'another'",
        "select * from windsock.configuration_audit",
    ),
    "indexer": (A_JOB, "update ads set ctr = 1", "select * from executor_actions"),
    "executor": (
        A_JOB,
        "delete from executor_actions",
        "update executor_actions set executed_at = now() - interval '1 day'",
        "update pending_jobs set payload = '{}'",
        "select raw_data from ads",
        "select * from learning_config",
    ),
    "celery": ("select * from ads", "select * from learning_config"),
}


@pytest.fixture
def login(database, connection):
    """Give the connection string of a part's own role."""

    def login(part):
        role = f"ad_learning_{part}"
        connection.execute(f"alter role {role} login")
        return f"{database}&user={role}"

    return login


@pytest.fixture
def platform(monkeypatch):
    counts = {"impressions": "2000", "clicks": "100", "spend": "50.00"}
    revenue = [{"action_type": "purchase", "value": "200.00"}]
    insights = [{"ad_id": "good", **counts, "action_values": revenue}]
    with AdPlatformEndpoint({"c": 10_000}, insights=insights) as platform:
        for name, value in platform.variables.items():
            monkeypatch.setenv(name, value)
        yield platform


@pytest.fixture
def ad(connection):
    connection.execute(
        "insert into ads (ad_id, campaign_id, ctr, impressions, raw_data, created_at)"
        """ values ('good', 'c', 0.5, 5000, '{"attributes": ["red"]}', now() - interval '2 days')"""
    )


@pytest.mark.usefixtures("embeddings", "platform", "ad")
def test_the_learner_runs_its_seven_loops(login, connection, configure):
    configure("model_evaluation", min_samples=1)
    connection.execute("insert into predictions (model, predicted, actual) values ('m', true, true)")
    learner = SelfLearningOrchestrator(login("learner"))
    for _ in range(2):
        loops = asyncio.run(learner.run_full_cycle())["loops"]
        assert {name: loop for name, loop in loops.items() if loop["status"] != "completed"} == {}
        connection.execute("update ads set ctr = 0.4")
        connection.execute("update winner_index set model = 'another'")
    tables = ("creative_dna", "campaign_learning", "model_accuracy", "winner_index", "platform_reports")
    assert [connection.execute(f"select count(*) from {each}").fetchone() for each in tables] == [(1,)] * 5
    jobs = connection.execute("select job_type, status from pending_jobs order by id").fetchall()
    assert jobs == [("rag_index_winner", "done"), ("budget_change", "pending")]


@pytest.mark.usefixtures("served", "embeddings", "ad")
def test_the_indexer_indexes(login, connection):
    async def index():
        async with await psycopg.AsyncConnection.connect(login("indexer")) as own:
            return await index_winners(own)

    assert asyncio.run(index()) == {"status": "completed", "rows": 1, "failed": 0}
    connection.execute("update winner_index set model = 'another'")
    assert asyncio.run(index())["rows"] == 1


@pytest.mark.usefixtures("ad")
def test_the_executor_changes_budgets_waits_and_tries_again(login, connection, configure, platform):
    configure("safe_executor", jitter={"enabled": False})
    for change_pct in (10, 5):
        payload = json.dumps({"ad_id": "good", "change_pct": change_pct})
        connection.execute(
            "insert into pending_jobs (job_type, payload) values ('budget_change', %s::jsonb)", [payload]
        )
    executor = SafeExecutor(login("executor"))
    platform.lose_answers = True
    assert executor.turn() is Outcome.RETRIED
    platform.lose_answers = False
    connection.execute("update pending_jobs set retry_at = null")
    assert executor.turn() is Outcome.CHANGED
    configure("safe_executor", jitter={"enabled": True})
    assert [executor.turn(), executor.turn()] == [Outcome.CHANGED, Outcome.LIMITED]


@pytest.mark.usefixtures("learning_file", "embeddings")
def test_the_service_changes_the_configuration_and_finds_winners(login, connection, monkeypatch):
    monkeypatch.setenv("CONFIGURATION_API_WRITABLE", "true")
    token = create_token(connection, "ann", Role.ADMIN)
    with TestClient(create_app(login("api")), headers={"Authorization": f"Bearer {token}"}) as client:
        assert client.put(PATH, json={"winner_detection": {"ctr_threshold": 0.05}}).status_code == 200
        assert client.get("/winners/similar", params={"text": "red"}).json() == []
    openfeature.shutdown()


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # kombu's, for SQLAlchemy to mend
def test_celery_has_its_queue_in_its_own_schema(login, connection):
    broker = login("celery").replace("postgresql://", "sqla+postgresql+psycopg://", 1)
    with Celery(broker=broker) as queue:
        queue.send_task("auto_evaluate_models", ["new.joblib", "winner"])
        queue.pool.force_close_all()
    rows = connection.execute("select schemaname, tablename from pg_tables where tablename like 'kombu%'")
    assert sorted(rows) == [("ad_learning_celery", "kombu_message"), ("ad_learning_celery", "kombu_queue")]


@pytest.mark.parametrize("part", FORBIDDEN)
def test_it_may_do_nothing_else(login, part):
    with psycopg.connect(login(part), autocommit=True) as own:
        allowed = [each for each in (*FORBIDDEN_TO_ALL, *FORBIDDEN[part]) if may(own, each)]
    assert allowed == []


def may(connection, statement):
    try:
        connection.execute(statement)
    except InsufficientPrivilege:
        return False
    return True
