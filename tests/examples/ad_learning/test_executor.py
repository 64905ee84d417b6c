"""SafeExecutor: limits, velocity and fuzziness hold over restarts and over two workers at once."""

import json
import os
import random
import subprocess
import sys
import threading

import pytest
from examples.ad_learning.ad_platform_endpoint import AdPlatformEndpoint
from examples.ad_learning.safe_executor import Outcome, SafeExecutor
from examples.ad_learning.settings import Learning
from tests.examples.ad_learning.conftest import REPOSITORY
from tests.waiting import eventually


@pytest.fixture
def limit(configure):
    """Change the executor's section; before the first change nothing is fuzzy and nobody waits."""

    def limit(**values):
        configure("safe_executor", **values)

    limit(jitter={"enabled": False}, fuzzy_budgets={"enabled": False}, poll_interval_ms=10)
    return limit


@pytest.fixture
def platform(monkeypatch):
    """An ad platform with thirty campaigns of 100.00 a day."""
    with AdPlatformEndpoint(budgets={f"c{n}": 10_000 for n in range(30)}) as platform:
        for name, value in platform.variables.items():
            monkeypatch.setenv(name, value)
        yield platform


class Queue:
    """Budget changes, and the workers that carry them out; campaign `c0` has ad `a0`, and so on."""

    def __init__(self, database, connection):
        self.database = database
        self.connection = connection
        for n in range(30):
            connection.execute("insert into ads (ad_id, campaign_id) values (%s, %s)", [f"a{n}", f"c{n}"])

    def ask(self, ad_id, change_pct):
        payload = json.dumps({"ad_id": ad_id, "change_pct": change_pct})
        query = "insert into pending_jobs (job_type, payload) values ('budget_change', %s::jsonb)"
        self.connection.execute(query, [payload])

    def turn(self):
        """One turn of a worker that has just been started."""
        return SafeExecutor(self.database).turn()

    @property
    def actions(self):
        return self._column("select status from executor_actions order by id")

    @property
    def failures(self):
        """The errors of the jobs that failed."""
        return self._column("select error from pending_jobs where status = 'failed' order by id")

    def pass_hours(self, hours):
        """Let hours go by, as the database sees them."""
        for table, column in (
            ("executor_actions", "executed_at"),
            ("executor_pause", "until"),
            ("pending_jobs", "retry_at"),
        ):
            self.connection.execute(
                f"update {table} set {column} = {column} - make_interval(secs => %s)", [hours * 3600]
            )

    def _column(self, query):
        return [value for (value,) in self.connection.execute(query)]


@pytest.fixture
def queue(database, connection, platform, limit):
    return Queue(database, connection)


def test_a_change_is_carried_out_once(queue, platform):
    queue.ask("a0", 10)
    assert [queue.turn(), queue.turn()] == [Outcome.CHANGED, Outcome.IDLE]
    assert platform.changes == [("c0", 10_000, 11_000)]
    assert (queue.actions, queue.failures) == (["done"], [])


def test_two_workers_and_a_restart_keep_the_hourly_limit(queue, platform):
    for n in range(30):
        queue.ask(f"a{n}", 10)
    stop = threading.Event()
    workers = [threading.Thread(target=SafeExecutor(queue.database).run, args=[stop]) for _ in range(2)]
    for worker in workers:
        worker.start()
    eventually(lambda: len(platform.changes) >= 15)
    asked = len(platform.calls)
    stop.wait(0.5)  # a worker that went on would by now have gone too far
    stop.set()
    for worker in workers:
        worker.join(timeout=30)
    assert queue.actions == ["done"] * 15
    assert platform.changes == [(f"c{n}", 10_000, 11_000) for n in range(15)]
    assert len(platform.calls) == asked
    assert queue.turn() is Outcome.LIMITED
    queue.pass_hours(1.01)
    assert queue.turn() is Outcome.CHANGED


def test_the_daily_limit_and_a_limit_that_changes_while_it_runs(queue, limit):
    limit(rate_limiting={"max_actions_per_day": 1})
    queue.ask("a0", 10)
    queue.ask("a1", 10)
    executor = SafeExecutor(queue.database)
    assert [executor.turn(), executor.turn()] == [Outcome.CHANGED, Outcome.LIMITED]
    queue.pass_hours(23)
    assert executor.turn() is Outcome.LIMITED
    limit(rate_limiting={"max_actions_per_day": 2})
    assert executor.turn() is Outcome.CHANGED


