"""Selectors on a real flagd with two sets: only the set that is asked for serves, with its own metadata."""

from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest
from openfeature import api
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason
from openfeature.provider import AbstractProvider
from tests.flagd_server import FlagdServer
from tests.flagfiles import write_text
from tests.providers.test_remote import asking
from tests.providers.test_stream import following
from tests.waiting import until

from windsock.providers.base import ServingProvider

pytestmark = pytest.mark.flagd

A = """{"metadata": {"flagSetId": "a", "team": "one"}, "flags": {
    "shared": {"state": "DISABLED", "variants": {"it": "of a"}, "defaultVariant": "it"},
    "only-a": {"state": "ENABLED", "variants": {"it": "x"}, "defaultVariant": "it"},
    "own": {"state": "ENABLED", "variants": {"it": "x"}, "defaultVariant": "it", "metadata": {"team": "two"}}}}"""
B = """{"metadata": {"flagSetId": "b"}, "flags": {
    "shared": {"state": "ENABLED", "variants": {"it": "of b"}, "defaultVariant": "it"}}}"""


@pytest.fixture(scope="module")
def flagd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlagdServer]:
    folder = tmp_path_factory.mktemp("selectors")
    paths = [folder / "a.flagd.json", folder / "b.flagd.json"]
    for path, text in zip(paths, (A, B), strict=True):
        write_text(path, text)
    with FlagdServer(*paths) as flagd:
        yield flagd


def serving(
    resolver: str, flagd: FlagdServer, selector: str, deadline: float = 5.0
) -> AbstractContextManager[AbstractProvider]:
    if resolver == "stream":
        return following(flagd.sync, selector=selector, deadline=deadline)
    return asking(flagd.rpc, selector=selector, deadline=deadline)


def details(key: str) -> FlagEvaluationDetails[str]:
    return api.get_client().get_string_details(key, "default")


@pytest.mark.parametrize("resolver", ["stream", "remote"])
def test_only_the_selected_set_serves(resolver: str, flagd: FlagdServer) -> None:
    with serving(resolver, flagd, "flagSetId=a"):
        assert details("only-a").value == "x"
        assert (details("shared").value, str(details("shared").reason)) == ("default", Reason.DISABLED)
    with serving(resolver, flagd, "flagSetId=b"):
        assert (details("shared").value, str(details("shared").reason)) == ("of b", Reason.STATIC)
        assert str(details("only-a").reason) == Reason.ERROR


@pytest.mark.parametrize("resolver", ["stream", "remote"])
def test_the_set_s_metadata_arrives_and_the_flag_s_own_wins(resolver: str, flagd: FlagdServer) -> None:
    with serving(resolver, flagd, "flagSetId=a"):
        assert details("only-a").flag_metadata["team"] == "one"
        assert details("own").flag_metadata["team"] == "two"


@pytest.mark.parametrize("resolver", ["stream", "remote"])
def test_a_selector_that_selects_nothing_is_not_ready(resolver: str, flagd: FlagdServer) -> None:
    with serving(resolver, flagd, "flagSetId=nobody", deadline=1.0) as provider:
        assert isinstance(provider, ServingProvider)
        assert not provider.ready()
        assert until(lambda: "flag" in provider.serving.stale), provider.serving
        assert details("shared").value == "default"
