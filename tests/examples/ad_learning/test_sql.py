"""Ad learning in SQL: the trigger queues winners by the thresholds that the mirror wrote, and agrees with Python."""

import json
from datetime import timedelta

import pytest
from examples.ad_learning.config_loader import get_learning_config
from examples.ad_learning.winners import is_winner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.examples.ad_learning.conftest import eventually_true

from examples.ad_learning import config_loader


@pytest.fixture
def set_config(connection):
    """Overlay keys of a row of `learning_config`; None removes a key."""

    def set_config(key, **values):
        connection.execute(
            "update learning_config set value = jsonb_strip_nulls(value || %s::jsonb) where key = %s",
            [json.dumps(values), key],
        )

    return set_config


@pytest.fixture
def add_ad(connection):
    def add_ad(ad_id="ad-1", *, ctr=0.05, roas=0.0, hours=24.0, impressions=1000, raw=None):
        connection.execute(
            "insert into ads (ad_id, campaign_id, video_id, ctr, raw_data, impressions, created_at)"
            " values (%s, 'c', 'v', %s, %s::jsonb, %s, now() - %s)",
            [ad_id, ctr, raw or json.dumps({"roas": roas}), impressions, timedelta(hours=hours)],
        )

    return add_ad


@pytest.fixture
def queued(connection):
    def queued():
        rows = connection.execute(
            "select payload from pending_jobs where job_type = 'rag_index_winner' order by id"
        )
        return [payload["ad_id"] for (payload,) in rows]

    return queued


def test_a_winner_is_queued_once_however_often_it_is_updated(connection, add_ad, queued):
    add_ad()
    connection.execute("update ads set impressions = impressions + 1")
    connection.execute("update pending_jobs set status = 'done'")
    connection.execute("update ads set impressions = impressions + 1")
    assert queued() == ["ad-1"]
    (payload,) = connection.execute("select payload from pending_jobs").fetchone()
    assert payload == {"ad_id": "ad-1", "video_id": "v", "ctr": 0.05, "roas": 0.0, "impressions": 1000}


@pytest.mark.parametrize(
    "ad",
    [
        {"ctr": 0.03, "roas": 3.0},
        {"impressions": 999},
        {"hours": 23.9},
        {"ctr": None, "raw": "{}"},
        {"ctr": float("nan")},
        {"ctr": 0.0, "raw": '{"roas": "many"}'},
        {"ctr": 0.0, "raw": '{"roas": 1e400}'},
    ],
)
def test_a_row_that_is_not_a_winner_is_stored_and_not_queued(add_ad, queued, connection, ad):
    add_ad(**ad)
    assert queued() == []
    assert connection.execute("select count(*) from ads").fetchone() == (1,)


def test_require_both_is_honoured(add_ad, queued, set_config):
    set_config("winner_detection", require_both=True)
    add_ad("one", ctr=0.05, roas=0.0)
    add_ad("both", ctr=0.05, roas=3.5)
    assert queued() == ["both"]


def test_the_feature_flag_turns_it_off_and_so_does_its_absence(add_ad, queued, set_config, connection):
    set_config("feature_flags", rag_auto_indexing=False)
    add_ad("off")
    connection.execute("delete from learning_config where key = 'feature_flags'")
    add_ad("gone")
    assert queued() == []


@pytest.mark.parametrize("missing", ["ctr_threshold", "min_impressions", "min_hours_live"])
def test_a_missing_threshold_makes_nothing_a_winner(add_ad, queued, set_config, missing):
    set_config("winner_detection", **{missing: None})
    add_ad(ctr=0.9, impressions=10**9, hours=1000)
    assert queued() == []


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ('"4.5"', True),
        ('" 4.5e0 "', True),
        ('"3.0"', False),
        ('"NaN"', False),
        ('"Infinity"', False),
        ('"1e400"', False),
        ('""', False),
        ("true", False),
    ],
)
def test_a_number_in_text_counts_as_one(add_ad, queued, text, counts):
    add_ad(ctr=0.0, raw=f'{{"roas": {text}}}')
    assert queued() == (["ad-1"] if counts else [])


def test_no_configuration_at_all_makes_nothing_a_winner(add_ad, queued, connection):
    connection.execute("delete from learning_config")
    add_ad()
    assert queued() == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ctr_threshold", "0.03"), ("require_both", "0"), ("min_hours_live", "24"), ("no_such_threshold", None)],
)
def test_get_winner_threshold(connection, name, expected):
    (found,) = connection.execute("select get_winner_threshold(%s)::text", [name]).fetchone()
    assert found == expected


def test_the_mirror_writes_what_python_reads(mirror, connection, served):
    connection.execute("delete from learning_config")
    mirror.once()
    rows = dict(connection.execute("select key, value from learning_config where revision is not null"))
    assert rows == get_learning_config()


def test_a_threshold_changed_in_the_file_reaches_the_trigger(
    watching_mirror, connection, learning_file, add_ad, queued
):
    learning_file.write_text(
        learning_file.read_text().replace('"ctr_threshold": 0.03', '"ctr_threshold": 0.2')
    )
    eventually_true(connection, "select get_winner_threshold('ctr_threshold') = 0.2")
    add_ad("below", ctr=0.1)
    add_ad("above", ctr=0.3)
    assert queued() == ["above"]


def test_with_always_valid_the_clicks_must_show_it(add_ad, queued, set_config):
    set_config("winner_detection", always_valid=True)
    add_ad("above now", ctr=0.034, impressions=1_000)
    add_ad("by ROAS alone", ctr=0.02, roas=9.0, impressions=100_000)
    assert queued() == []
    add_ad("shown", ctr=0.034, impressions=20_000)
    assert queued() == ["shown"]


thresholds = st.fixed_dictionaries(
    {
        "ctr_threshold": st.sampled_from([0.0, 0.03, 0.1, 1.0]) | st.floats(0, 1),
        "roas_threshold": st.sampled_from([0.0, 3.0, 0.1]) | st.floats(0, 1e6),
        "require_both": st.booleans(),
        "always_valid": st.booleans(),
        "confidence": st.sampled_from([0.95, 0.6, 0.99]),
        "min_impressions": st.integers(0, 10**6),
        "min_hours_live": st.integers(0, 1000),
    }
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=thresholds, enabled=st.booleans() | st.just(True), data=st.data())  # fmt: skip
def test_python_and_sql_agree_on_random_ads_and_thresholds(connection, served, config, enabled, data):
    document = json.loads(served.read_bytes())
    variant = document["flags"]["learning"]["variants"]["production"]
    variant["winner_detection"] = config
    variant["feature_flags"]["rag_auto_indexing"] = enabled
    served.write_text(json.dumps(document))
    config_loader.reload_config()
    for key in ("winner_detection", "feature_flags"):
        connection.execute(
            "update learning_config set value = %s::jsonb where key = %s", [json.dumps(variant[key]), key]
        )

    def near(threshold, others):
        return data.draw(st.just(threshold) | others)

    ad = (
        near(config["ctr_threshold"], st.floats(0, 1) | st.just(float("nan"))),
        near(config["roas_threshold"], st.floats(0, 1e7)),
        near(config["min_hours_live"], st.integers(0, 2000)),
        near(config["min_impressions"], st.integers(0, 2 * 10**6)),
    )
    (in_sql,) = connection.execute(
        "select is_winner(%s::float8, %s::float8, %s::int, %s::bigint)", ad
    ).fetchone()
    assert is_winner(*ad) is in_sql, ad
