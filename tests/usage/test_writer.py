"""The writer against sinks that work, block, fail and come back."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from tests.flagfiles import object_flag
from tests.healing.conftest import fresh_process, serve
from tests.healing.teachers import Teacher
from tests.waiting import eventually

import windsock
from windsock.usage import LogSink, MemorySink, Spool, UsageOptions, UsageWriter, delivery
from windsock.usage import writer as writing
from windsock.usage.data import Arm

__all__ = ["fresh_process", "serve"]

QUICK = UsageOptions(flush_interval=0.1)
# A sink that works gets all the time that a busy machine takes: `flush` does not wait for the interval.
PATIENT = UsageOptions(flush_interval=20)


class BlockedSink(MemorySink):
    """Blocks in `write` until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.open = threading.Event()

    def write(self, rows) -> None:
        self.entered.set()
        self.open.wait()  # what waits for it never ends
        super().write(rows)


class DeadSink(MemorySink):
    """Refuses every batch while `alive` is false."""

    alive = False
    calls = 0

    def write(self, rows) -> None:
        self.calls += 1
        if not self.alive:
            raise ConnectionError("connection refused")
        super().write(rows)


@pytest.fixture
def start(spool):
    """Start a writer; it is stopped, and its threads joined, after the test."""
    writers = []

    def start_writer(sink, options=PATIENT, spool=spool):
        writer = UsageWriter(sink, spool, options)
        writers.append(writer)
        return writer

    yield start_writer
    for writer in writers:
        writer.stop()


def test_records_arrive_in_order_and_once(start, make_pending, spool):
    sink = MemorySink()
    writer = start(sink)
    sent = [make_pending(values={"n": n}) for n in range(2500)]
    for each in sent:
        writer.put(each)
    assert writer.flush()
    assert [row.id for row in sink.rows] == [each.id for each in sent]
    assert writer.health().written == 2500
    assert not spool.folder.exists()


def test_a_full_batch_does_not_wait_for_the_interval(start, make_pending):
    sink = MemorySink()
    writer = start(sink, UsageOptions(flush_interval=60, batch_size=5))
    for _ in range(5):
        writer.put(make_pending())
    eventually(lambda: len(sink.rows) == 5)


def test_a_lone_record_is_stored_within_the_interval(start, make_pending):
    sink = MemorySink()
    writer = start(sink, UsageOptions(flush_interval=2))
    writer.put(make_pending())
    eventually(lambda: sink.rows)


