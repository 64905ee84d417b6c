"""The folder: whole files, strictly newer, and nothing left behind."""

import errno
import os
import time
from pathlib import Path

import pytest

from windsock.errors import MirrorError
from windsock.mirror.folder import Folder

NAME = "profiles.flagd.json"


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path / "mirror")
    folder.prepare()
    return folder


def test_writes_only_what_changed(folder):
    assert folder.write(NAME, b"one")
    before = (folder.path / NAME).stat()
    assert not folder.write(NAME, b"one")
    after = (folder.path / NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert folder.write(NAME, b"two")
    assert folder.read(NAME) == b"two"


def test_a_document_is_on_the_disk_before_its_name_is_and_its_name_after_a_sync(folder, synced):
    """After a loss of power a document is the old one or the new one, and never an empty one."""
    noted = synced(folder.path)
    folder.write(NAME, b"one")
    [(name, size)] = noted
    assert (name.startswith(f".{NAME}."), name.endswith(".tmp"), size) == (True, True, 3)
    folder.sync()
    assert noted[1:] == [("mirror", 0)]


def test_a_new_file_is_strictly_newer_than_one_from_the_future(folder):
    folder.write(NAME, b"one")
    future = time.time() + 86_400
    os.utime(folder.path / NAME, (future, future))
    folder.write(NAME, b"two")
    assert (folder.path / NAME).stat().st_mtime > future


def test_many_documents_are_written_in_order_and_counted(folder):
    documents = [(f"profiles.{number:02}.flagd.json", str(number).encode()) for number in range(30)]
    folder.write(*documents[7])
    assert list(folder.write_all(documents)) == [(name, name != documents[7][0]) for name, _ in documents]
    assert {name: folder.read(name) for name in folder.documents()} == dict(documents)


@pytest.mark.parametrize("failing", range(8))
def test_the_last_of_many_documents_waits_for_all_the_others(folder, failing):
    names = [f"profiles.{number:02}.flagd.json" for number in range(9)]
    (folder.path / names[failing]).mkdir()
    with pytest.raises(MirrorError, match=f"{names[failing]}: cannot be"):
        list(folder.write_all((name, b"new") for name in names))
    assert folder.read(names[-1]) is None
    assert not list(folder.path.glob(".*"))


def test_many_writes_in_a_moment_are_each_newer(folder):
    times = []
    for number in range(20):
        folder.write(NAME, str(number).encode())
        times.append((folder.path / NAME).stat().st_mtime)
    assert times == sorted(set(times))


def test_a_file_can_be_read_by_flagd_which_is_another_user(folder):
    folder.write(NAME, b"one")
    assert (folder.path / NAME).stat().st_mode & 0o444 == 0o444


def test_what_a_killed_mirror_left_is_removed_and_nothing_else(folder):
    leftover = folder.path / f".{NAME}.123.tmp"
    leftover.write_bytes(b"half")
    (folder.path / "notes.txt").write_text("mine")
    Folder(folder.path).clean()
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]


def test_a_link_in_a_documents_place_is_refused_and_what_it_points_to_stays(folder, tmp_path):
    folder.write(NAME, b"one")
    (tmp_path / "another").write_bytes(b"not the mirror's")
    (folder.path / NAME).unlink()
    (folder.path / NAME).symlink_to(tmp_path / "another")
    assert not folder.is_ours(NAME)
    with pytest.raises(MirrorError, match=f"{NAME}: cannot be read: Too many levels of symbolic links"):
        folder.write(NAME, b"two")
    assert (tmp_path / "another").read_bytes() == b"not the mirror's"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
def test_what_is_no_file_is_nobodys_document(folder, make):
    folder.write(NAME, b"one")
    (folder.path / NAME).unlink()
    make(folder.path / NAME)
    assert not folder.is_ours(NAME)
    with pytest.raises(MirrorError, match=f"{NAME}: cannot be read"):
        folder.write(NAME, b"two")


def test_of_a_folder_that_became_a_file_no_document_is_left(folder):
    folder.write(NAME, b"one")
    folder.path.rename(folder.path.with_name("old"))
    folder.path.write_text("a file")
    assert not folder.is_ours(NAME)


def test_a_change_by_someone_else_is_noticed(folder):
    assert not folder.is_ours(NAME)
    folder.write(NAME, b"one")
    assert folder.is_ours(NAME)
    (folder.path / NAME).write_bytes(b"two")
    assert not folder.is_ours(NAME)
    folder.write(NAME, b"one")
    (folder.path / NAME).unlink()
    assert not folder.is_ours(NAME)


def test_a_folder_that_is_a_file_is_a_message(tmp_path):
    (tmp_path / "mirror").write_text("not a folder")
    with pytest.raises(MirrorError, match="mirror: the mirror cannot use this folder"):
        Folder(tmp_path / "mirror").prepare()


def test_a_full_disk_leaves_the_last_good_file(small_disk):
    folder = Folder(small_disk)
    folder.write(NAME, b"good")
    with pytest.raises(MirrorError, match=os.strerror(errno.ENOSPC)):
        folder.write(NAME, b"x" * 100_000)
    assert folder.read(NAME) == b"good"
    assert [path.name for path in small_disk.iterdir()] == [NAME]
    assert folder.write(NAME, b"smaller")
