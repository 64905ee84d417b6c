"""gRPC's own threads, which a fork waits for.

After the last connection gRPC shuts itself down on threads of its own, under a lock: a child forked meanwhile
inherits that lock, and the first channel that it opens waits for it without end.
"""

import time
from pathlib import Path
from typing import Final

_LONGEST_SECONDS: Final = 2.0
"""Longest wait for gRPC's threads: they end in milliseconds, or not while another library uses it."""

_NAMES: Final = ("event_engine", "grpc_", "lifeguard", "timer_manager")
"""How gRPC's own threads are called, which Python does not know of."""

_lasting: frozenset[str] = frozenset()
"""gRPC's threads that outlived a wait: while another library uses gRPC, it does not shut down."""


def wait_for_their_end() -> None:
    """Wait until gRPC's threads are gone, or for two seconds where they last."""
    global _lasting  # noqa: PLW0603 - as its threads, the process's affair
    until = time.monotonic() + _LONGEST_SECONDS
    while (threads := _grpc_threads()) and threads != _lasting:
        if time.monotonic() > until:
            _lasting = threads
            return
        time.sleep(0.001)


def _grpc_threads() -> frozenset[str]:
    """The ids of gRPC's threads; none where the system doesn't list them (only Linux does)."""
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
