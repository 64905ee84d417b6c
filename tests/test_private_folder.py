"""`.windsock` is this user's alone: nobody else's files are read there, nothing is written through links."""

import json
import logging
import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openfeature import api

import windsock
from tests.full_disk import files_of_at_most
from windsock import disk, private_folder
from windsock.healing.boards import FileBoard
from windsock.healing.quarantine import Outbox, Withdrawal
from windsock.providers.offline_copy import OfflineCopy
from windsock.usage import LogSink, Spool, UsageWriter
from windsock.usage.experiment_records import ExposureRecord

pytest.importorskip("fcntl", reason="Windows has no mode bits")

EXPOSURE = ExposureRecord("ranking", 1, "test", "ada", "on", datetime(2026, 11, 1, tzinfo=UTC))
WITHDRAWAL = Withdrawal("teacher", "base", "model", "f", "x", "it failed", 60.0)


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """The path of windsock's own folder, which isn't there yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WINDSOCK_FOLDER", raising=False)
    before = os.umask(0o002)  # as on systems where each user has a group
    yield tmp_path / ".windsock"
    os.umask(before)


def open_to_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def somebody_else_s(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to somebody else")
    folder.mkdir(mode=0o700)
    os.chown(folder, 54321, -1)


def a_link(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    folder.symlink_to(folder.parent / "elsewhere")


UNSAFE = pytest.mark.parametrize("unsafe", [open_to_all, somebody_else_s, a_link])


def test_every_level_is_made_for_its_user_alone(own, caplog):
    Spool().refuse("a line", "a reason")
    FileBoard().exchange(Outbox(withdrawn=(WITHDRAWAL,)))
    OfflineCopy(own / "stream", "flagd:8015", "").save("{}", {})
    modes = {path: path.stat().st_mode & 0o777 for path in (own, *own.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {private_folder.MADE_HERE, 0o600}
    assert len(modes) == 8


def test_git_ignores_it(own):
    subprocess.run(["git", "init", "--quiet"], check=True)
    Spool().refuse("a line", "a reason")
    status = subprocess.run(["git", "status", "--short"], check=True, capture_output=True, text=True)
    assert status.stdout == ""


@UNSAFE
def test_a_folder_of_others_is_refused_in_a_line_that_says_what_to_do(own, unsafe):
    unsafe(own)
    for attempt in (disk.make_private, private_folder.check_private):
        for folder in (own, own / "stream"):
            with pytest.raises(OSError, match="or name another folder in WINDSOCK_FOLDER") as refused:
                attempt(folder)
            assert str(refused.value).startswith(str(own))
            assert "\n" not in str(refused.value)


@UNSAFE
def test_what_is_planted_there_is_neither_read_nor_written(own, unsafe, caplog, tmp_path):
    safe = tmp_path / "safe"
    copy = OfflineCopy(safe / "stream", "flagd:8015", "")
    copy.save('{"flags": {}}', {})
    board = FileBoard(safe / "quarantine.json")
    board.exchange(Outbox(withdrawn=(WITHDRAWAL,)))
    unsafe(own)
    for path in [safe / "quarantine.json", *safe.glob("stream/*")]:
        planted = own / path.relative_to(safe)
        planted.parent.mkdir(exist_ok=True)
        planted.write_bytes(path.read_bytes())
    (own / "spool").mkdir()
    (own / "spool" / "usage-1-planted.jsonl").write_text("{}\n")
    before = sorted(own.rglob("*"))
    assert OfflineCopy(own / "stream", "flagd:8015", "").load() is None
    with pytest.raises(OSError, match="WINDSOCK_FOLDER"):
        FileBoard().exchange(Outbox())
    with Spool().claim() as claimed:
        assert claimed is None
    Spool().refuse("a line", "a reason")
    assert sorted(own.rglob("*")) == before
    assert all("WINDSOCK_FOLDER" in record.getMessage() for record in caplog.records)


@UNSAFE
def test_a_service_starts_all_the_same_and_says_it_in_a_line(own, unsafe, caplog, tmp_path):
    unsafe(own)
    caplog.set_level(logging.WARNING)
    (tmp_path / "flagd").mkdir()
    with windsock.start(flags=tmp_path / "flagd", usage=UsageWriter(LogSink())):
        assert api.get_client().get_string_value("greeting", "from code") == "from code"
    told = [record.getMessage() for record in caplog.records if str(own) in record.getMessage()]
    assert 1 <= len(told) <= 3
    assert all("\n" not in line and "WINDSOCK_FOLDER" in line for line in told)


@pytest.fixture
def checked_out(own, tmp_path, monkeypatch, request):
    """A repository with files that windsock wrote, committed by force, and a clone of it under a umask."""
    spool = Spool()
    spool.append([EXPOSURE])
    spool.release()
    FileBoard().exchange(Outbox(withdrawn=(WITHDRAWAL,)))
    OfflineCopy(own / "stream", "flagd:8015", "").save('{"flags": {}}', {})
    ada = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    for command in (["init", "-q"], ["add", "--force", "."], ["commit", "-qm", "one"]):
        subprocess.run([*ada, *command], check=True)
    before = os.umask(request.param)
    try:
        subprocess.run(["git", "clone", "-q", ".", "clone"], check=True)
    finally:
        os.umask(before)
    monkeypatch.chdir("clone")
    return tmp_path / "clone" / ".windsock"


@pytest.mark.parametrize("checked_out", [0o022, 0o077, 0o000], indirect=True, ids=oct)
def test_what_came_with_a_checkout_is_not_read(checked_out, caplog):
    checked_out.chmod(0o700)
    for each in checked_out.rglob("*"):
        if each.is_dir():
            each.chmod(0o700)
    assert len([*checked_out.rglob("usage-*.jsonl")]) == 1
    assert OfflineCopy(checked_out / "stream", "flagd:8015", "").load() is None
    with pytest.raises(OSError, match=r"was not written by windsock here .* run `chmod 610 "):
        FileBoard().exchange(Outbox())
    spool = Spool()
    for _ in range(3):
        with spool.claim() as claimed:
            assert claimed is None
    assert not spool.waiting()
    told = [record.getMessage() for record in caplog.records if "not replayed" in record.getMessage()]
    assert len(told) == 1
    assert "was not written by windsock here" in told[0]


@pytest.mark.parametrize("checked_out", [0o022], indirect=True, ids=oct)
def test_who_knows_where_it_is_from_can_vouch_for_it(checked_out):
    for each in checked_out.rglob("*"):
        each.chmod(0o700 if each.is_dir() else 0o610)
    assert OfflineCopy(checked_out / "stream", "flagd:8015", "").load() is not None
    assert [each.field for each in FileBoard().exchange(Outbox())] == ["model"]
    with Spool().claim() as claimed:
        assert claimed is not None
        assert len(claimed) == 1


@pytest.mark.usefixtures("own")
def test_a_file_of_another_user_is_not_read_whatever_its_mode(monkeypatch):
    board = FileBoard()
    board.exchange(Outbox(withdrawn=(WITHDRAWAL,)))
    written, other = board.path.stat(), os.geteuid() + 1
    monkeypatch.setattr(os, "fstat", lambda _: os.stat_result((*written[:4], other, *written[5:])))
    message = f"(it belongs to user {other}); remove it or, if you know where it is from, run `chown {os.geteuid()} "
    with pytest.raises(OSError, match=re.escape(message)):
        private_folder.read_private(board.path)
    monkeypatch.setattr(os, "fstat", lambda _: os.stat_result((*written[:4], 0, *written[5:])))
    assert json.loads(private_folder.read_private(board.path)), "an administrator's"


@pytest.mark.parametrize("name", ["quarantine.json", "quarantine.lock", "spool/refused.jsonl"])
def test_no_link_is_followed(own, name, tmp_path, caplog):
    victim = tmp_path / "victim"
    victim.write_text(json.dumps([]))
    disk.make_private(own / "spool")
    (own / name).symlink_to(victim)
    Spool().refuse("a line", "a reason")
    try:
        FileBoard().exchange(Outbox(withdrawn=(WITHDRAWAL,)))
    except OSError as error:
        assert re.search("symbolic links|ELOOP", str(error))  # noqa: PT017 - one of the three is replaced
    assert victim.read_text() == "[]"


def test_a_full_disk_leaves_no_folder_that_git_would_offer(own):
    with files_of_at_most(0), pytest.raises(OSError, match="File too large"):
        disk.make_private(own / "usage")
    assert not own.exists()
    disk.make_private(own / "usage")
    assert (own / ".gitignore").read_text("utf-8") == "*\n"
