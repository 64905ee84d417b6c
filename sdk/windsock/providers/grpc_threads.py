"""gRPC's internal threads, which a fork waits for.

After the last connection closes, gRPC shuts down on its own threads, under a lock. A child forked meanwhile
inherits that lock, and the first channel that it opens waits for it forever.
"""

import time
from pathlib import Path
from typing import Final

_LONGEST_SECONDS: Final = 2.0
"""Maximum wait for gRPC's threads: they end within milliseconds, unless another library uses gRPC."""

_NAMES: Final = ("event_engine", "grpc_", "lifeguard", "timer_manager")
"""Name prefixes of gRPC's internal threads, which Python doesn't know about."""

_lasting: frozenset[str] = frozenset()
"""gRPC threads that outlived a wait, because gRPC doesn't shut down while another library uses it."""


def wait_for_their_end() -> None:
    """Wait until gRPC's threads are gone, but at most two seconds."""
    global _lasting  # noqa: PLW0603 - as its threads, the process's affair
    until = time.monotonic() + _LONGEST_SECONDS
    while (threads := _grpc_threads()) and threads != _lasting:
        if time.monotonic() > until:
            _lasting = threads
            return
        time.sleep(0.001)


def _grpc_threads() -> frozenset[str]:
    """The ids of gRPC's threads; empty if the system doesn't list them (only Linux does)."""
    return frozenset(task.name for task in _tasks() if _name(task).startswith(_NAMES))


def _tasks() -> list[Path]:
    try:
        return list(Path("/proc/self/task").iterdir())
    except OSError:
        return []


def _name(task: Path) -> str:
    try:
        return (task / "comm").read_text()
    except OSError:  # it has ended
        return ""
