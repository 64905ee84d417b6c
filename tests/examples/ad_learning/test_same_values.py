"""Python, the database, Node and a flagd server have the same values, whatever base and profile say: or `check` refuses it."""

import json
import logging
from dataclasses import dataclass
from itertools import count

import pytest
from examples.ad_learning.settings import Learning
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.examples.ad_learning.test_node import NODE, from_file, from_server
from tests.flagd_server import FlagdServer
from tests.flagfiles import object_flag, profile_flag, write_text
from tests.node_packages import node_packages_unavailable
from tests.waiting import eventually

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


@dataclass(frozen=True)
class Case:
    """What the flags say, and for whom: ann has the profile, cat the arm, dan both, ben neither."""

    base: dict
    profile: dict
    arm: dict
    environment: str
    user: str | None


cases = st.builds(
    Case, bases, sections, sections, st.sampled_from(ENVIRONMENTS), st.sampled_from([None, *["ann", "ben", "cat", "dan"]])
)  # fmt: skip


@pytest.fixture
def written(learning_file):
    """Write the flags of a case; gives why lint or the check of the classes refuses them."""

    def write(base, profile=None, arm=None, number=0):
        document = json.loads(learning_file.read_bytes())
        document["flags"]["learning"]["variants"] = base
        document["flags"]["learning.profile"] = profile_flag(
            {"tuned": profile or {}}, {"ann": "tuned", "dan": "tuned"}
        )
        in_arm = {"if": [{"in": [{"var": "targetingKey"}, ["cat", "dan"]]}, "tried"]}
        document["flags"]["learning.experiment"] = object_flag(
            {"none": {}, "tried": arm or {}}, "none", in_arm, fields=" ".join(arm or {})
        )
        document["flags"]["written"] = object_flag({"number": number}, "number")
        write_text(learning_file, json.dumps(document))
        data = learning_file.read_bytes()
        found = [str(each) for each in lint(data, "learning").findings if each.level is Level.ERROR]
        flag_set = merge([read_document(data, "learning")])
        return found + [each.message for each in misfits(flag_set, [Learning.__windsock__.declaration])]

    return write


@pytest.fixture
def in_python(monkeypatch, learning_file):
    def values(environment, user=None):
        monkeypatch.setenv("ENVIRONMENT", environment)
        config_loader.start()
        try:
            return Learning.for_user(user).model_dump(mode="json")
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
    assert "stay as they are" in caplog.text


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(base=bases, environment=st.sampled_from(ENVIRONMENTS))
def test_python_and_sql_have_the_same_or_it_is_refused(written, in_python, in_sql, base, environment):
    if written(base):
        return
    assert in_sql(environment) == in_python(environment)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases)
def test_node_has_the_same_or_it_is_refused(written, in_python, learning_file, case):
    if reason := node_packages_unavailable(NODE):
        pytest.skip(reason)
    if written(case.base, case.profile, case.arm):
        return
    with from_file(learning_file) as reader:
        seen = reader.settings(case.environment, case.user)
    assert seen == shown_by_node(in_python(case.environment, case.user))


@pytest.fixture
def served_by_flagd(learning_file):
    with FlagdServer(learning_file) as server:
        yield server


@pytest.fixture
def node(served_by_flagd):
    if reason := node_packages_unavailable(NODE):
        pytest.skip(reason)
    with from_server(served_by_flagd, "rpc") as reader:
        yield reader


@pytest.fixture
def through_flagd(served_by_flagd, monkeypatch):
    """The values that the settings class has where a flagd server evaluates its flags."""

    def values(environment, user):
        monkeypatch.setenv("ENVIRONMENT", environment)
        port = str(served_by_flagd.rpc)
        with monkeypatch.context() as patch:
            for name, value in {
                "FLAGD_RESOLVER": "rpc",
                "FLAGD_HOST": "127.0.0.1",
                "FLAGD_PORT": port,
            }.items():
                patch.setenv(name, value)
            with windsock.start(usage=False):
                return Learning.for_user(user).model_dump(mode="json")

    return values


numbers = count(1)


@pytest.mark.flagd
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases)
def test_a_flagd_server_has_the_same_or_it_is_refused(
    *, written, in_python, served_by_flagd, node, through_flagd, case
):
    number = next(numbers)
    if written(case.base, case.profile, case.arm, number):
        return
    eventually(lambda: served_by_flagd.evaluate("written", {}).get("value") == number)
    expected = in_python(case.environment, case.user)
    assert through_flagd(case.environment, case.user) == expected
    assert node.settings(case.environment, case.user) == shown_by_node(expected)


def shown_by_node(values):
    return {name: values[name] for name in ("safe_executor", "winner_detection")}
