"""Settings over a flagd server that evaluates, beside one plain call.

    FLAGD_BIN=flagd python -m bench.remote [--users 600]

Each user is new. The base flag has no rule, the profile lists users, and there is no experiment. Prints the
median of each in milliseconds, and the ratio asked: at most 1.2. Writes bench/results/remote.json, which
``python -m bench.page`` shows in docs/benchmarks.md. Needs the extra `flagd` and a flagd server.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.page import REMOTE
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from tests.flagd_server import FlagdServer
from tests.flagfiles import object_flag

import windsock
from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.remote import RemoteProvider

LISTED = {"if": [{"in": [{"var": "targetingKey"}, ["ann", "bob"]]}, "tuned"]}
FLAGS = {
    "search": object_flag({"base": {"top_k": 25}}, "base"),
    "search.profile": object_flag({"none": {}, "tuned": {"top_k": 40}}, "none") | {"targeting": LISTED},
}


class Search(windsock.Settings, flag="search"):
    top_k: int = 10


def milliseconds(call: Callable[[str], object], user: str) -> float:
    began = time.perf_counter()
    call(user)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=600)
    users = parser.parse_args().users
    with (
        tempfile.TemporaryDirectory() as folder,
        FlagdServer.serving(Path(folder), {"flags": FLAGS}) as flagd,
    ):
        provider = RemoteProvider(FlagdOptions(port=flagd.rpc))
        api.set_provider_and_wait(provider)
        client = api.get_client()
        calls: dict[str, Callable[[str], object]] = {
            "one call": lambda user: client.get_object_value("search.profile", {}, EvaluationContext(user)),
            "settings": Search.for_user,
            "settings again": lambda _: Search.for_user("known"),
        }
        times: dict[str, list[float]] = {name: [] for name in calls}
        for number in range(users):
            for name, call in calls.items():  # in turn, since a shared machine has its moods
                times[name].append(milliseconds(call, f"{name} {number}"))
        provider.shutdown()
    found = {name: statistics.median(each) for name, each in times.items()}
    for name, median in found.items():
        print(f"{name:15} {median:6.2f} ms {median / found['one call']:5.2f} ×")
    REMOTE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
