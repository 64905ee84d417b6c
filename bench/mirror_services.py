"""Services that read what the mirror writes: one on the files, one that asks a flagd server by RPC.

Each is a process of its own, started as ``python -m bench.mirror_services``. It is told a user and a value on
its standard input, a line each time, and answers with the moment at which it reads that value.
"""

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.mirror_parts import Bench, memory, spread
from tests.flagd_server import FlagdServer, flagd_binary

from windsock.flag_names import shard_of
from windsock.mirror.documents import Layout

CHANGES = 150
_SETTLING = 10  # the first are answered while a server still reads its sources


def on_files(bench: Bench) -> None:
    bench.figures["row committed → value in a service (p50 / p99)"] = _measured(
        bench, ["--files", str(bench.folder.parent)], "a service on the files, resident"
    )


def by_rpc(bench: Bench) -> None:
    """Through a real flagd server and gRPC, if there is one."""
    if flagd_binary():
        with FlagdServer(*(bench.folder / name for name in bench.layout.file_names)) as flagd:
            bench.figures["row committed → value by RPC from flagd (p50 / p99)"] = _measured(
                bench, ["--rpc", str(flagd.rpc), "--shards", str(bench.layout.shards)]
            )


def _measured(bench: Bench, options: list[str], memory_row: str | None = None) -> str:
    """Change users one after the other; the spread of the times from the commit to the value."""
    command = [sys.executable, "-m", "bench.mirror_services", *options]
    rows, took = bench.some_users(CHANGES + _SETTLING), []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()  # it serves
        for user, before in rows:
            config = bench.another(before)
            print(user, bench.ids.index(config) + 1, file=process.stdin, flush=True)
            process.stdout.readline()  # it watches this user
            bench.assign(user, config)
            began = time.monotonic()
            took.append(float(process.stdout.readline()) - began)
            time.sleep(random.uniform(0.02, 0.12))
        if memory_row:
            bench.figures[memory_row] = f"{memory(process.pid, 'VmRSS'):.0f} MB"
        process.stdin.close()
    return spread(took[_SETTLING:])


def _serve(value_of: Callable[[str], int | None], pause: float) -> None:
    print("serving", flush=True)
    for line in sys.stdin:
        user, wanted = line.split()
        print("watching", flush=True)
        while value_of(user) != int(wanted):
            time.sleep(pause)
        print(time.monotonic(), flush=True)  # one clock for every process of the machine


def _service_on_files(folder: Path) -> None:
    import windsock

    class Teacher(windsock.Settings, flag="teacher"):
        retrieval_top_k: int = 0

    windsock.start(flags=folder)
    _serve(lambda user: Teacher.for_user(user).retrieval_top_k, 0.001)
    windsock.stop()


def _service_by_rpc(port: int, layout: Layout) -> None:
    """windsock's remote provider, which calls through the stock one; the caller computes the shard."""
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext

    from windsock.providers.flagd_options import FlagdOptions
    from windsock.providers.remote import RemoteProvider

    api.set_provider_and_wait(RemoteProvider(FlagdOptions(host="127.0.0.1", port=port, deadline=5.0)))
    client = api.get_client()

    def value_of(user: str) -> int | None:
        flag = layout.flag_key("teacher", shard_of(user, layout.shards))
        return client.get_object_value(flag, {}, EvaluationContext(user)).get("retrieval_top_k")

    _serve(value_of, 0.002)
    api.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=Path)
    parser.add_argument("--rpc", type=int)
    parser.add_argument("--shards", type=int, default=1)
    chosen = parser.parse_args()
    if chosen.files:
        _service_on_files(chosen.files)
    else:
        _service_by_rpc(chosen.rpc, Layout(("teacher",), chosen.shards))
