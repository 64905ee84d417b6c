"""Other people's readers of the mirror's files: the stock Python provider, and the flagd server."""

import json
import os
import shutil
import subprocess
import time

import httpx
import pytest
from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from tests.ports import free_ports

from windsock.mirror.documents import shard_of

SETTINGS = {"retrieval_top_k": 25, "rerank_top_n": 5, "reasoning_model": "gpt-4o", "temperature": 0.2}


@pytest.fixture
def population(world):
    """Users by what they should be served: settings and variant."""
    hostile = {'q"uo\\te': ["</script>", "\u2028", "🙂", {"deep": [None, True, 1.5]}], "": {}}
    other = world.configuration('a "name"\n{{x}} & <b>', hostile)
    off = world.configuration("off", {"retrieval_top_k": 1}, active=False)
    expected = {}
    for number in range(30):
        config, settings = [(world.seed, SETTINGS), (other, hostile), (off, None), (None, None)][number % 4]
        user = world.user(config)
        expected[user] = (settings, config) if settings else ({}, "none")
    return expected


def test_the_stock_provider_reads_the_file(world, population):
    world.mirror().once()
    provider = FlagdProvider(
        resolver_type=ResolverType.FILE, offline_flag_source_path=str(world.folder / "profiles.flagd.json")
    )
    api.set_provider_and_wait(provider, domain="stock")
    try:
        client = api.get_client("stock")
        for user, (settings, variant) in population.items():
            details = client.get_object_details("teacher.profile", {"code": 1}, EvaluationContext(user))
            assert (details.value, details.variant) == (settings, variant)
        assert client.get_object_value("teacher.profile", {"code": 1}) == {}
        assert client.get_integer_value("teacher.profile.shards", 0) == 1
    finally:
        provider.shutdown()


@pytest.fixture
def flagd(world):
    """Start a flagd server on the files; give a function that evaluates over OFREP."""
    program = os.environ.get("FLAGD_BIN") or shutil.which("flagd")
    if not program:
        pytest.skip("there is no flagd server: set FLAGD_BIN to its binary")
    started, clients = [], []

    def start(*, names=()):
        rpc, management, sync, ofrep = free_ports(4)
        paths = [world.folder / name for name in names] or sorted(world.folder.glob("*.flagd.json"))
        sources = [{"uri": str(path), "provider": "fsnotify"} for path in paths]
        command = [program, "start", "--sources", json.dumps(sources), "-p", str(rpc), "-m", str(management)]
        command += ["--sync-port", str(sync), "--ofrep-port", str(ofrep)]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        client = httpx.Client(base_url=f"http://127.0.0.1:{ofrep}", timeout=5)
        clients.append(client)

        def evaluate(flag, user):
            answer = client.post(f"/ofrep/v1/evaluate/flags/{flag}", json={"context": {"targetingKey": user}})
            return answer.json()

        deadline = time.monotonic() + 20
        while True:  # readiness says nothing about the flags, so ask for one
            try:
                if "value" in evaluate("teacher.profile.shards", "x"):
                    return evaluate
            except httpx.HTTPError:
                pass
            assert started[-1].poll() is None, "flagd ended at once"
            assert time.monotonic() < deadline, "flagd did not load the files"
            time.sleep(0.05)

    yield start
    for client in clients:
        client.close()
    for process in started:
        process.terminate()
        process.wait(timeout=10)


@pytest.mark.flagd
@pytest.mark.parametrize("shards", [1, 5])
def test_the_flagd_server_reads_the_files(world, population, flagd, shards):
    world.mirror(shards=shards).once()
    evaluate = flagd()
    for user, (settings, variant) in population.items():
        flag = "teacher.profile" if shards == 1 else f"teacher.profile.{shard_of(user, shards)}"
        answer = evaluate(flag, user)
        assert (answer["value"], answer["variant"]) == (settings, variant)
    assert evaluate("teacher.profile.shards", "x")["value"] == shards


@pytest.mark.flagd
def test_the_flagd_server_follows_the_mirror(world, flagd, watching, eventually):
    ann = world.user()
    watching(world.mirror())
    eventually(lambda: "teacher.profile" in world.flags())
    evaluate = flagd()
    assert evaluate("teacher.profile", ann)["value"] == {}
    world.assign(ann, world.seed)
    eventually(lambda: evaluate("teacher.profile", ann)["value"] == SETTINGS)
    world.execute("update app_configurations set settings = settings || '{\"retrieval_top_k\": 30}'")
    eventually(lambda: evaluate("teacher.profile", ann)["value"]["retrieval_top_k"] == 30)
    world.execute("delete from app_configurations")
    eventually(lambda: evaluate("teacher.profile", ann)["value"] == {})


@pytest.mark.flagd
def test_a_flagd_that_starts_before_the_first_file_ends_and_serves_when_started_again(
    world, population, flagd
):
    """So its supervisor restarts it, as docker-compose.yml does; an end is better than an empty set."""
    with pytest.raises(AssertionError, match="flagd ended at once"):
        flagd(names=["profiles.flagd.json"])
    world.mirror().once()
    evaluate = flagd(names=["profiles.flagd.json"])
    for user, (settings, _) in population.items():
        assert evaluate("teacher.profile", user)["value"] == settings
