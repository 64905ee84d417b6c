"""SafeExecutor: limits, velocity and fuzziness hold over restarts and over two workers at once."""

import json
import os
import random
import subprocess
import sys
import threading

import pytest
from examples.ad_learning.safe_executor import Outcome, SafeExecutor
from examples.ad_learning.settings import Learning
from tests.examples.ad_learning.conftest import REPOSITORY


@pytest.fixture
def limit(configure):
    """Change the executor's section; before the first change nothing is fuzzy and nobody waits."""

    def limit(**values):
        configure("safe_executor", **values)

    limit(jitter={"enabled": False}, fuzzy_budgets={"enabled": False}, poll_interval_ms=10)
    return limit


@pytest.fixture
def campaigns(connection, limit):
    """Thirty campaigns with a budget of 100 and an ad each."""
    for n in range(30):
        connection.execute("insert into campaigns values (%s, 100)", [f"c{n}"])
        connection.execute("insert into ads (ad_id, campaign_id) values (%s, %s)", [f"a{n}", f"c{n}"])


@pytest.fixture
def ask(connection, campaigns):
    def ask(ad_id, change_pct):
        payload = json.dumps({"ad_id": ad_id, "change_pct": change_pct})
        query = "insert into pending_jobs (job_type, payload) values ('budget_change', %s::jsonb)"
        connection.execute(query, [payload])

    return ask


def budget(connection, campaign="c0"):
    return float(
        connection.execute("select budget from campaigns where campaign_id = %s", [campaign]).fetchone()[0]
    )


def actions(connection):
    return connection.execute("select count(*) from executor_actions").fetchone()[0]


def test_a_change_is_carried_out_once(database, connection, ask):
    ask("a0", 10)
    assert SafeExecutor(database).turn() is Outcome.CHANGED
    assert SafeExecutor(database).turn() is Outcome.IDLE
    assert (budget(connection), actions(connection)) == (110, 1)


def test_two_workers_and_a_restart_keep_the_hourly_limit(database, connection, ask):
    for n in range(30):
        ask(f"a{n}", 10)
    stop = threading.Event()
    workers = [threading.Thread(target=SafeExecutor(database).run, args=[stop]) for _ in range(2)]
    for worker in workers:
        worker.start()
    stop.wait(3)
    stop.set()
    for worker in workers:
        worker.join(timeout=30)
    assert actions(connection) == 15
    assert SafeExecutor(database).turn() is Outcome.LIMITED
    connection.execute("update executor_actions set executed_at = executed_at - interval '61 minutes'")
    assert SafeExecutor(database).turn() is Outcome.CHANGED


def test_the_daily_limit_and_a_limit_that_changes_while_it_runs(database, connection, ask, limit):
    limit(rate_limiting={"max_actions_per_day": 1})
    ask("a0", 10)
    ask("a1", 10)
    executor = SafeExecutor(database)
    assert [executor.turn(), executor.turn()] == [Outcome.CHANGED, Outcome.LIMITED]
    connection.execute("update executor_actions set executed_at = executed_at - interval '23 hours'")
    assert executor.turn() is Outcome.LIMITED
    limit(rate_limiting={"max_actions_per_day": 2})
    assert executor.turn() is Outcome.CHANGED


@pytest.mark.parametrize(("change", "bound"), [(15, 120), (-15, 80), (500, 120)])
def test_a_budget_moves_no_further_than_the_window_allows(database, connection, ask, change, bound):
    for _ in range(3):
        ask("a0", change)
        assert SafeExecutor(database).turn() is Outcome.CHANGED
    assert budget(connection) == bound
    connection.execute("update executor_actions set executed_at = executed_at - interval '7 hours'")
    ask("a0", 10 if change > 0 else -10)
    SafeExecutor(database).turn()
    assert budget(connection) == pytest.approx(bound * (1.1 if change > 0 else 0.9))


def test_fuzzy_budgets_are_a_little_off_and_within_the_velocity(database, limit):
    limit(fuzzy_budgets={"enabled": True})
    executor = SafeExecutor(database, random.Random(1))
    settings = Learning.live().safe_executor
    found = {executor.new_budget(100, 10, 100, settings) for _ in range(200)}
    assert len(found) > 100
    assert 106.7 <= min(found) < 108
    assert 112 < max(found) <= 113.3
    assert max(executor.new_budget(100, 19, 100, settings) for _ in range(200)) == 120


def test_jitter_is_within_its_bounds_or_off(database, limit):
    executor = SafeExecutor(database, random.Random(1))
    assert executor.jitter(Learning.live().safe_executor) == 0
    limit(jitter={"enabled": True})
    waits = [executor.jitter(Learning.live().safe_executor) for _ in range(200)]
    assert 3 <= min(waits) < 4
    assert 17 < max(waits) <= 18


@pytest.mark.parametrize(("ad_id", "change"), [("gone", 10), ("a0", "many")])
def test_a_change_that_cannot_be_made_fails_its_job_and_is_named(database, connection, ask, ad_id, change):
    ask(ad_id, change)
    assert SafeExecutor(database).turn() is Outcome.REFUSED
    status, error = connection.execute("select status, error from pending_jobs").fetchone()
    assert (status, "no campaign with a budget" in error, actions(connection)) == ("failed", True, 0)


def test_disabled_it_says_so_and_exits_0(database, limit):
    limit(enabled=False)
    done = subprocess.run(
        [sys.executable, "-m", "examples.ad_learning.safe_executor"],
        cwd=REPOSITORY,
        env=os.environ | {"DATABASE_URL": database},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert "SafeExecutor disabled by configuration" in done.stderr
