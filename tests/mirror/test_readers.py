"""Other people's readers of the mirror's files: the stock Python provider, and the flagd server."""

import contextlib

import pytest
from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from tests.flagd_server import FlagdServer
from tests.waiting import eventually

from windsock.flag_names import shard_of

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
        api.clear_providers()


@pytest.fixture
def flagd(world):
    """Start a flagd server on the files; give a function that evaluates over OFREP."""
    with contextlib.ExitStack() as stack:

        def start(*, names=()):
            paths = [world.folder / name for name in names] or sorted(world.folder.glob("*.flagd.json"))
            server = stack.enter_context(FlagdServer(*paths))
            return lambda flag, user: server.evaluate(flag, {"targetingKey": user})

        yield start


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
def test_the_flagd_server_follows_the_mirror(world, flagd, watching):
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
    with pytest.raises(RuntimeError, match="flagd ended"):
        flagd(names=["profiles.flagd.json"])
    world.mirror().once()
    evaluate = flagd(names=["profiles.flagd.json"])
    for user, (settings, _) in population.items():
        assert evaluate("teacher.profile", user)["value"] == settings
