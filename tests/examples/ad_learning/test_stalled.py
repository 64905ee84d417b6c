"""A database that stalls holds up no worker longer than the settings say, and each goes on by itself."""

import asyncio
import contextlib
import logging
import os
import signal
import threading

import psycopg
import pytest
from examples.ad_learning.ad_platform_endpoint import AdPlatformEndpoint
from examples.ad_learning.safe_executor import Outcome, SafeExecutor
from examples.ad_learning.self_learning_orchestrator import SelfLearningOrchestrator
from tests.waiting import eventually

from examples.ad_learning import rag_worker, worker


@pytest.fixture
def impatient(configure):
    configure("workers", statement_seconds=0.5)
    configure("self_learning_cycle", max_retries=0)


@contextlib.contextmanager
def paused(connection, query="select pid from pg_stat_activity where application_name = 'stalling'"):
    """Pause the sessions of this kind, once there is one, until the end of the block."""
    eventually(lambda: connection.execute(query).fetchall())
    pids = [pid for (pid,) in connection.execute(query)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def locked(database, table):
    with psycopg.connect(database) as locker:
        locker.execute(f"lock table {table}")
        yield


@pytest.mark.usefixtures("impatient")
def test_a_lock_fails_one_loop_and_the_others_run(database):
    with locked(database, "creative_dna"):
        loops = asyncio.run(SelfLearningOrchestrator(database).run_full_cycle())["loops"]
    assert loops["creative_dna"]["status"] == "failed"
    assert "did not answer within 0.5 s" in loops["creative_dna"]["error"]
    assert loops["compound_learner"]["status"] == "completed"


@pytest.mark.usefixtures("impatient")
def test_the_indexer_goes_on_after_a_lock(database, caplog):
    caplog.set_level(logging.ERROR)

    async def work():
        stop = asyncio.Event()
        task = asyncio.create_task(rag_worker.work(database, stop))
        await asyncio.to_thread(eventually, lambda: "did not answer within 0.5 s" in caplog.text)
        stop.set()
        await task

    with locked(database, "winner_index"):
        asyncio.run(asyncio.wait_for(work(), 60))


@pytest.mark.usefixtures("impatient")
def test_a_session_that_is_paused_is_given_up(database, connection):
    async def ask():
        async with worker.connected(f"{database}&application_name=stalling") as own:
            with paused(connection):
                await own.execute("select 1")

    with pytest.raises(psycopg.OperationalError, match="did not answer within"):
        asyncio.run(asyncio.wait_for(ask(), 60))


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_is_swallowed_is_not_waited_for(database, connection, proxy):
    proxy.silent_session = 0

    async def ask():
        async with worker.connected(proxy.url(connection.info.dbname)) as own:
            await own.execute("select 1")

    with pytest.raises(psycopg.OperationalError, match="did not answer within"):
        asyncio.run(asyncio.wait_for(ask(), 60))


def test_an_executor_waits_for_no_lock_and_for_nobodys_turn(
    *, database, connection, impatient, configure, monkeypatch
):
    configure(
        "safe_executor", jitter={"enabled": False}, fuzzy_budgets={"enabled": False}, poll_interval_ms=10
    )
    connection.execute("insert into ads (ad_id, campaign_id) values ('a', 'c')")
    connection.execute(
        "insert into pending_jobs (job_type, payload) values"
        """ ('budget_change', '{"ad_id": "a", "change_pct": 10}')"""
    )
    with AdPlatformEndpoint({"c": 10_000}) as platform:
        for name, value in platform.variables.items():
            monkeypatch.setenv(name, value)
        executor = SafeExecutor(database)
        with psycopg.connect(database) as other:
            other.execute("select pg_advisory_lock(hashtext('ad_learning.safe_executor'))")
            assert executor.turn() is Outcome.IDLE
        stop = threading.Event()
        thread = threading.Thread(target=executor.run, args=[stop])
        with locked(database, "executor_actions"):
            with pytest.raises(psycopg.OperationalError, match="did not answer within"):
                executor.turn()
            thread.start()
        eventually(lambda: platform.changes == [("c", 10_000, 11_000)])
        stop.set()
        thread.join(timeout=60)
    assert not thread.is_alive()
