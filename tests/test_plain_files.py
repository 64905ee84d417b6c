"""What isn't a file is opened nowhere: a pipe that nobody writes to would be waited for, a device may be endless."""

import ast
import os
import socket
import threading
from pathlib import Path

import pytest

import windsock
from windsock.plain_files import leads_out, open_plain, read_plain

ELSEWHERE = {
    "disk.py",  # folders, to lock and to sync them
    "flagfiles/locking.py",  # a folder, to lock it
    "plain_files.py",
    "providers/document_index.py",  # a folder, to lock it
    "providers/grpc_threads.py",  # the kernel's
    "healing/boards.py",  # a lock
    "usage/spool.py",  # with flags of its own
}
"""Modules that open by other means, and why they may."""

OPENS = {"read_text", "read_bytes", "open", "fdopen"}
PACKAGED = "files"
"""What is packaged with windsock is read by `importlib.resources.files`."""

pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


@pytest.fixture
def pipe(tmp_path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pipes
@pytest.mark.parametrize("mode", ["rb", "r+b"])
def test_a_pipe_is_refused_at_once(pipe, mode):
    with pytest.raises(OSError, match=r"not a file|not seekable"), open_plain(pipe, mode):
        pass


def test_a_device_a_folder_and_a_socket_are_refused(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for path in (Path("/dev/zero"), Path("/dev/null"), tmp_path, tmp_path / "socket"):
            with pytest.raises(OSError), open_plain(path):
                pass


@pipes
def test_a_pipe_that_will_do_is_read_to_its_end(pipe):
    def write() -> None:
        with pipe.open("wb") as file:
            file.writelines([b"one\n", b"two\n"])

    writer = threading.Thread(target=write)
    with os.fdopen(os.open(pipe, os.O_RDWR), "rb"):  # so that it has a writer from the beginning
        writer.start()
        with open_plain(pipe, pipes=True) as file:
            assert file.readline() + file.readline() == b"one\ntwo\n"
        writer.join()


def test_a_link_is_followed_unless_it_may_not_be(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    assert read_plain(tmp_path / "link") == b"x"
    with pytest.raises(OSError), open_plain(tmp_path / "link", links=False):
        pass


def test_a_link_leads_out_of_a_folder(tmp_path, monkeypatch):
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    for name, target, out in (
        ("a", "b", False),
        ("c", "../c", True),
        ("d", "/etc/passwd", True),
        ("e", "e", False),
    ):
        (inside / name).symlink_to(target)
        assert leads_out(inside / name, inside) is out, name


def _opened(tree: ast.AST) -> list[int]:
    """The lines of a module that open a file by other means."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id == "open":
            found.append(node.lineno)
        if isinstance(function, ast.Attribute) and function.attr in OPENS:
            of = ast.unparse(function.value)
            if (
                of == "os"
                or (function.attr in ("read_text", "read_bytes") and f"{PACKAGED}(" not in of)
                or (
                    function.attr == "open" and node.args[:1] and ast.unparse(node.args[0]) in ("'rb'", "'r'")
                )
            ):
                found.append(node.lineno)
    return found


def test_files_are_opened_in_one_way():
    root = Path(windsock.__file__).parent
    modules = {str(path.relative_to(root)): path for path in root.rglob("*.py")}
    assert set(modules) >= ELSEWHERE
    found = {
        f"{name}:{line}"
        for name, path in modules.items()
        if name not in ELSEWHERE
        for line in _opened(ast.parse(path.read_bytes()))
    }
    packaged = {each for each in found if each.startswith(("postgres/migrations.py", "demo/"))}
    assert found - packaged == set(), "open it with windsock.plain_files"
