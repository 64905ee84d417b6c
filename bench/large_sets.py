"""Sets of 10 MB and 40 MB: start, update and memory of windsock's providers beside the stock ones.

    python -m bench.large_sets [--rounds 3] [--out bench/results/large_sets.md]

The set is what the mirror writes: one profile flag with lists of user ids, beside a string that is changed. A
file is replaced in one step; the stream comes from a small gRPC server that sends the same text to both. Each
measurement runs in a process of its own. The stock stream takes no message above 4 MiB, so it never starts.
Needs the extra `flagd`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openfeature import api
from openfeature.exception import ProviderNotReadyError
from tests.flagfiles import object_flag, write_text
from tests.providers.sync_server import SyncServer

KINDS = ("files windsock", "files stock", "stream windsock", "stream stock")
SIZES = (10, 40)  # megabytes
BYTES_OF_ID = 39  # in a list of JSON text


@dataclass(frozen=True, slots=True)
class Figures:
    """What one process measured: seconds, seconds, megabytes above the imports."""

    start: float
    update: float
    memory: float


def document(megabytes: int, colour: str) -> str:
    namespace = uuid.UUID(int=0)
    ids = [str(uuid.uuid5(namespace, str(n))) for n in range(megabytes * 1_000_000 // BYTES_OF_ID)]
    rule = {"if": [{"in": [{"var": "targetingKey"}, ids]}, "tuned"]}
    flags = {
        "colour": {"state": "ENABLED", "variants": {"it": colour}, "defaultVariant": "it"},
        "search.profile": object_flag({"none": {}, "tuned": {"top_k": 40}}, "none", rule),
    }
    return json.dumps({"flags": flags}, separators=(",", ":"))


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000


def provider(kind: str, where: str) -> Any:
    """Make a provider; it connects later."""
    from openfeature.contrib.provider.flagd import FlagdProvider
    from openfeature.contrib.provider.flagd.config import ResolverType

    from windsock.providers.files import FilesProvider
    from windsock.providers.flagd_options import FlagdOptions
    from windsock.providers.stream import StreamProvider

    match kind:
        case "files windsock":
            return FilesProvider(Path(where))
        case "files stock":
            return FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=where)
        case "stream windsock":
            return StreamProvider(FlagdOptions(port=int(where), deadline=60.0), {}, None)
        case _:
            return FlagdProvider(resolver_type=ResolverType.IN_PROCESS, port=int(where), deadline_ms=20_000)


def measured(kind: str, where: str) -> None:
    """The child: start, then wait for the change; prints one JSON line for each."""
    made, client = provider(kind, where), api.get_client()
    before, began = resident(), time.monotonic()
    try:
        api.set_provider_and_wait(made)
    except ProviderNotReadyError:
        print("null", flush=True)
        os._exit(1)
    while client.get_string_value("colour", "") != "red":
        time.sleep(0.001)
    print(json.dumps({"start": time.monotonic() - began, "memory": resident() - before}), flush=True)
    while client.get_string_value("colour", "") != "blue":
        time.sleep(0.001)
    print(json.dumps({"seen": time.monotonic(), "memory": resident() - before}), flush=True)
    os._exit(0)


@contextmanager
def source(kind: str, folder: Path, megabytes: int) -> Iterator[tuple[str, Any]]:
    """Where a provider finds the set, and what changes it."""
    red, blue = document(megabytes, "red"), document(megabytes, "blue")
    if kind.startswith("files"):
        path = folder / f"{megabytes}.flagd.json"
        write_text(path, red)
        yield str(path), lambda: write_text(path, blue)
        return
    with SyncServer() as server:
        server.push(red)
        yield str(server.port), lambda: server.push(blue)


def one(kind: str, folder: Path, megabytes: int) -> Figures | None:
    """Figures of one process, or None where it could not start."""
    with source(kind, folder, megabytes) as (where, change):
        command = [sys.executable, "-m", "bench.large_sets", "--child", kind, where]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            first = json.loads(child.stdout.readline())
            if first is None:
                return None
            changed = time.monotonic()
            change()
            second = json.loads(child.stdout.readline())
    return Figures(first["start"], second["seen"] - changed, second["memory"])


def table(found: dict[tuple[str, int], list[Figures | None]]) -> list[str]:
    lines = ["| set | provider | start | change written → seen | memory after it |", "|---|---|--:|--:|--:|"]
    for (kind, megabytes), measurements in found.items():
        figures = [each for each in measurements if each is not None]
        if not figures:
            lines.append(f"| {megabytes} MB | {kind} | does not start | | |")
            continue
        start, update, memory = (
            statistics.median(getattr(each, name) for each in figures)
            for name in ("start", "update", "memory")
        )
        lines.append(f"| {megabytes} MB | {kind} | {start:.2f} s | {update:.2f} s | {memory:.0f} MB |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("bench/results/large_sets.md"))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measured(*arguments.child)
    load = os.getloadavg()[0]
    found: dict[tuple[str, int], list[Figures | None]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for megabytes in SIZES:
            for _ in range(arguments.rounds):
                for kind in KINDS:
                    found.setdefault((kind, megabytes), []).append(one(kind, Path(folder), megabytes))
                    print(kind, megabytes, found[kind, megabytes][-1], flush=True)
    head = f"Medians of {arguments.rounds} rounds, {os.cpu_count()} cores, load average before: {load:.1f}."
    lines = ["# Large sets, beside the stock providers", "", head, "", *table(found), ""]
    arguments.out.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
