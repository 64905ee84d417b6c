"""Python, the database and the reader in Node have the same values, whatever the base says: or `check` refuses it."""

import json
import logging

import pytest
from examples.ad_learning.config_loader import get_learning_config
from examples.ad_learning.settings import Learning
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.examples.ad_learning.test_node import NODE, from_file
from tests.node_packages import node_packages_unavailable

import windsock
from examples.ad_learning import config_loader
from windsock.flags import merge, read_document
from windsock.gitops.misfits import misfits
from windsock.lint.linter import Level, lint
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions

ENVIRONMENTS = ["production", "development", "staging", "elsewhere"]
odd = st.sampled_from(["0.05", "", "many", 46, -1, None, True, [], {}])
fields = {
    "ctr_threshold": st.floats(0, 1) | odd,
    "roas_threshold": st.floats(0, 100) | st.integers(0, 100) | odd,
    "require_both": st.booleans() | odd,
    "min_impressions": st.integers(0, 10_000) | odd,
    "min_hours_live": st.integers(0, 100) | odd,
}
winner_detection = st.fixed_dictionaries({}, optional=fields)
sections = st.fixed_dictionaries(
    {},
    optional={
        "winner_detection": winner_detection | odd,
        "feature_flags": st.fixed_dictionaries({}, optional={"rag_auto_indexing": st.booleans() | odd}),
        "safe_executor": st.fixed_dictionaries({}, optional={"poll_interval_ms": st.integers(1, 9000) | odd}),
    },
)
bases = st.fixed_dictionaries({"production": sections, "development": sections, "staging": sections})


@pytest.fixture
def written(learning_file):
    """Write the three bases into the flag file; gives why lint or the check of the classes refuses them."""

    def write(base):
        document = json.loads(learning_file.read_bytes())
        document["flags"]["learning"]["variants"] = base
        learning_file.write_text(json.dumps(document))
        data = learning_file.read_bytes()
        found = [str(each) for each in lint(data, "learning").findings if each.level is Level.ERROR]
        flag_set = merge([read_document(data, "learning")])
        return found + [each.message for each in misfits(flag_set, [Learning.__windsock__.declaration])]

    return write


@pytest.fixture
def in_python(monkeypatch, learning_file):
    def values(environment):
        monkeypatch.setenv("ENVIRONMENT", environment)
        config_loader.start()
        try:
            return get_learning_config()
        finally:
            windsock.stop()

    return values


@pytest.fixture
def in_sql(database, connection, learning_file, tmp_path):
    def values(environment):
        connection.execute("delete from learning_config")
        options = MirrorOptions(
            url=database,
            folder=tmp_path / "mirror",
            flags=("learning",),
            settings=(Learning,),
            learning_config=("learning",),
            git_folder=learning_file.parent,
            environment=environment,
        )
        Mirror(options).once()
        return dict(connection.execute("select key, value from learning_config"))

    return values


def test_a_base_that_says_nothing_is_the_code_defaults_everywhere(written, in_python, in_sql, connection):
    assert written({"production": {}, "development": {}, "staging": {}}) == []
    assert in_sql("production") == in_python("production")
    connection.execute(
        "insert into ads (ad_id, campaign_id, ctr, impressions, created_at)"
        " values ('half', 'c', 0.5, 5000, now() - interval '2 days')"
    )
    assert connection.execute("select payload ->> 'ad_id' from pending_jobs").fetchall() == [("half",)]


def test_a_base_that_does_not_fit_is_named_and_sql_keeps_what_it_has(
    written, in_sql, connection, learning_file, caplog
):
    wild = {"production": {"winner_detection": {"ctr_threshold": 46}}, "development": {}, "staging": {}}
    assert written(wild) != []
    caplog.set_level(logging.ERROR)
    assert in_sql("production") == {}
    assert "ctr_threshold" in caplog.text
    assert "SQL keeps what it has" in caplog.text


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(base=bases, environment=st.sampled_from(ENVIRONMENTS))
def test_python_and_sql_have_the_same_or_it_is_refused(written, in_python, in_sql, base, environment):
    if written(base):
        return
    assert in_sql(environment) == in_python(environment)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(base=bases, environment=st.sampled_from(ENVIRONMENTS))
def test_node_has_the_same_or_it_is_refused(written, in_python, learning_file, base, environment):
    if reason := node_packages_unavailable(NODE):
        pytest.skip(reason)
    if written(base):
        return
    expected = in_python(environment)
    with from_file(learning_file) as reader:
        seen = reader.settings(environment)
    assert seen == {name: expected[name] for name in ("safe_executor", "winner_detection")}
