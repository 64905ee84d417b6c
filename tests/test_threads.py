"""Where the system makes no thread, `start` works, and what should run in the background begins later."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import windsock
from tests.flagfiles import write_flags
from tests.healing.teachers import Teacher
from tests.waiting import eventually
from windsock import threads
from windsock.healing.boards import FileBoard
from windsock.healing.quarantine import Withdrawal, quarantine
from windsock.settings.place import fingerprint


@contextmanager
def no_threads() -> Iterator[None]:
    before = threading.stack_size(2**46)  # more than any machine has
    try:
        yield
    finally:
        threading.stack_size(before)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "flagd", "gpt-4o")
    return tmp_path / "flagd"


def write(folder, model):
    folder.mkdir(exist_ok=True)
    flag = {"state": "ENABLED", "variants": {"base": {"reasoning_model": model}}, "defaultVariant": "base"}
    write_flags(folder / "teacher.flagd.json", {"teacher": flag})


def started(folder):
    with no_threads():
        windsock.start(flags=folder, usage=False)
        assert Teacher.for_user("ann").reasoning_model == "gpt-4o"
        assert windsock.health().ready
    assert {thread.name for thread in threads.waiting} == {"windsock-files", "windsock-quarantine"}


def test_asking_for_the_health_has_the_files_followed(folder):
    started(folder)
    write(folder, "o3")
    windsock.health()
    assert threads.waiting == []
    eventually(lambda: Teacher.for_user("ann").reasoning_model == "o3")
    windsock.stop()


def test_a_request_has_the_files_followed(folder, caplog):
    started(folder)
    write(folder, "o3")
    caplog.clear()
    with no_threads():
        for _ in range(3):
            with windsock.request("ann"):
                pass
    assert caplog.messages == []  # said once, not in every request
    with windsock.request("ann"):
        pass
    assert threads.waiting == []
    eventually(lambda: Teacher.for_user("ann").reasoning_model == "o3")
    windsock.stop()


def test_many_may_try_again_at_once(folder):
    tried = [threads.BackgroundThread(print, "tried") for _ in range(50)]
    threads.waiting.extend(tried)
    callers = [threading.Thread(target=threads.begin_waiting) for _ in range(20)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert threads.waiting == []
    for each in tried:
        each.join()


def test_a_withdrawal_is_shared(folder):
    started(folder)
    value = Withdrawal("teacher", "base", "reasoning_model", fingerprint("gpt-4o"), None, "it failed")
    quarantine.withdraw([value])
    eventually(
        lambda: [each.field for each in FileBoard().exchange(quarantine.take_outbox())] == ["reasoning_model"]
    )
    windsock.stop()


def test_a_stop_forgets_what_never_began(folder):
    started(folder)
    with no_threads():
        windsock.stop()
    assert threads.waiting == []


def test_what_never_began_is_stopped_twice_and_survives_a_fork(folder, capfd):
    started(folder)
    with no_threads():
        windsock.stop()
    thread = threads.BackgroundThread(print, "never began")
    threads.waiting.append(thread)
    for _ in range(2):
        thread.join()
    assert threads.waiting == []
    child = os.fork()  # what was stopped is collected late, so the fork still asks it to pause
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert "cannot join" not in capfd.readouterr().err


def test_a_process_with_an_event_handler_ends_in_silence(folder):
    code = (
        "import windsock; from openfeature import api; from openfeature.event import ProviderEvent;"
        f"windsock.start(flags={str(folder)!r}, usage=False);"
        "api.add_handler(ProviderEvent.PROVIDER_READY, print)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
