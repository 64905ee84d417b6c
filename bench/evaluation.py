"""What an evaluation costs, side by side: ``uv run --group bench python -m bench.evaluation``.

windsock's public API beside its peers (bench/peers.py) in interleaved rounds on one core, also with a hook
registered; lists of a million ids (bench/ids.py); imports. Prints the tables of docs/benchmarks.md and writes
bench/results/evaluation.json; ``--page`` writes the page from it.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.page import PAGE, RESULTS, page, tables
from bench.peers import PEERS, USERS, Works, stock_flagd, windsock
from bench.timing import Line, interleaved, pin, returning

COMMAND = "uv run --group bench python -m bench.evaluation"
IMPORTS = {
    "windsock": "import windsock",
    "pydantic-settings and openfeature": "import pydantic_settings.main, openfeature.api",
}
IMPORT_ROUNDS = 15
LOADS = 5
PACKAGES = [
    "windsock", "openfeature-sdk", "openfeature-provider-flagd", "openfeature-flagd-core", "pydantic",
    "growthbook", "statsig-python-core", "launchdarkly-server-sdk", "unleashclient", "logfire",
]  # fmt: skip


def check(name: str, works: Works) -> None:
    """A contender that answers wrong is not measured."""
    static, split = (
        [works[work](user) for user in USERS] if work in works else None for work in ("static", "split")
    )
    wrong = static is not None and set(static) != {True}
    wrong |= "attribute" in works and not all(works["attribute"](user) is True for user in USERS)
    wrong |= split is not None and not 30 <= sum(answer is True for answer in split) <= 70
    if wrong:
        raise SystemExit(f"{name} does not answer as the flags say; it is set up wrong")


def measure_calls(rounds: int) -> object:
    """Every peer at every work."""
    with contextlib.ExitStack() as stack:
        lines = []
        for name, peer in PEERS.items():
            works = stack.enter_context(peer())
            check(name, works)
            lines += [Line(work, name, call, returning(USERS)) for work, call in works.items()]
        return interleaved(lines, rounds)


@contextlib.contextmanager
def hooked() -> Iterator[Counter[str]]:
    """One hook with all four stages, registered for every client; counts the stages that it saw."""
    from openfeature import api
    from openfeature.hook import Hook

    seen: Counter[str] = Counter()

    class Stages(Hook):
        def before(self, hook_context: object, hints: object) -> None:
            seen["before"] += 1

        def after(self, hook_context: object, details: object, hints: object) -> None:
            seen["after"] += 1

        def error(self, hook_context: object, exception: object, hints: object) -> None:
            seen["error"] += 1

        def finally_after(self, hook_context: object, details: object, hints: object) -> None:
            seen["finally_"] += 1

    api.add_hooks([Stages()])
    yield seen
    api.clear_hooks()


def measure_hook(rounds: int) -> object:
    """One boolean flag with one hook: windsock, the stock client over windsock's provider, stock flagd."""
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext

    contexts = {user: EvaluationContext(user) for user in USERS}
    with windsock() as ours, stock_flagd() as stock, hooked() as seen:
        client = api.get_client()
        contenders = {
            "windsock": ours["static"],
            "stock client over windsock's provider": lambda user: client.get_boolean_value(
                "static", False, contexts[user]
            ),
            "OpenFeature + stock flagd provider": stock["static"],
        }
        for name, call in contenders.items():
            seen.clear()
            if call(USERS[0]) is not True or seen != Counter(before=1, after=1, finally_=1):
                raise SystemExit(f"{name}: the hook was not called as it should be")
        lines = [Line("one hook", name, call, returning(USERS)) for name, call in contenders.items()]
        return interleaved(lines, rounds)["one hook"]


def measure_import() -> object:
    """CPU seconds in a process of its own, least of interleaved rounds; and what must not be loaded."""
    least = dict.fromkeys(IMPORTS, float("inf"))
    for _ in range(IMPORT_ROUNDS):
        for name, statement in IMPORTS.items():
            code = f"import time; b = time.process_time(); {statement}; print(time.process_time() - b)"
            least[name] = min(least[name], float(_python("-c", code)))
    loaded = "import sys, windsock; print(any(name.split('.')[0] == 'grpc' for name in sys.modules))"
    return {
        "seconds": {name: round(value, 4) for name, value in least.items()},
        "grpc_loaded": _python("-c", loaded).strip() == "True",
    }


def _part(name: str, *options: str) -> dict[str, Any]:
    return json.loads(_python("-m", "bench.ids", name, *options))


def _python(*arguments: str) -> str:
    # Logfire is a pydantic plugin: installed, it would be a part of every import
    environment = {**os.environ, "PYDANTIC_DISABLE_PLUGINS": "__all__"}
    # an installed package has its bytecode: where this was set, compiling was most of each import
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout


def machine() -> dict[str, object]:
    """What it ran on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cpu": model or platform.machine(),
        "cores": os.cpu_count(),
        "load_before": [round(each, 2) for each in os.getloadavg()],
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.system(),
    }


def main() -> None:
    """Measure everything, print the table, keep the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="interleaved rounds of calls")
    parser.add_argument("--seed", type=int, default=1, help="of the fresh users drawn")
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks.md too")
    options = parser.parse_args()
    found: dict[str, object] = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": COMMAND,
        "rounds": options.rounds,
        "seed": options.seed,
        "machine": machine(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "import": measure_import(),
        "load": min((_part("load") for _ in range(LOADS)), key=lambda each: each["seconds"]),
        "replace": _part("replace"),
        "ids": _part("calls", "--rounds", str(options.rounds), "--seed", str(options.seed)),
    }
    pin()  # what follows runs in this process
    found["calls"] = measure_calls(options.rounds)
    found["hook"] = measure_hook(options.rounds)
    print(tables(found))
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    if options.page:
        PAGE.write_text(page(found))


if __name__ == "__main__":
    main()
