"""A reader in Node, with OpenFeature's SDK and its flagd provider, sees what Python sees, from the same flags."""

import json
import os
import subprocess
from collections import ChainMap
from itertools import cycle
from uuid import UUID

import pytest
from examples.ad_learning.settings import Learning
from tests.examples.ad_learning.conftest import REPOSITORY
from tests.flagd_server import FlagdServer
from tests.flagfiles import profile_flag
from tests.node_packages import node_packages_unavailable
from tests.waiting import eventually

import windsock
from examples.ad_learning import config_loader, node_variables
from windsock.flag_names import shard_of
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions

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
def flags(learning_file):
    """The flag file, with two profiles as the mirror writes them; Node's provider reads one file."""
    document = json.loads(learning_file.read_bytes())
    document["flags"]["learning.profile"] = profile_flag(PROFILES, USERS)
    learning_file.write_text(json.dumps(document))
    return learning_file


@pytest.fixture
def shards(database, connection, learning_file):
    """The documents of a mirror that spreads twelve users, two of three with a profile, over three of them."""
    ids = {
        name: connection.execute(
            "insert into app_configurations (name, settings) values (%s, %s::jsonb) returning id",
            [name, json.dumps(settings)],
        ).fetchone()[0]
        for name, settings in PROFILES.items()
    }
    for number, config_id in zip(range(12), cycle([*ids.values(), None]), strict=False):
        connection.execute(
            "insert into profiles (id, config_id) values (%s, %s)", [UUID(int=number), config_id]
        )
    options = MirrorOptions(
        url=database, folder=learning_file.parent / "mirror", flags=("learning",), shards=3
    )
    Mirror(options).once()
    return sorted(options.folder.glob("*.flagd.json"))


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
        return self.answer({"environment": environment} | ({"targetingKey": user} if user else {}))

    def answer(self, context):
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


def from_server(server, resolver):
    port = {"rpc": server.rpc, "in-process": server.sync}[resolver]
    return Reader(FLAGD_RESOLVER=resolver, FLAGD_HOST="127.0.0.1", FLAGD_PORT=str(port))


def python_settings(monkeypatch, environment, user=None):
    """What Python has in an environment."""
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


def assert_the_same(reader, monkeypatch, users=USERS):
    for environment in ENVIRONMENTS:
        for user in (None, "somebody", *users):
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


def test_node_sees_the_same_values_as_python_from_the_same_file(flags, monkeypatch):
    with from_file(flags) as reader:
        assert reader.settings("development")["safe_executor"]["poll_interval_ms"] == 1000
        ann = reader.settings("production", "ann")["safe_executor"]
        assert ann["budget_velocity"] == {"max_change_pct": 50.0, "velocity_window_hours": 6}
        assert_the_same(reader, monkeypatch)


def test_node_follows_a_change_of_the_file_while_it_runs(flags, monkeypatch):
    with from_file(flags) as reader:
        assert not has_changed(reader)
        change(flags)
        eventually(lambda: has_changed(reader), seconds=60)  # the provider looks every five seconds
        assert reader.settings("production", "ben")["winner_detection"]["ctr_threshold"] == 0.11
        assert_the_same(reader, monkeypatch)


@pytest.mark.flagd
@pytest.mark.parametrize("resolver", ["rpc", "in-process"])
def test_node_sees_the_same_values_through_a_flagd_server(flags, monkeypatch, resolver):
    with FlagdServer(flags) as server, from_server(server, resolver) as reader:
        assert_the_same(reader, monkeypatch)
        change(flags)
        eventually(lambda: has_changed(reader), seconds=60)
        assert_the_same(reader, monkeypatch)


VARIABLES = {
    "WINNER_CTR_THRESHOLD": " 5e-2 ",
    "WINNER_MIN_IMPRESSIONS": "7.0",
    "SAFE_EXECUTOR_ENABLED": "Off",
    "POLL_INTERVAL_MS": "7000",
    "SAFE_EXECUTOR_POLL_INTERVAL_MS": "8000",
    "MAX_ACTIONS_PER_HOUR": "-1",  # out of range
    "MAX_ACTIONS_PER_DAY": "",
    "MAX_BUDGET_CHANGE_PCT": "twelve",
    "VELOCITY_WINDOW_HOURS": "0",  # must be above
    "JITTER_ENABLED": "f",
    "FUZZY_BUDGET_VARIANCE_PCT": ".5",
}


def test_node_follows_the_variables_as_python_does(flags, monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    with from_file(flags) as reader:
        seen = reader.settings("production")
        assert seen["safe_executor"]["poll_interval_ms"] == 8000
        assert seen["safe_executor"]["rate_limiting"]["max_actions_per_hour"] == 15
        assert seen["winner_detection"]["ctr_threshold"] == 0.05
        assert_the_same(reader, monkeypatch)


def test_node_follows_the_environment_of_its_process(flags, monkeypatch):
    with Reader(
        ENVIRONMENT="development", FLAGD_RESOLVER="in-process", FLAGD_OFFLINE_FLAG_SOURCE_PATH=str(flags)
    ) as reader:
        assert reader.answer({}) == python_settings(monkeypatch, "development")
        assert reader.answer({"environment": "staging"}) == python_settings(monkeypatch, "staging")


@pytest.mark.parametrize("named", ["the file", "its folder"])
def test_node_reads_a_file_where_the_resolver_says_so(flags, monkeypatch, named):
    path = flags if named == "the file" else flags.parent
    with Reader(FLAGD_RESOLVER="file", FLAGD_OFFLINE_FLAG_SOURCE_PATH=str(path)) as reader:
        assert_the_same(reader, monkeypatch)


def test_node_knows_the_variables_of_the_settings_class():
    for name, text in node_variables.files().items():
        assert (node_variables.FOLDER / name).read_text() == text


def assert_the_same_in_every_shard(reader, monkeypatch, shards):
    users = [str(UUID(int=number)) for number in range(12)]
    assert {shard_of(user, len(shards)) for user in users} == {0, 1, 2}
    seen = [reader.settings("production", user) for user in users]
    assert [each["safe_executor"]["jitter"]["enabled"] for each in seen] == [False, True, True] * 4
    assert [each["winner_detection"]["require_both"] for each in seen] == [False, True, False] * 4
    assert_the_same(reader, monkeypatch, users)


def test_node_sees_every_shard_as_python_does(learning_file, shards, monkeypatch, tmp_path):
    documents = [json.loads(path.read_bytes())["flags"] for path in (learning_file, *shards)]
    one_file = tmp_path / "all.flagd.json"
    one_file.write_text(json.dumps({"flags": dict(ChainMap(*documents))}))
    with from_file(one_file) as reader:
        assert_the_same_in_every_shard(reader, monkeypatch, shards)


@pytest.mark.flagd
@pytest.mark.parametrize("resolver", ["rpc", "in-process"])
def test_node_sees_every_shard_through_a_flagd_server(learning_file, shards, monkeypatch, resolver):
    with FlagdServer(learning_file, *shards) as server, from_server(server, resolver) as reader:
        assert_the_same_in_every_shard(reader, monkeypatch, shards)


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
