"""Replacing a file keeps what the file was besides its content, and leaves nothing behind."""

import pytest

from windsock.errors import UnreachableError
from windsock.flagfiles.files import write_bytes


def test_the_mode_stays_and_a_new_file_can_be_read_by_all(tmp_path):
    private, new = tmp_path / "private", tmp_path / "new"
    private.touch(mode=0o600)
    for path in (private, new):
        write_bytes(path, b"{}")
    assert [path.stat().st_mode & 0o777 for path in (private, new)] == [0o600, 0o644]


def test_what_cannot_be_written_leaves_no_temporary_file(tmp_path):
    (tmp_path / "a folder").mkdir()
    with pytest.raises(UnreachableError, match="a folder: cannot be written"):
        write_bytes(tmp_path / "a folder", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["a folder"]
