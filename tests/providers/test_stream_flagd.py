"""The stream against a real flagd server: what its wire format does to flags, and its going and coming."""

import json
from pathlib import Path

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus
from tests.flagd_server import FlagdServer
from tests.flagfiles import object_flag
from tests.providers.test_stream import following, status, value
from tests.waiting import until

pytestmark = pytest.mark.flagd

NAMED = {"if": [{"==": [{"var": "name"}, "Zoë"]}, "tuned", "none"]}
SETTINGS = {"none": {}, "tuned": {"top_k": 25, "exact": 2.0}}
FLAGS = {
    "colour": {"state": "ENABLED", "variants": {"it": "red"}, "defaultVariant": "it"},
    "settings": object_flag(SETTINGS, "none", NAMED) | {"metadata": {"owner": "search", "bucketing": "v2"}},
    "unset": object_flag(SETTINGS, None),
    "off": object_flag(SETTINGS, "tuned") | {"state": "DISABLED"},
    "split": object_flag(SETTINGS, "none", {"fractional": [["none", 50], ["tuned", 50]]}),
}


def test_every_shape_arrives(tmp_path: Path) -> None:
    with FlagdServer.serving(tmp_path, {"flags": FLAGS}) as flagd, following(flagd.sync) as provider:
        client = api.get_client()
        zoe = EvaluationContext("zoe", {"name": "Zoë"})
        tuned = client.get_object_details("settings", {"x": 1}, zoe)
        assert tuned.value == SETTINGS["tuned"]
        assert (tuned.variant, tuned.reason) == ("tuned", Reason.TARGETING_MATCH)
        assert tuned.flag_metadata["owner"] == "search"
        default = {"x": 1}
        for key, reason in (("unset", Reason.DEFAULT), ("off", Reason.DISABLED)):
            details = client.get_object_details(key, default)
            assert (details.value, details.reason) == (default, reason)
        assert provider.serving.problems == ()


def test_the_server_and_the_stream_bucket_alike(tmp_path: Path) -> None:
    from windsock.doctor.evaluators import ofrep

    with FlagdServer.serving(tmp_path, {"flags": FLAGS}) as flagd, following(flagd.sync) as provider:
        ask = ofrep(f"http://127.0.0.1:{flagd.ofrep}")
        split = provider.compiled["split"]
        users = [{"targetingKey": f"user-{number}"} for number in range(300)]
        assert [split.evaluate(user).variant for user in users] == [ask(split.flag, user) for user in users]


def test_a_change_of_the_file_arrives(tmp_path: Path) -> None:
    with FlagdServer.serving(tmp_path, {"flags": FLAGS}) as flagd, following(flagd.sync):
        flagd.write(FLAGS | {"colour": {**FLAGS["colour"], "variants": {"it": "blue"}}})
        assert until(lambda: value() == "blue")


def test_a_server_that_is_killed_and_started_again(tmp_path: Path) -> None:
    with FlagdServer.serving(tmp_path, {"flags": FLAGS}) as flagd, following(flagd.sync):
        flagd.stop()
        assert until(lambda: status() is ProviderStatus.STALE)
        assert value() == "red"
        flagd.write(FLAGS | {"colour": {**FLAGS["colour"], "variants": {"it": "blue"}}})
        flagd.start()
        assert until(lambda: value() == "blue" and status() is ProviderStatus.READY)


def test_a_set_above_4_mib(tmp_path: Path) -> None:
    users = [f"user-{number:08}" for number in range(400_000)]
    rule = {"if": [{"in": [{"var": "targetingKey"}, users]}, "tuned"]}
    big = FLAGS | {"settings": object_flag(SETTINGS, "none", rule)}
    assert len(json.dumps(big)) > 6_000_000
    with FlagdServer.serving(tmp_path, {"flags": big}) as flagd, following(flagd.sync, deadline=30.0):
        details = api.get_client().get_object_details("settings", {}, EvaluationContext("user-00399999"))
        assert details.variant == "tuned"
