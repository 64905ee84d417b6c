"""Rollouts and experiments by campaign: Python, the trigger and the loops see the same values for each."""

import asyncio
import json
import subprocess
import sys

import pytest
from examples.ad_learning.ad_platform_endpoint import AdPlatformEndpoint
from examples.ad_learning.config_loader import for_campaign
from examples.ad_learning.safe_executor import SafeExecutor
from examples.ad_learning.self_learning_orchestrator import SelfLearningOrchestrator
from examples.ad_learning.winners import is_winner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.examples.ad_learning.conftest import eventually_true

import windsock
from examples.ad_learning import config_loader

IDS = [f"campaign {number}" for number in range(30)]


@pytest.fixture
def campaigns(connection):
    def campaigns(ids=IDS, account=None):
        connection.cursor().executemany(
            "insert into campaigns (id, account_id) values (%s, %s)", [(each, account) for each in ids]
        )

    return campaigns


@pytest.fixture
def variant(served):
    """Add a variant to the flag, which changes a section of production's."""

    def variant(name, **sections):
        document = json.loads(served.read_bytes())
        variants = document["flags"]["learning"]["variants"]
        variants[name] = variants["production"] | {
            section: variants["production"][section] | values for section, values in sections.items()
        }
        served.write_text(json.dumps(document))
        config_loader.reload_config()

    return variant


@pytest.fixture
def retarget(served):
    """Replace the flag's rule, and read the file again."""

    def retarget(rule, experiment=None):
        document = json.loads(served.read_bytes())
        document["flags"]["learning"]["targeting"] = rule
        if experiment is not None:
            document["flags"]["learning.experiment"] = experiment
        served.write_text(json.dumps(document))
        config_loader.reload_config()

    return retarget


def rollout(path, *arguments):
    command = [
        sys.executable,
        "-m",
        "windsock.cli",
        "rollout",
        "learning",
        "--flags",
        str(path.parent),
        *arguments,
    ]
    subprocess.run(command, check=True, capture_output=True)
    config_loader.reload_config()


def thresholds(connection):
    """The click threshold of each campaign, as SQL has it."""
    return dict(
        connection.execute("select id, get_winner_threshold('ctr_threshold', id)::float8 from campaigns")
    )


def in_python(ids=IDS, account=None):
    return {each: for_campaign(each, account).winner_detection.ctr_threshold for each in ids}


def test_windsock_rollout_changes_what_half_of_the_campaigns_count_as_a_winner(
    mirror, connection, served, variant, campaigns
):
    campaigns()
    variant("eager", winner_detection={"ctr_threshold": 0.01})
    rollout(served, "--variant", "eager", "--steps", "50")
    mirror.once()
    assert thresholds(connection) == in_python()
    eager = {each for each, threshold in in_python().items() if threshold == 0.01}
    assert 5 < len(eager) < 25
    for each in IDS:
        connection.execute(
            "insert into ads (ad_id, campaign_id, ctr, impressions, created_at)"
            " values (%s, %s, 0.02, 5000, now() - interval '2 days')",
            [f"ad of {each}", each],
        )
    queued = {ad for (ad,) in connection.execute("select payload ->> 'ad_id' from pending_jobs")}
    assert queued == {f"ad of {each}" for each in eager}
    assert {each for each in IDS if is_winner(0.02, 0.0, 48, 5000, for_campaign(each))} == eager
    rollout(served, "--variant", "eager", "--steps", "100")
    mirror.once()
    assert set(thresholds(connection).values()) == {0.01}


def test_an_ad_account_can_have_thresholds_of_its_own(mirror, connection, campaigns, variant, retarget):
    campaigns(["a", "b"], account="act_1")
    campaigns(["c"], account="act_2")
    campaigns(["d"])
    variant("careful", winner_detection={"ctr_threshold": 0.2})
    retarget({"if": [{"==": [{"var": "account_id"}, "act_1"]}, "careful"]})
    mirror.once()
    assert thresholds(connection) == {"a": 0.2, "b": 0.2, "c": 0.03, "d": 0.03}
    assert in_python(["a", "b"], "act_1") == {"a": 0.2, "b": 0.2}
    assert in_python(["c"], "act_2") | in_python(["d"]) == {"c": 0.03, "d": 0.03}


def test_an_experiment_compares_campaigns(mirror, connection, campaigns, retarget):
    campaigns()
    arms = {"control": {}, "loose": {"winner_detection": {"roas_threshold": 1.5}}}
    split = {"fractional": [["control", 50], ["loose", 50]]}
    flag = {"state": "ENABLED", "variants": arms, "defaultVariant": "control", "targeting": split}
    retarget(None, experiment=flag)
    mirror.once()
    query = "select id, get_winner_threshold('roas_threshold', id)::float8 from campaigns"
    in_sql = dict(connection.execute(query))
    assert in_sql == {each: for_campaign(each).winner_detection.roas_threshold for each in IDS}
    assert set(in_sql.values()) == {1.5, 3.0}


@pytest.mark.usefixtures("embeddings")
def test_campaigns_are_exposed_to_their_arms_where_they_are_decided_for(
    *, database, connection, served, retarget
):
    arms = {"control": {}, "eager": {"winner_detection": {"ctr_threshold": 0.2}}}
    split = {"fractional": [["control", 50], ["eager", 50]]}
    flag = {"state": "ENABLED", "variants": arms, "defaultVariant": "control", "targeting": split}
    retarget(None, experiment=flag | {"metadata": {"experiment": "thresholds"}})
    for each in IDS:
        connection.execute("insert into ads (ad_id, campaign_id) values (%s, %s)", [f"ad of {each}", each])
    windsock.start(flags=served.parent, usage=database)
    arm = {each: "eager" if in_python([each])[each] == 0.2 else "control" for each in IDS}
    assert set(arm.values()) == {"control", "eager"}
    asyncio.run(SelfLearningOrchestrator(database).run_full_cycle())
    windsock.stop()  # what was recorded is in the database then
    exposed = "select unit, arm from windsock.exposures where experiment = 'thresholds'"
    assert dict(connection.execute(exposed)) == arm


