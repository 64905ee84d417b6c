"""Files of waiting records: held by their owner, free after it, replayed once."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.full_disk import files_of_at_most

from windsock.private_folder import MADE_HERE
from windsock.usage import Spool
from windsock.usage.making_rows import clean


@pytest.fixture
def rows(make_pending):
    return [clean(make_pending(values={"n": n})) for n in range(3)]


def test_what_is_appended_is_claimed_after_release(spool, rows):
    spool.append(rows[:2])
    spool.append(rows[2:])
    spool.release()
    with spool.claim() as claimed:
        assert claimed == rows
    assert not spool.waiting()


def test_what_is_appended_is_on_the_disk_and_so_is_its_files_name(spool, rows, synced):
    noted = synced(spool.folder)
    spool.append(rows[:2])
    (path,) = spool.folder.iterdir()
    assert noted == [(spool.folder.name, 0), (path.name, path.stat().st_size)]
    spool.append(rows[2:])
    assert noted[2:] == [(path.name, path.stat().st_size)]


def test_a_batch_that_finds_no_room_leaves_nothing_of_itself(spool, rows):
    spool.append(rows[:1])
    half_a_row_more = spool.size() * 3 // 2
    with files_of_at_most(half_a_row_more), pytest.raises(OSError, match="File too large"):
        spool.append(rows[1:2])
    spool.append(rows[2:])
    spool.release()
    with spool.claim() as claimed:
        assert claimed == [rows[0], rows[2]]


def test_a_refused_line_that_finds_no_room_leaves_nothing_of_itself(spool):
    """Half of it would take the next one with it: the two would be one line that is no JSON."""
    spool.refuse("first", "its reason")
    path = spool.folder / "refused.jsonl"
    with files_of_at_most(path.stat().st_size * 3 // 2):
        spool.refuse("second", "its reason")
    spool.refuse("third", "its reason")
    assert [json.loads(line)["line"] for line in path.read_text().splitlines()] == ["first", "third"]


def test_the_oldest_file_is_first_and_one_that_is_still_empty_is_left_alone(spool, rows):
    """Its owner has made it and not locked it yet: deleted now, what is written into it would be lost."""
    for row in rows:
        spool.append([row])
        spool.release()
    paths = {path.read_text(): path for path in spool.folder.iterdir()}
    for row, age in zip(rows, (10, 30, 20), strict=True):
        os.utime(paths[f"{row.to_line()}\n"], (1e9 - age, 1e9 - age))
    empty = spool.folder / "usage-1-made.jsonl"
    empty.touch()
    os.utime(empty, (0, 0))
    claimed = []
    while spool.waiting():
        with spool.claim() as some:
            claimed += some
    assert claimed == [rows[1], rows[2], rows[0]]
    assert list(spool.folder.iterdir()) == [empty]


def test_a_file_that_another_process_replays_before_it_is_locked_is_not_replayed_again(
    spool, rows, monkeypatch
):
    spool.append(rows)
    spool.release()
    lock, replayed = fcntl.flock, []

    def flock(descriptor, operation):
        if not replayed:  # the moment between finding the file and locking it
            replayed.append(None)
            with Spool(spool.folder).claim() as claimed:
                replayed.extend(claimed)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with spool.claim() as claimed:
        assert claimed is None
    assert replayed[1:] == rows


def test_a_file_is_not_free_while_its_owner_writes_it(spool, rows):
    spool.append(rows)
    other = Spool(spool.folder)
    with other.claim() as claimed:
        assert claimed is None
    spool.release()
    with other.claim() as claimed, spool.claim() as second:
        assert claimed == rows
        assert second is None


def test_a_replay_that_fails_leaves_the_file(spool, rows):
    spool.append(rows)
    spool.release()
    with pytest.raises(ConnectionError), spool.claim():
        raise ConnectionError
    with spool.claim() as claimed:
        assert claimed == rows


def test_a_half_written_line_costs_itself_and_is_reported(spool, rows, caplog):
    spool.append(rows)
    spool.release()
    (path,) = spool.folder.iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    with spool.claim() as claimed:
        assert claimed == rows[:2]
    assert f"{path}:3" in caplog.text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 5),
        ("user_id", {"a": 1}),
        ("latency_ms", "fast"),
        ("input_tokens", 1.5),
        ("values_json", {"a": 1}),
        ("requested_at", "yesterday"),
        ("requested_at", 5),
        ("cost", []),
        ("config_id", "x"),
        ("environment", None),
        ("invented", 1),
    ],
)
def test_a_line_of_a_wrong_type_costs_itself(spool, rows, field, value):
    spool.append(rows)
    spool.release()
    (path,) = spool.folder.iterdir()
    lines = path.read_text().splitlines()
    lines[1] = json.dumps(json.loads(lines[1]) | {field: value})
    path.write_text("\n".join([*lines, "[" * 100_000, "null", ""]))
    with spool.claim() as claimed:
        assert claimed == [rows[0], rows[2]]
    refused = [json.loads(line) for line in (spool.folder / "refused.jsonl").read_text().splitlines()]
    assert [each["line"].strip() for each in refused] == [lines[1], "[" * 100_000, "null"]
    assert not spool.waiting()


@pytest.mark.parametrize("kind", ["exposure", "event"])
def test_a_line_that_is_nested_too_deep_costs_itself(spool, rows, kind):
    spool.append(rows)
    spool.release()
    (path,) = spool.folder.iterdir()
    path.write_text(f'{{"kind":"{kind}","unit":' + "[" * 100_000 + "\n" + path.read_text())
    with spool.claim() as claimed:
        assert claimed == rows
    assert not spool.waiting()


def test_a_file_that_cannot_be_deleted_is_replayed_once(spool, rows, monkeypatch, caplog):
    """As on a disk that has become read-only; what comes later is stored all the same."""

    def refuse(path, missing_ok):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    spool.append(rows)
    spool.release()
    monkeypatch.setattr(Path, "unlink", refuse)
    with spool.claim() as claimed:
        assert claimed == rows
    with spool.claim() as claimed:
        assert claimed is None
    assert "cannot be deleted: Read-only file system" in caplog.text
    monkeypatch.undo()
    with Spool(spool.folder).claim() as claimed:
        assert claimed == rows, "the next process, to which the sink's keys make no difference"


def test_lines_that_are_not_records_are_put_away_once(spool, rows):
    spool.append(rows)
    spool.release()
    (path,) = spool.folder.iterdir()
    path.write_text(path.read_text() + "half a li")
    for _ in range(3):
        with pytest.raises(ConnectionError), spool.claim():
            raise ConnectionError
    with spool.claim() as claimed:
        assert claimed == rows
    assert len((spool.folder / "refused.jsonl").read_text().splitlines()) == 1


def test_what_is_not_a_file_or_cannot_be_opened_blocks_nothing(spool, rows):
    (spool.folder / "usage-1-folder.jsonl").mkdir(parents=True)
    (spool.folder / "usage-2-loop.jsonl").symlink_to("usage-2-loop.jsonl")
    spool.append(rows)
    spool.release()
    with spool.claim() as claimed:
        assert claimed == rows


def test_refused_rows_are_bounded(spool):
    for _ in range(100):
        spool.refuse("x" * 2**20, "too long")
    sizes = [path.stat().st_size for path in spool.folder.glob("refused*")]
    assert len(sizes) == 2
    assert sum(sizes) < 40 * 2**20


def test_the_folder_is_bounded(tmp_path, rows):
    spool = Spool(tmp_path, max_bytes=1000)
    spool.append(rows[:1])
    with pytest.raises(OSError, match="of 1000 allowed"):
        spool.append(rows)
    assert 0 < spool.size() <= 1000


def test_a_long_outage_makes_files_of_bounded_size(tmp_path, make_pending):
    spool = Spool(tmp_path)
    big = [clean(make_pending(values={f"f{n}": "x" * 4000 for n in range(190)})) for _ in range(4)]
    for _ in range(6):
        spool.append(big)
    spool.release()
    files = list(tmp_path.iterdir())
    assert len(files) == 2
    assert sum(file.read_bytes().count(b"\n") for file in files) == 24


def test_only_the_owner_may_read_the_files(spool, rows):
    spool.append(rows)
    (path,) = spool.folder.iterdir()
    assert path.stat().st_mode & 0o777 == MADE_HERE
    assert spool.folder.stat().st_mode & 0o777 == 0o700


def test_a_killed_owner_frees_its_file(spool):
    program = textwrap.dedent("""
        import sys, time, uuid, datetime, pathlib
        from windsock.usage import Spool, Pending, Use, Measured
        from windsock.usage.making_rows import clean
        use = Use("teacher", None, None, None, None, "test", "u1", {"n": 1})
        spool = Spool(pathlib.Path(sys.argv[1]))
        spool.append([clean(Pending(uuid.uuid4(), datetime.datetime.now(datetime.UTC), use, Measured()))])
        print("ready", flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(spool.folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        with spool.claim() as claimed:
            assert claimed is None
        process.kill()
        process.wait()
    with spool.claim() as claimed:
        assert [row.values for row in claimed] == [{"n": 1}]


def test_a_forked_child_lets_go_and_the_parent_keeps_its_file(spool, rows):
    spool.append(rows[:1])
    child = os.fork()
    if child == 0:
        spool.forget()
        spool.append(rows[1:2])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    spool.append(rows[2:])
    with Spool(spool.folder).claim() as claimed:  # the child ended, so its file is free; the parent's is not
        assert claimed == rows[1:2]
    spool.release()
    with spool.claim() as claimed:
        assert claimed == [rows[0], rows[2]]
