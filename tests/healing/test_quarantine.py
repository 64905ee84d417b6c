"""Withdrawal: after five requests, at once, for as long as it lasts, and not for somebody else's fault."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.flagfiles import object_flag, write_flags
from tests.healing.teachers import CONFIG, TYPO, Provider, StatusError, Teacher, profiles
from tests.waiting import eventually

import windsock
from windsock import disk
from windsock.healing import quarantine as module
from windsock.healing.boards import FileBoard
from windsock.healing.postgres_board import PostgresBoard
from windsock.healing.quarantine import Outbox, Withdrawal, quarantine
from windsock.healing.sharing import Sharing
from windsock.private_folder import MADE_HERE
from windsock.settings.place import fingerprint

WITHDRAWN = Withdrawal(
    "teacher.profile", CONFIG, "reasoning_model", fingerprint(TYPO), json.dumps(TYPO), "a test"
)


def heal(user, provider):
    with windsock.request():
        return windsock.heal(Teacher.for_user(user), provider)


def test_the_fifth_request_withdraws_the_value(serve, caplog):
    provider = Provider()
    serve(profiles(["ann"], reasoning_model=TYPO, temperature=0.2))
    for _ in range(4):
        heal("ann", provider)
    assert Teacher.for_user("ann").reasoning_model == TYPO
    heal("ann", provider)
    teacher = Teacher.for_user("ann")
    assert teacher.reasoning_model == "gpt-4o-mini"
    assert teacher.temperature == 0.2
    assert provider.asked.count(TYPO) == 5
    assert heal("ann", provider) == "gpt-4o-mini"
    assert provider.asked.count(TYPO) == 5
    assert "withdrawn: reasoning_model of flag 'teacher.profile'" in caplog.text
    assert "withdrawn" in str(windsock.explain(teacher))


def test_many_failures_of_one_request_are_one(serve):
    provider = Provider()
    serve(profiles(["ann"], reasoning_model=TYPO))
    with windsock.request():
        for _ in range(8):
            windsock.heal(Teacher.for_user("ann"), provider)
    assert provider.asked.count(TYPO) == 8
    assert quarantine.in_force() == ()


def test_an_outage_withdraws_nothing(serve):
    serve(profiles(["ann"], reasoning_model="gpt-4o"))
    for _ in range(20):
        with pytest.raises(StatusError):
            heal("ann", down)
    assert quarantine.in_force() == ()


def down(settings):
    assert settings.reasoning_model
    raise StatusError(503, "overloaded")


def test_a_fault_elsewhere_that_the_lower_value_escapes_withdraws_nothing_at_once(serve):
    serve(profiles(["ann"], reasoning_model="gpt-4o"))

    def limited(settings):
        if settings.reasoning_model == "gpt-4o":
            raise StatusError(429, "rate limit")
        return "answered"

    assert [heal("ann", limited) for _ in range(10)] == ["answered"] * 10
    assert quarantine.in_force() == ()


def test_a_changed_value_is_served_at_once(serve):
    provider = Provider()
    folder = serve(profiles(["ann"], reasoning_model=TYPO))
    for _ in range(5):
        heal("ann", provider)
    write_flags(folder / "test.flagd.json", profiles(["ann"], reasoning_model="gpt-4o"))
    windsock.reload()
    assert Teacher.for_user("ann").reasoning_model == "gpt-4o"


def test_it_expires(serve):
    serve(profiles(["ann"], reasoning_model=TYPO))
    quarantine.withdraw([Withdrawal(**fields_of(WITHDRAWN), left=0.05)])
    assert Teacher.for_user("ann").reasoning_model == "gpt-4o-mini"

    def is_served_again():  # the file that the host shares may still have had it in force a moment ago
        quarantine.expire()
        return Teacher.for_user("ann").reasoning_model == TYPO

    eventually(is_served_again)


def fields_of(withdrawal):
    names = ("flag", "variant", "field", "fingerprint", "value", "reason")
    return {name: getattr(withdrawal, name) for name in names}


def test_one_request_in_a_hundred_tries_again_and_three_lift(serve, caplog):
    provider = Provider()
    serve(profiles(["ann"], reasoning_model=TYPO))
    quarantine.withdraw([WITHDRAWN])
    for _ in range(200):
        assert heal("ann", provider) == "gpt-4o-mini"
    assert provider.asked.count(TYPO) == 2
    provider.models = ("gpt-4o-mini", TYPO)  # the provider has it again
    answers = [heal("ann", provider) for _ in range(400)]
    assert answers.count(TYPO) > 100
    assert "it went well in 3 probes" in caplog.text


def test_a_base_value_is_withdrawn_too(serve):
    provider = Provider()
    serve({"teacher": object_flag({"base": {"reasoning_model": TYPO}}, "base")})
    for _ in range(5):
        with windsock.request():
            windsock.heal(Teacher.live(), provider)
    assert Teacher.live().reasoning_model == "gpt-4o-mini"


def test_evidence_withdraws_what_no_single_error_proves(serve, monkeypatch):
    monkeypatch.setattr("windsock.healing.watch.WINDOW", 0.01)
    serve(profiles([f"v{n}" for n in range(2_000)], reasoning_model="gpt-4o-slow", temperature=0.2))

    def call(settings):
        if settings.reasoning_model == "gpt-4o-slow":
            raise RuntimeError("the answer was no JSON")
        return "answered"

    for number in range(2_000):
        for user in (f"v{number}", f"other-{number}", f"third-{number}"):
            assert heal(user, call) == "answered"
        if quarantine.in_force():
            break
    (withdrawal,) = quarantine.in_force()
    assert withdrawal.field == "reasoning_model"
    assert "more than those of others at the same time" in withdrawal.reason
    assert Teacher.for_user("v1999").reasoning_model == "gpt-4o-mini"
    assert Teacher.for_user("v1999").temperature == 0.2


def test_a_shared_outage_is_not_evidence(serve, monkeypatch):
    monkeypatch.setattr("windsock.healing.watch.WINDOW", 0.01)
    serve(profiles([f"v{n}" for n in range(500)], reasoning_model="gpt-4o"))
    for number in range(500):
        for user in (f"v{number}", f"other-{number}", f"third-{number}"):
            with pytest.raises(StatusError):
                heal(user, down)
    assert quarantine.in_force() == ()


def test_the_counts_are_bounded(serve):
    serve({})
    for number in range(3_000):
        quarantine.fault(
            module.Fault("teacher.profile", f"v{number}", "model", "f", None, "error", f"r{number}")
        )
    assert len(quarantine._counts) <= 1_000
    assert len(quarantine._outbox.faults) <= 1_000


PROGRAM = """
import sys, time
import windsock
from tests.healing.teachers import Teacher
windsock.start(flags=sys.argv[1])
print("started", flush=True)
end = time.monotonic() + 60
while Teacher.for_user("ann").reasoning_model != "gpt-4o-mini" and time.monotonic() < end:
    time.sleep(0.05)