def test_records_from_many_threads_all_arrive(start, make_pending):
    sink = MemorySink()
    writer = start(sink)
    threads = [
        threading.Thread(target=lambda: [writer.put(make_pending()) for _ in range(500)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.flush()
    assert len({row.id for row in sink.rows}) == len(sink.rows) == 4000


def test_a_blocked_sink_sends_records_to_disk_and_later_gets_them(start, make_pending, spool):
    sink = BlockedSink()
    writer = start(sink, QUICK)
    sent = [make_pending() for _ in range(3)]
    for each in sent:
        writer.put(each)
        assert writer.flush(), "the writer waited for the sink"
    assert writer.health().spooled == 3
    assert spool.waiting()
    sink.open.set()
    eventually(lambda: not spool.waiting())
    assert {row.id for row in sink.rows} == {each.id for each in sent}


class Clock:
    """The writer's clock, which only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_a_slow_sink_does_not_keep_records_in_memory_for_longer(start, make_pending, monkeypatch):
    clock = Clock()
    for module in (delivery, writing):
        monkeypatch.setattr(module, "time", clock)

    class SlowSink(BlockedSink):
        def write(self, rows) -> None:
            self.open.wait()
            clock.now += 0.2  # the whole queue: eight seconds of its clock
            super().write(rows)

    sink = SlowSink()
    writer = start(sink, UsageOptions(flush_interval=0.5, batch_size=1))
    sent = [make_pending() for _ in range(40)]
    for each in sent:
        writer.put(each)
    sink.open.set()
    assert writer.flush(60)
    health = writer.health()
    assert health.written + health.spooled == 40
    assert health.written < 20, "two each time the queue is emptied, which was once or twice"

    def all_arrived() -> bool:
        clock.now += 60  # the pause before the next replay
        return {row.id for row in sink.rows} == {each.id for each in sent}

    eventually(all_arrived)


def test_stop_ends_in_time_with_a_blocked_sink_and_keeps_everything(start, make_pending, spool):
    sink = BlockedSink()
    writer = start(sink, UsageOptions(flush_interval=60))
    sent = [make_pending() for _ in range(2500)]
    for each in sent:
        writer.put(each)
    assert sink.entered.wait(60), "two batches are full, whatever the interval"
    writer.stop(deadline=1)
    eventually(lambda: writer.health().spooled == 2500)
    with spool.claim() as rows:
        assert [row.id for row in rows] == [each.id for each in sent]
    sink.open.set()


def test_what_reaches_the_disk_after_a_stop_that_did_not_wait_can_be_replayed(start, make_pending, spool):
    sink = BlockedSink()
    writer = start(sink, UsageOptions(flush_interval=60))
    sent = [make_pending() for _ in range(1500)]
    for each in sent:
        writer.put(each)
    assert sink.entered.wait(60)
    writer.stop(deadline=0)
    eventually(lambda: writer.health().spooled == 1500)

    def all_are_free():
        with spool.claim() as rows:
            assert {row.id for row in rows or ()} == {each.id for each in sent}
        return True

    eventually(all_are_free)
    sink.open.set()


def test_a_dead_sink_is_left_alone_for_a_while_and_then_gets_everything_once(start, make_pending, caplog):
    sink = DeadSink()
    writer = start(sink, QUICK)
    sent = [make_pending() for _ in range(20)]
    for each in sent:
        writer.put(each)
        assert writer.flush()
    assert sink.calls <= 10, "a sink that is away was called for every batch"
    health = writer.health()
    assert health.spooled == 20
    assert health.dropped == 0
    assert health.last_error.endswith("records cannot be stored; the log says why")
    assert caplog.text.count("cannot be stored") == 1
    sink.alive = True
    eventually(lambda: writer.health().replayed == 20)
    assert [row.id for row in sink.rows] == [each.id for each in sent]
    assert writer.health().last_error is None


def test_what_an_ended_process_left_is_replayed(start, make_pending, spool):
    first = UsageWriter(DeadSink(), spool, QUICK)
    left = make_pending()
    first.put(left)
    first.stop()
    sink = MemorySink()
    writer = start(sink, QUICK, Spool(spool.folder))
    fresh = make_pending()
    writer.put(fresh)
    # where the machine is busy, the fresh one is stored, waits on disk too, and is stored once more
    eventually(lambda: {row.id for row in sink.rows} == {left.id, fresh.id})


def test_a_full_queue_drops_counts_and_says_so(start, make_pending, caplog):
    writer = start(MemorySink(), UsageOptions(flush_interval=60, queue_size=10))
    for _ in range(15):
        writer.put(make_pending())
    assert writer.health().dropped == 5
    assert "the queue is full" in caplog.text
    assert caplog.text.count("being lost") == 1


def test_without_sink_and_disk_records_are_lost_and_counted(start, make_pending, tmp_path, caplog):
    (tmp_path / "file").write_text("not a folder")
    writer = start(DeadSink(), spool=Spool(tmp_path / "file" / "spool"))
    writer.put(make_pending())
    assert writer.flush()
    assert writer.health().dropped == 1
    assert "the disk does not either" in caplog.text


def test_a_record_that_cannot_be_cleaned_does_not_stop_the_others(start, make_pending):
    sink = MemorySink()
    writer = start(sink)
    writer.put(make_pending(healed=5))  # not a sequence: nothing that `clean` expects
    good = make_pending()
    writer.put(good)
    assert writer.flush()
    assert good.id in {row.id for row in sink.rows}


class Hostile:
    """An object of a caller's that raises whatever is asked of it, as a test double or an ORM's row may."""

    def __init__(self, raised: type[BaseException]) -> None:
        self.raised = raised

    def __str__(self) -> str:
        raise self.raised

    __bool__ = __float__ = __iter__ = __str__

    def __repr__(self) -> str:
        return f"Hostile({self.raised.__name__})"  # for pytest's own report


class HostileNumber(float):
    def __float__(self) -> float:
        raise SystemExit


class HostileList(list):
    def __iter__(self):
        raise SystemExit


@pytest.fixture
def hostile_request(serve):
    """Send a request through a started service, with an object as each thing that may be one."""
    arms = {"control": {}, "warm": {"temperature": 1.1}}
    split = {"fractional": [["control", 1], ["warm", 1]]}
    flags = {
        "teacher.experiment": object_flag({"none": {}, **arms}, "none", split, unit="tenant", segments="tier")
    }

    def send(writer, place, given):
        serve(flags, usage=writer)
        attributes = {"tenant": "t1", "tier": "pro"} | ({place: given} if place in {"tenant", "tier"} else {})
        with windsock.request(user_id=given if place == "user" else "ann") as request:
            assert Teacher.for_user("ann", **attributes).temperature
            request.track("bought", **{"value": 1.0} | ({place: given} if place in {"value", "note"} else {}))
        with windsock.request(user_id="later"):
            assert Teacher.for_user("later").temperature

    return send


@pytest.mark.parametrize("key", [None, b"a secret of sixteen"], ids=["plain", "hashed"])
@pytest.mark.parametrize("place", ["user", "tenant", "tier", "value", "note"])
@pytest.mark.parametrize(
    "given",
    [Hostile(RuntimeError), Hostile(SystemExit), HostileNumber(2.0), HostileList([1])],
    ids=lambda given: f"{type(given).__name__} {getattr(given, 'raised', SystemExit).__name__}",
)
def test_whatever_object_a_caller_gives_the_writer_goes_on(hostile_request, start, place, given, key):
    sink = MemorySink()
    writer = start(sink, UsageOptions(flush_interval=20, user_id_key=key))
    hostile_request(writer, place, given)
    assert writer.flush(60)
    assert len(sink.rows) == 2
    assert len(sink.events) == 1
    assert writer.health().dropped == 0


def test_what_cannot_be_read_at_all_is_dropped_counted_and_said(start, make_pending, caplog):
    class Odd(dict):
        def get(self, *_):
            raise SystemExit

    arm = Arm("warmth", "warm", "teacher.experiment", "SPLIT", unit="tenant")
    sink = MemorySink()
    writer = start(sink)
    pending = [make_pending(exposed_to=arm, attributes=Odd()), make_pending()]
    for each in pending:
        writer.put(each)
    assert writer.flush(60)
    assert [row.id for row in sink.rows] == [each.id for each in pending], "the row itself could be made"
    assert writer.health().dropped == 1
    assert "a record could not be made: SystemExit" in caplog.text


def test_a_stopped_writer_joins_its_threads_and_drops_what_comes_later(make_pending, spool):
    sink = MemorySink()
    writer = UsageWriter(sink, spool, QUICK)
    writer.put(make_pending())
    writer.stop()
    assert len(sink.rows) == 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("windsock-usage")]
    writer.put(make_pending())
    assert writer.health().dropped == 1
    writer.stop()


def test_a_flush_of_a_stopped_writer_has_nothing_to_wait_for(make_pending, spool):
    writer = UsageWriter(MemorySink(), spool)
    writer.put(make_pending())
    writer.stop()
    assert writer.flush(timeout=60)  # it would wait, and say no, for a thread that has ended
    assert writer.health().queued == 0


def test_what_is_queued_when_the_process_ends_is_stored(spool):
    """Nobody called `stop`, and the interval is an hour."""
    program = textwrap.dedent("""
        import datetime, pathlib, sys, uuid
        from windsock.usage import Measured, Pending, Spool, UsageOptions, UsageWriter, Use
        class Dead:
            def write(self, rows):
                raise ConnectionError
        writer = UsageWriter(Dead(), Spool(pathlib.Path(sys.argv[1])), UsageOptions(flush_interval=3600))
        use = Use("teacher", None, None, None, None, "test", "u1", {"n": 1})
        writer.put(Pending(uuid.uuid4(), datetime.datetime.now(datetime.UTC), use, Measured()))
    """)
    subprocess.run([sys.executable, "-c", program, str(spool.folder)], check=True, timeout=60)
    with spool.claim() as rows:
        assert [row.values for row in rows] == [{"n": 1}]


_CHILDREN = """
import datetime, multiprocessing, pathlib, sys, uuid
from concurrent.futures import ProcessPoolExecutor
from windsock.usage import Measured, Pending, Spool, UsageOptions, UsageWriter, Use

class Dead:
    def write(self, rows):
        raise ConnectionError

def start():
    global writer
    writer = UsageWriter(Dead(), Spool(pathlib.Path(sys.argv[1])), UsageOptions(flush_interval=3600))

def work(user):
    use = Use("teacher", None, None, None, None, "test", user, {"n": 1})
    writer.put(Pending(uuid.uuid4(), datetime.datetime.now(datetime.UTC), use, Measured()))

def start_and_work(user):
    start()
    work(user)

if __name__ == "__main__":
    method, kind, starts = sys.argv[2:]
    context = multiprocessing.get_context(method)
    if starts == "parent":
        start()
    initializer = start if starts == "child" else None
    if kind == "executor":
        with ProcessPoolExecutor(1, context, initializer) as executor:
            list(executor.map(work, ["ada", "bob"]))
    elif kind == "pool":
        pool = context.Pool(1, initializer)
        pool.map(work, ["ada", "bob"])
        pool.close()
        pool.join()
    else:
        for user in ("ada", "bob"):
            process = context.Process(target=work if starts == "parent" else start_and_work, args=[user])
            process.start()
            process.join()
            assert process.exitcode == 0
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["executor", "pool", "process"])
@pytest.mark.parametrize(
    ("method", "starts"), [("fork", "parent"), ("fork", "child"), ("forkserver", "child"), ("spawn", "child")]
)
def test_what_is_queued_when_a_process_of_multiprocessing_ends_is_stored(
    spool, tmp_path, kind, method, starts
):
    """Such a process ends by `os._exit`, unless it was spawned."""
    (tmp_path / "children.py").write_text(_CHILDREN)
    command = [sys.executable, "children.py", str(spool.folder), method, kind, starts]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    with spool.claim() as rows:
        assert sorted(row.user_id for row in rows) == ["ada", "bob"]


_THREADS = """
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread, _register_atexit
import os
from children import *

def work_late(user, ended):
    assert ended.wait(60)
    work(user)

def start_late(user, ended):
    assert ended.wait(60)
    start_and_work(user)

def fork_late(user, ended):
    assert ended.wait(60)
    child = multiprocessing.get_context("fork").Process(target=work, args=[user])
    child.start()
    child.join()

def leave_threads():
    if sys.argv[3] == "child":
        start()
    work("before")
    ended = Event()
    _register_atexit(ended.set)  # called before threads are waited for; up to 3.12 the finalizers are done then
    late = {"thread": work_late, "pool of threads": work_late, "start": start_late, "fork": fork_late}[sys.argv[4]]
    if sys.argv[4] == "pool of threads":
        ThreadPoolExecutor().submit(late, "after", ended)
    else:
        Thread(target=late, args=["after", ended]).start()

def leave_fork():
    if sys.argv[3] == "child":
        start()
    work("before")
    if not os.fork():
        work("after")
        sys.exit()
    os.wait()

if __name__ == "__main__":
    if sys.argv[3] == "parent":
        start()
    leave = leave_fork if sys.argv[4] == "os.fork" else leave_threads
    process = multiprocessing.get_context(sys.argv[2]).Process(target=leave)
    process.start()
    process.join()
    assert process.exitcode == 0
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["thread", "pool of threads", "start", "fork", "os.fork"])
@pytest.mark.parametrize(
    ("method", "starts"), [("fork", "parent"), ("forkserver", "child"), ("spawn", "child")]
)
def test_a_child_of_multiprocessing_records_as_long_as_its_threads_run(spool, tmp_path, method, starts, what):
    """Up to Python 3.12, such a child calls what is registered for its end, and waits for its threads after that."""
    (tmp_path / "children.py").write_text(_CHILDREN)
    (tmp_path / "threads.py").write_text(_THREADS)
    command = [sys.executable, "threads.py", str(spool.folder), method, starts, what]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    with spool.claim() as rows:
        assert sorted(row.user_id for row in rows or ()) == ["after", "before"]


def test_what_comes_while_the_sink_blocks_is_on_disk_when_the_writer_has_stopped(start, make_pending, spool):
    sink = BlockedSink()
    writer = start(sink, UsageOptions(flush_interval=0.1))
    first, second = make_pending(), make_pending()
    writer.put(first)
    assert sink.entered.wait(60)
    writer.put(second)
    writer.stop(deadline=1)
    sink.open.set()
    with spool.claim() as rows:
        assert {first.id, second.id} == {row.id for row in rows}


def test_a_sink_that_works_gets_what_is_queued_at_the_stop_and_is_closed(make_pending, spool):
    class ClosingSink(MemorySink):
        closed = 0

        def write(self, rows) -> None:
            time.sleep(0.2)  # longer than no time at all
            super().write(rows)

        def close(self) -> None:
            self.closed += 1

    sink = ClosingSink()
    writer = UsageWriter(sink, spool, UsageOptions(flush_interval=3600))
    writer.put(make_pending())
    writer.stop(deadline=60)
    assert (len(sink.rows), writer.health().written, sink.closed) == (1, 1, 1)
    assert not spool.waiting()


def test_a_child_of_a_process_that_has_stopped_records_nothing(make_pending, spool):
    writer = UsageWriter(MemorySink(), spool)
    writer.stop()
    child = os.fork()
    if child == 0:
        writer.put(make_pending())
        os._exit(writer.health().dropped + 10 * writer.health().queued)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_a_forked_child_writes_its_own_records_and_not_its_parents(start, make_pending, tmp_path):
    class FileSink:
        def write(self, rows) -> None:
            with (tmp_path / "out").open("a") as out:
                out.writelines(f"{os.getpid()} {row.id}\n" for row in rows)

    writer = start(FileSink())
    before, inside, after = make_pending(), make_pending(), make_pending()
    writer.put(before)
    child = os.fork()
    if child == 0:
        writer.put(inside)
        writer.stop()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    writer.put(after)
    assert writer.flush()
    lines = {tuple(line.split()) for line in (tmp_path / "out").read_text().splitlines()}
    assert lines == {
        (str(os.getpid()), str(before.id)),
        (str(child), str(inside.id)),
        (str(os.getpid()), str(after.id)),
    }


@pytest.mark.parametrize("user", ["ann", "Zoë"])
def test_the_log_sink_writes_lines_of_json(start, make_pending, caplog, user):
    caplog.set_level("INFO", "windsock.usage.records")
    writer = start(LogSink())
    pending = make_pending(user_id=user)
    writer.put(pending)
    assert writer.flush()
    assert f'"id":"{pending.id}"' in caplog.text
    assert f'"user_id":{json.dumps(user)}' in caplog.text


@pytest.mark.slow
def test_where_no_thread_can_be_made_a_record_waits_for_the_next_one(
    start, make_pending, monkeypatch, caplog
):
    sink = MemorySink()
    writer = start(sink)
    begin, left = threading.Thread.start, [1, 1, 1]

    def refuse(thread):
        if left and thread.name.startswith("windsock-usage"):
            left.pop()
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for _ in range(4):
        writer.put(make_pending())
    assert writer.flush()
    assert len(sink.rows) == 4
    assert writer.health().dropped == 0
    assert caplog.text.count("can't start new thread") == 1