@pytest.mark.usefixtures("watching_mirror")
def test_a_campaign_that_an_ad_brings_is_known_and_gets_its_values(connection, variant, retarget):
    variant("eager", winner_detection={"ctr_threshold": 0.01})
    retarget({"if": [{"==": [{"var": "targetingKey"}, "new"]}, "eager"]})
    connection.execute("insert into ads (ad_id, campaign_id) values ('first', 'new')")
    eventually_true(connection, "select get_winner_threshold('ctr_threshold', 'new') = 0.01")
    assert connection.execute("select get_winner_threshold('ctr_threshold')::float8").fetchone() == (0.03,)
    connection.execute("delete from campaigns")
    eventually_true(connection, "select count(*) = 0 from learning_config_units")


@pytest.mark.usefixtures("embeddings")
def test_budgets_grow_by_what_the_campaign_has(connection, database, campaigns, variant, retarget):
    campaigns(["slow", "fast", "off"])
    variant("generous", auto_promoter={"budget_increase_pct": 40.0})
    variant("none", feature_flags={"auto_promoter": False})
    by_id = {"var": "targetingKey"}
    retarget({"if": [{"==": [by_id, "fast"]}, "generous", {"==": [by_id, "off"]}, "none"]})
    for each in ("slow", "fast", "off"):
        connection.execute(
            "insert into ads (ad_id, campaign_id, ctr, impressions, created_at)"
            " values (%s, %s, 0.5, 5000, now() - interval '2 days')",
            [each, each],
        )
    loops = asyncio.run(SelfLearningOrchestrator(database).run_full_cycle())["loops"]
    assert loops["auto_promoter"] == {"status": "completed", "rows": 2}
    changes = connection.execute(
        "select payload ->> 'ad_id', (payload -> 'change_pct')::float8 from pending_jobs"
        " where job_type = 'budget_change'"
    )
    assert dict(changes) == {"slow": 10.0, "fast": 40.0}


def test_a_budget_moves_as_far_as_the_campaign_may(
    *, connection, database, campaigns, variant, retarget, monkeypatch
):
    campaigns(["tight"], account="act_9")
    campaigns(["free"])
    variant("production", safe_executor={"jitter": {"enabled": False}, "fuzzy_budgets": {"enabled": False}})
    variant("tight", safe_executor={"budget_velocity": {"max_change_pct": 2.0, "velocity_window_hours": 6}})
    retarget({"if": [{"==": [{"var": "account_id"}, "act_9"]}, "tight"]})
    with AdPlatformEndpoint({"tight": 10_000, "free": 10_000}) as platform:
        for name, value in platform.variables.items():
            monkeypatch.setenv(name, value)
        for each in ("tight", "free"):
            connection.execute("insert into ads (ad_id, campaign_id) values (%s, %s)", [each, each])
            connection.execute(
                "insert into pending_jobs (job_type, payload)"
                " values ('budget_change', jsonb_build_object('ad_id', %s::text, 'change_pct', 10))",
                [each],
            )
        executor = SafeExecutor(database)
        executor.turn()
        executor.turn()
    after = dict(connection.execute("select campaign_id, budget_after from executor_actions"))
    assert after == {"tight": 10_200, "free": 11_000}


thresholds_of = st.fixed_dictionaries(
    {},
    optional={
        "ctr_threshold": st.floats(0, 1),
        "roas_threshold": st.floats(0, 100) | st.integers(0, 9),
        "require_both": st.booleans(),
        "min_impressions": st.integers(0, 10_000),
    },
)
rules = st.sampled_from(
    [
        None,
        {"fractional": [["first", 40], ["second", 60]]},
        {"if": [{"==": [{"var": "account_id"}, "act_1"]}, "first"]},
        {
            "if": [
                {"ends_with": [{"var": "targetingKey"}, "3"]},
                "second",
                {"fractional": [["first", 1], ["base", 9]]},
            ]
        },
    ]
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(variants=st.fixed_dictionaries(dict.fromkeys(("base", "first", "second"), thresholds_of)), rule=rules, arm=thresholds_of)  # fmt: skip
def test_python_and_sql_agree_for_every_campaign(*, mirror, connection, served, variants, rule, arm):
    document = json.loads(served.read_bytes())
    document["flags"]["learning"] |= {
        "variants": {name: {"winner_detection": each} for name, each in variants.items()},
        "defaultVariant": "base",
        "targeting": rule,
    }
    document["flags"]["learning.experiment"] = {
        "state": "ENABLED",
        "variants": {"none": {}, "arm": {"winner_detection": arm}},
        "defaultVariant": "none",
        "targeting": {"fractional": [["none", 50], ["arm", 50]]},
    }
    served.write_text(json.dumps(document))
    config_loader.reload_config()
    connection.execute(
        "insert into campaigns select 'c' || n, case n % 3 when 0 then null else 'act_' || n % 3 end"
        " from generate_series(1, 40) as n on conflict do nothing"
    )
    mirror.once()
    query = "select id, account_id, learning_value('winner_detection', id) from campaigns"
    for campaign, account, in_sql in connection.execute(query):
        expected = for_campaign(campaign, account).winner_detection.model_dump(mode="json")
        assert in_sql == expected, campaign
