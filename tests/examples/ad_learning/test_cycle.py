"""The self-learning cycle: its seven loops on a real database, its order and limits, and the worker around it."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta

import pytest
from examples.ad_learning.ad_platform_endpoint import AdPlatformEndpoint
from examples.ad_learning.loops import LOOPS
from examples.ad_learning.self_learning_orchestrator import SelfLearningOrchestrator
from examples.ad_learning.self_learning_worker import work
from examples.ad_learning.settings import Learning
from tests.examples.ad_learning.conftest import REPOSITORY

pytestmark = pytest.mark.usefixtures("served")

ORDER = [
    "actuals_fetcher", "creative_dna", "compound_learner", "winner_detection", "rag_indexing",
    "model_evaluation", "auto_promoter",
]  # fmt: skip


def cycle(database, loops=LOOPS):
    return asyncio.run(SelfLearningOrchestrator(database, loops).run_full_cycle())


def recorded(ran, **behaviour):
    """Loops that note their names; `behaviour` replaces some. The database is not asked, though reached."""

    def loop(name):
        async def run(connection):
            ran.append(name)
            if name in behaviour:
                await behaviour[name]()
            return {"status": "completed"}

        return run

    return {name: loop(name) for name in ORDER}


async def fail():
    raise RuntimeError("no such luck")


async def hang():
    await asyncio.sleep(60)


def test_seven_loops_do_their_work(database, connection, configure, embeddings):
    configure("model_evaluation", min_samples=4)
    configure("auto_promoter", max_promotions_per_cycle=1)
    for ad_id, hours in (("good", 30), ("better", 30), ("young", 3)):
        connection.execute(
            "insert into ads (ad_id, campaign_id, video_id, raw_data, created_at)"
            """ values (%s, 'c1', 'v1', '{"attributes": ["red", "short"]}', now() - %s)""",
            [ad_id, timedelta(hours=hours)],
        )
        connection.execute(
            "insert into platform_reports (ad_id, impressions, clicks, spend, revenue)"
            " values (%s, 1, 0, 1, 0), (%s, 2000, 100, 100, %s)",
            [ad_id, ad_id, {"good": 400, "better": 500, "young": 600}[ad_id]],
        )
    connection.execute(
        "insert into predictions (model, predicted, actual) values"
        " ('m', true, true), ('m', true, false), ('m', false, false), ('m', true, true), ('few', true, true)"
    )
    result = cycle(database)
    assert result["status"] == "completed"
    assert list(result["loops"]) == ORDER
    assert {loop["status"] for loop in result["loops"].values()} == {"completed"}
    assert datetime.fromisoformat(result["started_at"]) <= datetime.fromisoformat(result["completed_at"])

    def all_rows(question):
        return connection.execute(question).fetchall()

    assert all_rows("select ad_id, impressions, ctr, (raw_data ->> 'roas')::float8 from ads order by 1") == [
        ("better", 2000, 0.05, 5.0), ("good", 2000, 0.05, 4.0), ("young", 2000, 0.05, 6.0)
    ]  # fmt: skip
    assert all_rows("select attribute, ads, round(ctr::numeric, 4)::float8 from creative_dna order by 1") == [
        ("red", 3, 0.05),
        ("short", 3, 0.05),
    ]
    assert all_rows("select * from campaign_learning") == [("c1", 5.0, 1)]
    assert all_rows("select ad_id from winner_index order by 1") == [("better",), ("good",)]
    assert all_rows("select * from model_accuracy") == [("m", 4, 0.75)]
    promoted = "select payload from pending_jobs where job_type = 'budget_change' order by id"
    assert all_rows(promoted) == [({"ad_id": "better", "change_pct": 10.0},)]
    # later: nothing is done twice, and the next best is promoted
    connection.execute("update ads set created_at = now() - interval '2 days' where ad_id = 'young'")
    result = cycle(database)
    assert result["loops"]["actuals_fetcher"]["rows"] == 0
    assert all_rows("select count(*) from winner_index") == [(3,)]
    assert [payload["ad_id"] for (payload,) in all_rows(promoted)] == ["better", "young"]
    assert all_rows("select cycles from campaign_learning") == [(2,)]


def test_actuals_come_from_the_ad_platform_and_what_is_not_new_is_stored_once(
    database, connection, monkeypatch
):
    connection.execute("insert into ads (ad_id, campaign_id) values ('known', 'c')")
    counts = {"impressions": "2000", "clicks": "100", "spend": "50.00"}
    revenue = [{"action_type": "purchase", "value": "200.00"}]
    rows = [{"ad_id": each, **counts, "action_values": revenue} for each in ("other", "another", "known")]
    with AdPlatformEndpoint(insights=rows) as platform:
        for name, value in platform.variables.items():
            monkeypatch.setenv(name, value)
        fetched = [cycle(database)["loops"]["actuals_fetcher"] for _ in range(2)]
        rows[2]["clicks"] = "101"
        fetched.append(cycle(database)["loops"]["actuals_fetcher"])
        platform.down = True
        failed = cycle(database)["loops"]["actuals_fetcher"]
    assert [result["fetched"] for result in fetched] == [1, 0, 1]
    found = connection.execute("select impressions, ctr, (raw_data ->> 'roas')::float8 from ads")
    assert found.fetchall() == [(2000, 0.0505, 4.0)]
    assert connection.execute("select count(*) from platform_reports").fetchone() == (2,)
    assert failed["status"] == "failed"
    assert "An unexpected error has occurred" in failed["error"]


def test_a_winner_grows_old_enough_without_a_write_and_a_gone_ad_fails_its_job(
    database, connection, embeddings
):
    connection.execute("alter table ads disable trigger check_winner_and_index")
    connection.execute(
        "insert into ads (ad_id, campaign_id, ctr, impressions, created_at)"
        " values ('aged', 'c', 0.5, 5000, now() - interval '25 hours')"
    )
    connection.execute(
        """insert into pending_jobs (job_type, payload) values ('rag_index_winner', '{"ad_id": "gone"}')"""
    )
    result = cycle(database)
    assert result["loops"]["rag_indexing"] == {"status": "completed", "rows": 1, "failed": 1}
    jobs = (
        "select payload ->> 'ad_id', status, error from pending_jobs where job_type like 'rag%' order by id"
    )
    assert connection.execute(jobs).fetchall() == [
        ("gone", "failed", "the ad is gone"),
        ("aged", "done", None),
    ]


@pytest.mark.parametrize(
    ("feature", "loop", "result"),
    [
        ("auto_promoter", "auto_promoter", {}),
        ("rag_auto_indexing", "rag_indexing", {"rows": 0}),
    ],
)
def test_a_disabled_feature_stops_its_loop_and_the_others_run_on(database, configure, feature, loop, result):
    configure("feature_flags", **{feature: False})
    loops = cycle(database)["loops"]
    assert loops.pop(loop) == {"status": "disabled", "reason": "Feature flag disabled", **result}
    assert list(loops) == [name for name in ORDER if name != loop]
    assert {each["status"] for each in loops.values()} == {"completed"}


def test_a_disabled_cycle_says_so_and_runs_nothing(database, configure):
    configure("feature_flags", self_learning_cycle=False)
    ran = []
    assert cycle(database, recorded(ran)) == {"status": "disabled", "reason": "Feature flag disabled"}
    assert ran == []


def test_priority_orders_unset_is_last_and_disabled_is_left_out(database, served, configure, caplog):
    caplog.set_level(logging.INFO)
    configure(
        "self_learning_cycle",
        loops={
            "auto_promoter": {"priority": 0},
            "creative_dna": {"enabled": None, "priority": None, "timeout_seconds": None},
            "rag_indexing": {"enabled": False},
        },
    )
    assert Learning.live().self_learning_cycle.loops.creative_dna.priority == 999
    assert Learning.live().self_learning_cycle.loops.creative_dna.timeout_seconds == 300
    ran = []
    result = cycle(database, recorded(ran))
    expected = [
        "auto_promoter",
        "actuals_fetcher",
        "compound_learner",
        "winner_detection",
        "model_evaluation",
    ]
    assert ran == list(result["loops"]) == [*expected, "creative_dna"]
    assert "Skipping disabled loop: rag_indexing" in caplog.text


def test_a_failure_is_retried_then_reported_and_the_others_run(database, configure, caplog):
    configure("self_learning_cycle", max_retries=2)
    ran = []
    result = cycle(database, recorded(ran, creative_dna=fail))
    assert ran.count("creative_dna") == 3
    assert result["loops"]["creative_dna"] == {"status": "failed", "error": "no such luck", "attempts": 3}
    assert result["status"] == "completed"
    assert list(result["loops"]) == ORDER
    assert "Loop creative_dna failed: no such luck" in caplog.text


@pytest.mark.parametrize("behaviour", [fail, hang])
def test_without_continue_on_error_the_cycle_ends_there(database, configure, behaviour):
    configure(
        "self_learning_cycle",
        continue_on_error=False,
        max_retries=0,
        loops={"creative_dna": {"priority": 2, "timeout_seconds": 1}},
    )
    result = cycle(database, recorded([], creative_dna=behaviour))
    assert list(result["loops"]) == ORDER[:2]
    assert result["status"] == "completed"


def test_a_timeout_is_reported_with_its_limit_and_the_others_run(database, configure, caplog):
    configure("self_learning_cycle", loops={"creative_dna": {"priority": 2, "timeout_seconds": 0.5}})
    result = cycle(database, recorded([], creative_dna=hang))
    assert result["loops"]["creative_dna"] == {"status": "timeout"}
    assert list(result["loops"]) == ORDER
    assert "Loop creative_dna timed out after 0.5s" in caplog.text


def test_the_worker_returns_where_the_feature_is_off(database, configure, caplog):
    caplog.set_level(logging.INFO)
    configure("feature_flags", self_learning_cycle=False)
    asyncio.run(asyncio.wait_for(work(SelfLearningOrchestrator(database), asyncio.Event()), 60))
    assert "Self-learning cycle disabled by configuration" in caplog.text


class Cycles(SelfLearningOrchestrator):
    """Counts its cycles; some of them fail, as no loop could make them."""

    def __init__(self, failing):
        super().__init__("")
        self.count = 0
        self.failing = failing
        self.four = asyncio.Event()

    async def run_full_cycle(self):
        self.count += 1
        if self.count == 4:
            self.four.set()
        if self.count in self.failing:
            raise RuntimeError("the cycle itself broke")
        return {"status": "completed"}


def test_the_worker_survives_a_failed_cycle_and_takes_a_new_interval_while_it_waits(configure, caplog):
    caplog.set_level(logging.INFO)

    async def scenario():
        cycles, stop = Cycles({1}), asyncio.Event()
        working = asyncio.create_task(work(cycles, stop))
        await asyncio.sleep(0.5)
        assert cycles.count == 1, "an hour is not over yet"
        configure("self_learning_cycle", interval_seconds=0.05)
        async with asyncio.timeout(10):
            await cycles.four.wait()
        stop.set()
        await asyncio.wait_for(working, 60)

    asyncio.run(scenario())
    for line in (
        "Starting self-learning worker (interval: 3600s)",
        "Cycle failed: the cycle itself broke",
        "Waiting 3600 seconds before next cycle...",
        "Waiting 0.05 seconds before next cycle...",
    ):
        assert line in caplog.text


def test_the_worker_is_a_program_that_ends_when_told(database, connection):
    environment = os.environ | {"DATABASE_URL": database}
    program = subprocess.Popen(
        [sys.executable, "-m", "examples.ad_learning.self_learning_worker"],
        cwd=REPOSITORY,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    with program:
        said = next(line for line in program.stderr if "Waiting 3600 seconds" in line)
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=60) == 0, said
