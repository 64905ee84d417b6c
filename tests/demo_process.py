"""`windsock demo` as a process, in folders of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.waiting import until

WINDSOCK = Path(sys.executable).parent / "windsock"


@contextmanager
def demos(folder: Path, **environment: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Yield what starts a demo in a folder; afterwards, checks that nothing of it is left."""
    started = []

    def start(*arguments: str, **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [WINDSOCK, "demo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=os.environ | {"TMPDIR": short} | environment | more,
            start_new_session=True,
        )
        started.append(process)
        return process

    # Not below `folder`: the path of a unix socket has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="w") as short:
        yield start
        for process in started:
            process.communicate(timeout=60)
        assert list(Path(short).glob("windsock-demo-*")) == []
        assert until(lambda: not _processes(short)), f"left running: {_processes(short)}"


def _processes(folder: str) -> list[psutil.Process]:
    """The running processes that have to do with a folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = [*(process.info["cmdline"] or []), process.info["cwd"] or ""]
        if any(folder in word for word in words):
            found.append(process)
    return found