@pytest.mark.parametrize(
    ("change", "changes"),
    [
        (15, [(10_000, 11_500), (11_500, 12_000)]),
        (-15, [(10_000, 8500), (8500, 8000)]),
        (500, [(10_000, 12_000)]),
        (1e308, [(10_000, 12_000)]),
    ],
)
def test_a_budget_moves_no_further_than_the_window_allows(queue, platform, change, changes):
    for _ in range(3):
        queue.ask("a0", change)
        queue.turn()
    assert platform.changes == [("c0", *each) for each in changes]
    assert len(queue.failures) == 3 - len(changes)
    assert "20 % in all is allowed" in queue.failures[0]
    queue.pass_hours(7)
    queue.ask("a0", 10)
    assert queue.turn() is Outcome.CHANGED


def test_a_budget_that_a_person_moved_far_away_is_not_dragged_back(queue, platform):
    queue.ask("a0", 10)
    assert queue.turn() is Outcome.CHANGED
    platform.budgets["c0"] = 30_000
    queue.ask("a0", 10)
    assert queue.turn() is Outcome.REFUSED
    assert platform.budgets["c0"] == 30_000
    assert (
        "a budget of 30000, which was 10000 within the last 6 hours, cannot change by 10 %"
        in queue.failures[0]
    )


def test_fuzzy_budgets_are_a_little_off_and_within_the_velocity(database, limit):
    limit(fuzzy_budgets={"enabled": True})
    executor = SafeExecutor(database, chance=random.Random(1))
    settings = Learning.live().safe_executor
    found = {executor.new_budget(10_000, 10, 10_000, settings) for _ in range(200)}
    assert len(found) > 100
    assert 10_670 <= min(found) < 10_800
    assert 11_200 < max(found) <= 11_330
    assert max(executor.new_budget(10_000, 19, 10_000, settings) for _ in range(200)) == 12_000


def test_jitter_is_within_its_bounds_or_off(database, limit):
    executor = SafeExecutor(database, chance=random.Random(1))
    assert executor.jitter(Learning.live().safe_executor) == 0
    limit(jitter={"enabled": True})
    waits = [executor.jitter(Learning.live().safe_executor) for _ in range(200)]
    assert 3 <= min(waits) < 4
    assert 17 < max(waits) <= 18


def test_jitter_holds_over_workers_and_restarts(queue, limit):
    limit(jitter={"enabled": True, "min_ms": 600_000, "max_ms": 600_000})
    queue.ask("a0", 10)
    queue.ask("a1", 10)
    assert [queue.turn(), queue.turn()] == [Outcome.CHANGED, Outcome.LIMITED]
    queue.pass_hours(0.1)
    assert queue.turn() is Outcome.LIMITED
    queue.pass_hours(0.1)
    assert queue.turn() is Outcome.CHANGED


@pytest.mark.parametrize(
    ("ad_id", "change", "error"),
    [
        ("gone", 10, "the ad is gone"),
        ("a0", "many", "the change is no number"),
        ("stray", 10, "Object with ID 'elsewhere' does not exist"),
    ],
)
def test_a_change_that_cannot_be_made_fails_its_job_and_uses_up_no_limit(queue, ad_id, change, error):
    queue.connection.execute("insert into ads (ad_id, campaign_id) values ('stray', 'elsewhere')")
    queue.ask(ad_id, change)
    assert [queue.turn(), queue.turn()] == [Outcome.REFUSED, Outcome.IDLE]
    assert error in queue.failures[0]
    assert queue.actions == []


def test_what_the_platform_refuses_counts_for_nothing(queue, platform, limit):
    limit(rate_limiting={"max_actions_per_hour": 1})
    platform.minimum = 50_000
    queue.ask("a0", 10)
    assert queue.turn() is Outcome.REFUSED
    assert "the daily budget must be at least 50000" in queue.failures[0]
    assert queue.actions == ["refused"]
    platform.minimum = 100
    queue.ask("a0", 10)
    assert queue.turn() is Outcome.CHANGED


