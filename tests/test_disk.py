"""Replacing a file in one step, and locks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from windsock import disk
from windsock.flag_names import is_temporary


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "below" / "flags.json"
    disk.replace(path, b"old")
    with disk.replacing(path) as file:
        file.write(b"half")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"half"
    assert list(path.parent.iterdir()) == [path]


def test_a_block_that_raises_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    disk.replace(path, b"old")
    with pytest.raises(TypeError), disk.replacing(path) as file:
        file.write("text")
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])


def test_an_existing_file_keeps_its_permissions_and_a_new_one_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    disk.replace(path, b"1")
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o640)
    disk.replace(path, b"2")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_bytes(b"old")
    link.symlink_to(target)
    disk.replace(link, b"new")
    assert (link.is_symlink(), target.read_bytes()) == (True, b"new")


def test_the_content_is_on_the_disk_before_the_name(tmp_path: Path, synced) -> None:
    noted = synced(tmp_path)
    disk.replace(tmp_path / "a", b"four")
    assert [size for _, size in noted] == [4]
    assert noted[0][0].endswith(".tmp")


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    program = (
        "import os, sys; from windsock import disk\n"
        "fd = os.open(sys.argv[1], os.O_RDONLY); print(disk.lock(fd, wait=False), flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline().strip() == "True"
    descriptor = os.open(tmp_path, os.O_RDONLY)
    assert not disk.lock(descriptor, wait=False)
    holder.kill()
    holder.communicate()
    assert disk.lock(descriptor)
    os.close(descriptor)


def test_the_name_of_an_unfinished_file_is_known(tmp_path: Path) -> None:
    target = tmp_path / "mirror" / "all.flagd.json"
    with disk.replacing(target) as file:
        (unfinished,) = target.parent.iterdir()
        file.write(b"{}")
        assert is_temporary(str(unfinished))
    assert list(target.parent.iterdir()) == [target]
    assert not any(map(is_temporary, [str(target), "flags/notes.tmp", "flags/.hidden.flagd.json"]))
