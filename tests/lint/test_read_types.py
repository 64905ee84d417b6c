"""A variant that is read as another type, by each way to it that docs/portable-rules.md has."""

import json
from collections.abc import Iterator

import pytest
from openfeature import _event_support, api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import CacheType, ResolverType
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError
from tests.flagd_server import FlagdServer
from tests.lint.read_types import READS

from windsock.evaluator import FlagEvaluator

DEFAULTS = {"boolean": False, "string": "code", "integer": -7, "float": -7.5, "object": {"code": 1}}
DOCUMENT = {"flags": {f"flag-{number}": read.flag for number, read in enumerate(READS)}}


def said(value: object, asked: str, error: str | None) -> str:
    if error is not None:
        return error.lower().replace("_", " ").replace("general", "general error")
    return "code default" if value == DEFAULTS[asked] else repr(value)


@pytest.mark.parametrize(("column", "make"), [("windsock", FlagEvaluator), ("core", FlagdCore)])
def test_evaluators(column: str, make: type) -> None:
    evaluator = make()
    evaluator.set_flags(json.dumps(DOCUMENT))
    for number, read in enumerate(READS):
        resolve = getattr(evaluator, f"resolve_{read.asked}_value")
        value, error = None, None
        try:
            value = resolve(f"flag-{number}", DEFAULTS[read.asked], EvaluationContext("ada")).value
        except OpenFeatureError as raised:
            error = raised.error_code.value
        assert said(value, read.asked, error) == getattr(read, column), read


@pytest.fixture
def served() -> Iterator[None]:
    yield
    api.shutdown()
    _event_support.clear()
    api.clear_providers()


@pytest.mark.flagd
@pytest.mark.usefixtures("served")
def test_the_server(tmp_path) -> None:
    with FlagdServer.serving(tmp_path, DOCUMENT) as server:
        stock = FlagdProvider(
            resolver_type=ResolverType.RPC, host="127.0.0.1", port=server.rpc, cache=CacheType.DISABLED
        )
        api.set_provider_and_wait(stock, domain="grpc")
        api.set_provider_and_wait(OFREPProvider(f"http://127.0.0.1:{server.ofrep}"), domain="ofrep")
        for column in ("grpc", "ofrep"):
            client = api.get_client(column)
            for number, read in enumerate(READS):
                details = getattr(client, f"get_{read.asked}_details")(
                    f"flag-{number}", DEFAULTS[read.asked], EvaluationContext("ada")
                )
                error = None if details.error_code is None else details.error_code.value
                assert said(details.value, read.asked, error) == getattr(read, column), read