def test_too_many_calls_stop_every_worker_for_as_long_as_the_platform_says(queue, platform):
    platform.calls_left, platform.regain_minutes = 1, 30
    queue.ask("a0", 10)
    assert queue.turn() is Outcome.LIMITED  # the budget was read, the change is under way
    assert (len(platform.calls), queue.actions) == (2, ["sending"])
    platform.calls_left = None
    queue.ask("a1", 10)
    queue.pass_hours(0.4)
    assert queue.turn() is Outcome.LIMITED
    assert len(platform.calls) == 2, "nobody asks before the time is over"
    queue.pass_hours(0.2)
    assert [queue.turn(), queue.turn(), queue.turn()] == [Outcome.CHANGED, Outcome.CHANGED, Outcome.IDLE]
    assert platform.changes == [("c0", 10_000, 11_000), ("c1", 10_000, 11_000)]
    assert queue.failures == []


def test_a_token_that_is_not_valid_fails_no_job(queue, platform, caplog):
    platform.token = "a newer one"
    queue.ask("a0", 10)
    assert queue.turn() is Outcome.LIMITED
    assert "set AD_PLATFORM_ACCESS_TOKEN to a valid token" in caplog.text
    assert "loopback-token" not in caplog.text
    platform.token = "loopback-token"
    queue.pass_hours(1)
    assert queue.turn() is Outcome.CHANGED
    assert queue.failures == []


def test_an_answer_that_is_lost_is_asked_for_again_and_the_change_made_once(queue, platform, limit):
    limit(fuzzy_budgets={"enabled": True}, poll_interval_ms=60_000)
    platform.lose_answers = True
    queue.ask("a0", 10)
    queue.ask("a0", 5)
    assert queue.turn() is Outcome.RETRIED
    assert (queue.actions, len(platform.changes)) == (["sending"], 1)
    assert queue.turn() is Outcome.IDLE, "the second change of a campaign waits for the first one"
    platform.lose_answers = False
    queue.pass_hours(0.1)
    assert queue.turn() is Outcome.CHANGED
    assert (queue.actions, len(platform.changes)) == (["done"], 1)
    assert queue.turn() is Outcome.CHANGED
    assert len(platform.changes) == 2


def test_a_platform_that_is_down_is_asked_again_later_and_given_up_at_last(queue, platform, limit, caplog):
    limit(poll_interval_ms=60_000)
    platform.down = True
    queue.ask("a0", 10)
    assert queue.turn() is Outcome.RETRIED
    assert "again in 60 s" in caplog.text
    assert queue.turn() is Outcome.IDLE
    for _ in range(12 - 2):
        queue.pass_hours(1)
        assert queue.turn() is Outcome.RETRIED
    queue.pass_hours(1)
    assert queue.turn() is Outcome.REFUSED
    assert "An unexpected error has occurred" in queue.failures[0]
    assert "given up after 12 attempts" in queue.failures[0]
    assert queue.actions == []


def test_a_worker_that_is_killed_in_the_middle_leaves_nothing_done_twice(queue, platform):
    """The platform makes the change, and the worker dies before it hears of it."""
    queue.ask("a0", 10)
    worker = subprocess.Popen(
        [sys.executable, "-m", "examples.ad_learning.safe_executor"],
        cwd=REPOSITORY,
        env=os.environ | {"DATABASE_URL": queue.database},
        stderr=subprocess.DEVNULL,
    )
    with platform.holding_answers(), worker:
        eventually(lambda: platform.changes)
        worker.kill()
    assert queue.actions == ["sending"]
    assert [queue.turn(), queue.turn()] == [Outcome.CHANGED, Outcome.IDLE]
    assert platform.changes == [("c0", 10_000, 11_000)]
    assert queue.actions == ["done"]


def test_a_concurrent_change_by_someone_else_is_kept(queue, platform):
    platform.lose_answers = True
    queue.ask("a0", 10)
    assert queue.turn() is Outcome.RETRIED
    platform.lose_answers = False
    platform.budgets["c0"] = 12_345
    queue.pass_hours(1)
    assert queue.turn() is Outcome.REFUSED
    assert "somebody else set the budget to 12345 while it went from 10000 to 11000" in queue.failures[0]
    assert (platform.budgets["c0"], queue.actions) == (12_345, ["unsure"])


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
