"""What the benchmark of the mirror is made of: rows, the mirror's process, waiting, percentiles."""

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from windsock.flag_names import shard_of
from windsock.mirror.documents import Layout

CONFIGURATIONS = 8
WINDSOCK = [sys.executable, "-c", "from windsock.cli import main; main()"]


@dataclass
class Bench:
    """One database and one folder under one mirror; what was measured of them, by its name."""

    connection: psycopg.Connection
    url: str
    folder: Path
    layout: Layout
    ids: list[str]
    figures: dict[str, str] = field(default_factory=dict)

    @property
    def users(self) -> int:
        return self.connection.execute("select count(*) from profiles").fetchone()[0]

    def some_users(self, count: int) -> list[tuple[str, str]]:
        """Users with the configuration that each has."""
        query = "select id::text, config_id::text from profiles order by random() limit %s"
        return self.connection.execute(query, [count]).fetchall()

    def another(self, config: str) -> str:
        return random.choice([each for each in self.ids if each != config])

    def assign(self, user: str, config: str) -> None:
        self.connection.execute("update profiles set config_id = %s where id = %s", [config, user])

    def shard(self, user: str) -> int:
        return shard_of(user, self.layout.shards)

    def path(self, user: str) -> Path:
        return self.folder / self.layout.file_names[self.shard(user)]


def fill(connection: psycopg.Connection, users: int) -> list[str]:
    connection.execute("truncate profiles, app_configurations cascade")
    connection.execute(
        "insert into app_configurations (name, settings) "
        "select 'c' || n, jsonb_build_object('retrieval_top_k', n) from generate_series(1, %s) n",
        [CONFIGURATIONS],
    )
    ids = [row[0] for row in connection.execute("select id::text from app_configurations order by name")]
    connection.execute("set session_replication_role = replica")  # ten million rows that no trigger looks at
    connection.execute(
        "insert into profiles (id, config_id) select gen_random_uuid(), (%s::uuid[])[1 + n %% %s] "
        "from generate_series(1, %s) n",
        [ids, CONFIGURATIONS, users],
    )
    connection.execute("set session_replication_role = default")
    connection.execute("truncate windsock.change_log, windsock.assignment_history")
    connection.execute("vacuum analyze profiles")
    return ids


def memory(process_id: int, key: str) -> float:
    """Megabytes, from the kernel's account of the process: VmRSS is now, VmHWM the most there ever was."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(key)) / 1024


@contextmanager
def mirror(url: str, folder: Path, shards: int) -> Iterator[subprocess.Popen]:
    options = ["mirror", "run", "--flag", "teacher", "--folder", str(folder), "--shards", str(shards)]
    process = subprocess.Popen(
        [*WINDSOCK, *options], env=os.environ | {"DATABASE_URL": url}, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("it did not come true in time")
        time.sleep(0.0005)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1e3:.0f} / {percentile(seconds, 0.99) * 1e3:.0f} ms"


def variant_in(path: Path, user: str) -> str | None:
    text = path.read_text()
    at = text.find(f'"{user}"')
    if at < 0:
        return None
    end = text.index("]},", at)  # the rule's list ends, and its variant follows
    return json.loads(text[end + 3 :].strip().split("\n", 1)[0].rstrip(",]}"))