print(Teacher.for_user("ann").reasoning_model)
windsock.stop()
"""


@pytest.mark.slow
def test_without_a_database_a_file_does_for_the_host(serve, tmp_path):
    provider = Provider()
    folder = serve(profiles(["ann"], reasoning_model=TYPO))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "started\n"
        for _ in range(5):
            heal("ann", provider)
        assert other.stdout.read() == "gpt-4o-mini\n"
    assert (tmp_path / ".windsock/quarantine.json").stat().st_mode & 0o777 == MADE_HERE


def test_a_service_whose_working_directory_was_deleted_starts_and_heals(serve, tmp_path, monkeypatch):
    """As when a release is deleted while the server of an older one starts another worker."""
    gone = tmp_path / "release"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    serve(profiles(["ann"], reasoning_model=TYPO))
    for _ in range(5):
        assert heal("ann", Provider()) == "gpt-4o-mini"
    assert Teacher.for_user("ann").reasoning_model == "gpt-4o-mini", "withdrawn, if in this process only"
    monkeypatch.chdir(tmp_path)


ENTRY = json.dumps(
    [{name: "x" for name in module.Withdrawal.__slots__ if name != "left"} | {"expires_at": 0}]
)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", '[{"flag": 1}]', "null", '{"a": 1}', "[" * 100_000]
    + [ENTRY.replace(": 0", f": {number}") for number in ("1" + "0" * 400, '"0"')]
    + [ENTRY.replace('"x"', value, 1) for value in ("[]", "{}")],
    ids=lambda text: text[:20] or "empty",
)
def test_a_damaged_file_counts_as_empty(tmp_path, text, caplog):
    board = FileBoard(tmp_path / "quarantine.json")
    disk.replace(board.path, text.encode(), private=True)
    assert board.exchange(Outbox()) == []
    assert str(board.path) in caplog.text
    assert board.exchange(Outbox(withdrawn=(WITHDRAWN,))) == [WITHDRAWN]
    (found,) = board.exchange(Outbox())
    assert found.key == WITHDRAWN.key


def test_a_clock_that_was_set_back_makes_nothing_last_longer(tmp_path):
    board = FileBoard(tmp_path / "quarantine.json")
    board.exchange(Outbox(withdrawn=(WITHDRAWN,)))
    (entry,) = json.loads(board.path.read_text())
    board.path.write_text(json.dumps([entry | {"expires_at": time.time() + 10**9}]))
    assert board.exchange(Outbox())[0].left <= module.EXPIRY
    board.path.write_text(json.dumps([entry | {"expires_at": time.time() - 1}]))
    assert board.exchange(Outbox()) == []


def test_faults_of_several_processes_count_together_in_the_database(database):
    boards = [PostgresBoard(database) for _ in range(2)]
    faults = [
        module.Fault(*WITHDRAWN.key, WITHDRAWN.fingerprint, WITHDRAWN.value, "404", f"request-{number}")
        for number in range(5)
    ]
    assert boards[0].exchange(Outbox(faults=tuple(faults[:3]))) == []
    assert boards[0].exchange(Outbox(faults=tuple(faults[:3]))) == []  # repeated, it is the same report
    (found,) = boards[1].exchange(Outbox(faults=tuple(faults[3:])))
    assert (found.key, found.fingerprint, found.value) == (
        WITHDRAWN.key,
        WITHDRAWN.fingerprint,
        WITHDRAWN.value,
    )
    assert found.reason == "failed in 5 requests: 404"
    assert boards[0].exchange(Outbox(lifted=(found,))) == []
    assert boards[1].exchange(Outbox(faults=tuple(faults[:1]))) == []  # old faults do not count again
    for board in boards:
        board.close()


@pytest.mark.slow
def test_a_withdrawal_reaches_the_other_process_through_the_database(serve, database):
    provider = Provider()
    serve(profiles(["ann"], reasoning_model=TYPO), usage=database)
    board = PostgresBoard(database)
    for _ in range(5):
        heal("ann", provider)
    eventually(lambda: board.exchange(Outbox()))
    (found,) = board.exchange(Outbox())
    assert found.key == WITHDRAWN.key
    board.exchange(Outbox(lifted=(found,)))  # by hand, elsewhere
    board.close()
    eventually(lambda: Teacher.for_user("ann").reasoning_model == TYPO)


def test_without_the_table_the_process_withdraws_alone(serve, empty_database, caplog):
    provider = Provider()
    serve(profiles(["ann"], reasoning_model=TYPO), usage=empty_database)
    for _ in range(5):
        heal("ann", provider)
    eventually(lambda: "withdrawals are not shared" in caplog.text)
    assert "does not exist: run `windsock migrate`. Values withdrawn here stay withdrawn" in caplog.text
    assert Teacher.for_user("ann").reasoning_model == "gpt-4o-mini"


def test_the_thread_ends_with_stop(serve):
    serve({})
    assert "windsock-quarantine" in thread_names()
    windsock.stop()
    assert "windsock-quarantine" not in thread_names()


class SlowBoard:
    """Remembers what it was told; an exchange lasts until it is let go, and fails as often as it is said to."""

    interval = 3600.0
    mirrored = False
    mirrors = ()

    def __init__(self, failures=0):
        self.failures = failures
        self.entered, self.open = threading.Event(), threading.Event()
        self.told = []

    def exchange(self, outbox):
        self.entered.set()
        self.open.wait(60)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the board is away")
        self.told += outbox.withdrawn
        return self.told

    def close(self):
        pass


def test_a_withdrawal_during_the_last_exchange_is_shared_before_the_end():
    board = SlowBoard()
    sharing = Sharing(board)
    assert board.entered.wait(60)
    quarantine.withdraw([WITHDRAWN])
    sharing.stop(deadline=0)
    board.open.set()
    sharing._thread.join(60)
    assert board.told == [WITHDRAWN]


def test_a_board_that_answers_after_the_stop_changes_nothing():
    board = SlowBoard()
    board.told = [WITHDRAWN]
    sharing = Sharing(board)
    assert board.entered.wait(60)
    sharing.stop(deadline=0)
    successor = Sharing(FileBoard())
    board.open.set()
    sharing._thread.join(60)
    assert quarantine.in_force() == ()
    successor.stop()


def test_a_board_that_was_unreachable_learns_later_what_it_missed():
    board = SlowBoard(failures=1)
    board.open.set()
    quarantine.withdraw([WITHDRAWN])
    sharing = Sharing(board)
    eventually(lambda: board.told == [WITHDRAWN])
    sharing.stop()


def test_what_a_board_answers_does_not_end_the_sharing():
    board = SlowBoard()
    board.open.set()
    board.told = [7]
    sharing = Sharing(board)
    eventually(lambda: sharing._complaint)
    board.told = []
    quarantine.withdraw([WITHDRAWN])
    eventually(lambda: board.told == [WITHDRAWN])
    sharing.stop()


def test_withdrawals_expire_while_the_board_is_unreachable():
    board = SlowBoard(failures=1_000_000)
    board.open.set()
    sharing = Sharing(board)
    quarantine.withdraw([Withdrawal(**fields_of(WITHDRAWN), left=0.05)])
    eventually(lambda: quarantine.in_force() == ())
    sharing.stop()


def test_what_a_board_says_undoes_nothing_that_it_has_not_been_told():
    quarantine.withdraw([WITHDRAWN])
    quarantine.shared([])
    assert [each.key for each in quarantine.in_force()] == [WITHDRAWN.key]
    quarantine.take_outbox()
    quarantine.lift([WITHDRAWN], "a test")
    quarantine.shared([WITHDRAWN])
    assert quarantine.in_force() == ()


def fault(number):
    return module.Fault(*WITHDRAWN.key, WITHDRAWN.fingerprint, WITHDRAWN.value, "404", f"request-{number}")


def test_faults_that_lie_further_apart_than_an_hour_do_not_add_up(monkeypatch):
    for number in range(4):
        quarantine.fault(fault(number))
    monkeypatch.setattr(module, "MEMORY", 0.01)
    time.sleep(0.02)
    quarantine.fault(fault(4))
    assert quarantine.in_force() == ()


def test_a_withdrawn_value_that_fails_again_is_withdrawn_for_another_hour():
    quarantine.withdraw([Withdrawal(**fields_of(WITHDRAWN), left=60)])
    quarantine.fault(fault(0))
    assert quarantine.in_force()[0].left > module.EXPIRY - 60


def thread_names():
    return {thread.name for thread in threading.enumerate()}


def test_a_forked_child_learns_of_withdrawals(serve, tmp_path):
    serve(profiles(["ann"], reasoning_model=TYPO))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        end = time.monotonic() + 60
        while Teacher.for_user("ann").reasoning_model == TYPO and time.monotonic() < end:
            time.sleep(0.05)
        os.write(writing, Teacher.for_user("ann").reasoning_model.encode())
        os._exit(0)
    os.close(writing)
    quarantine.withdraw([WITHDRAWN])
    os.waitpid(child, 0)
    assert os.read(reading, 100) == b"gpt-4o-mini"
    os.close(reading)
