"""A reader in Node, with OpenFeature's SDK and its flagd provider, sees what Python sees, from the same flags."""

import json
import os
import subprocess

import pytest
from examples.ad_learning.settings import Learning
from tests.examples.ad_learning.conftest import REPOSITORY
from tests.examples.conftest import eventually
from tests.flagd_server import FlagdServer
from tests.flagfiles import profile_flag
from tests.node_packages import node_packages_unavailable

import windsock
from examples.ad_learning import config_loader

NODE = REPOSITORY / "examples/ad_learning/node"
ENVIRONMENTS = ["production", "development", "staging", "elsewhere"]
PROFILES = {
    "bold": {"safe_executor": {"budget_velocity": {"max_change_pct": 50.0}, "jitter": {"enabled": False}}},
    "strict": {"winner_detection": {"ctr_threshold": 0.09, "require_both": True}},
}
USERS = {"ann": "bold", "ben": "strict"}


@pytest.fixture(scope="module", autouse=True)
def packages():
    if reason := node_packages_unavailable(NODE):
        pytest.skip(reason)


@pytest.fixture
def learning_file(learning_file):
    """The flag file, with two profiles as the mirror writes them; Node's provider reads one file."""
    document = json.loads(learning_file.read_bytes())
    document["flags"]["learning.profile"] = profile_flag(PROFILES, USERS)
    learning_file.write_text(json.dumps(document))
    return learning_file


class Reader:
    """The program, with its flags in a file or at a server."""

    def __init__(self, **variables):
        self.process = subprocess.Popen(
            ["node", NODE / "reader.mjs"],
            env=os.environ | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def settings(self, environment, user=None):
        context = {"environment": environment} | ({"targetingKey": user} if user else {})
        self.process.stdin.write(json.dumps(context) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _, said = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, said


def from_file(path):
    return Reader(FLAGD_RESOLVER="in-process", FLAGD_OFFLINE_FLAG_SOURCE_PATH=str(path))


def python_settings(monkeypatch, environment, user=None):
    """What Python has in an environment; no variable of the executor's is set."""
    monkeypatch.setenv("ENVIRONMENT", environment)
    config_loader.start()
    try:
        seen = Learning.for_user(user) if user else Learning.live()
        return {
            section: getattr(seen, section).model_dump(mode="json")
            for section in ("safe_executor", "winner_detection")
        }
    finally:
        windsock.stop()


def assert_the_same(reader, monkeypatch):
    for environment in ENVIRONMENTS:
        for user in (None, "somebody", *USERS):
            expected = python_settings(monkeypatch, environment, user)
            assert reader.settings(environment, user) == expected, (environment, user)


def change(path):
    """Other numbers in every variant, and in a profile."""
    text = path.read_text()
    path.write_text(
        text.replace('"max_actions_per_hour": 15', '"max_actions_per_hour": 7').replace(
            '"ctr_threshold": 0.09', '"ctr_threshold": 0.11'
        )
    )


def has_changed(reader):
    return reader.settings("staging")["safe_executor"]["rate_limiting"]["max_actions_per_hour"] == 7


def test_node_sees_the_same_values_as_python_from_the_same_file(learning_file, monkeypatch):
    with from_file(learning_file) as reader:
        assert reader.settings("development")["safe_executor"]["poll_interval_ms"] == 1000
        ann = reader.settings("production", "ann")["safe_executor"]
        assert ann["budget_velocity"] == {"max_change_pct": 50.0, "velocity_window_hours": 6}
        assert_the_same(reader, monkeypatch)


def test_node_follows_a_change_of_the_file_while_it_runs(learning_file, monkeypatch):
    with from_file(learning_file) as reader:
        assert not has_changed(reader)
        change(learning_file)
        eventually(lambda: has_changed(reader), seconds=60)  # the provider looks every five seconds
        assert reader.settings("production", "ben")["winner_detection"]["ctr_threshold"] == 0.11
        assert_the_same(reader, monkeypatch)


@pytest.mark.flagd
@pytest.mark.parametrize("resolver", ["rpc", "in-process"])
def test_node_sees_the_same_values_through_a_flagd_server(learning_file, monkeypatch, resolver):
    with FlagdServer(learning_file) as server:
        port = {"rpc": server.rpc, "in-process": server.sync}[resolver]
        with Reader(FLAGD_RESOLVER=resolver, FLAGD_HOST="127.0.0.1", FLAGD_PORT=str(port)) as reader:
            assert_the_same(reader, monkeypatch)
            change(learning_file)
            eventually(lambda: has_changed(reader), seconds=60)
            assert_the_same(reader, monkeypatch)


@pytest.mark.parametrize(
    ("document", "said"),
    [('{"flags": {}}', "flag learning: FLAG_NOT_FOUND"), (None, "File not found")],
)
def test_without_its_flag_it_says_so_and_where_to_look(tmp_path, document, said):
    path = tmp_path / "other.flagd.json"
    if document is not None:
        path.write_text(document)
    process = from_file(path).process
    _, errors = process.communicate("{}\n", timeout=60)
    assert process.returncode == 1
    assert said in errors
    assert "look at FLAGD_RESOLVER" in errors
