"""The offline copy: a service starts with the last good set while the server is down."""

import json
import logging
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from openfeature import api
from openfeature.provider import ProviderStatus
from tests.providers.sync_server import SyncServer
from tests.providers.test_stream import BLUE, RED, flag, following, status, value
from tests.waiting import until

from windsock.private_folder import MADE_HERE
from windsock.providers.offline_copy import OfflineCopy


def saved_in(folder: Path) -> Path:
    """The one copy in a folder, once it is there."""
    assert until(lambda: len(list(folder.glob("*.json"))) == 1)
    return next(folder.glob("*.json"))


def test_a_start_while_the_server_is_down(tmp_path: Path) -> None:
    with SyncServer(RED) as server:
        with following(server.port, tmp_path) as provider:
            saved = saved_in(tmp_path).stat().st_mtime
            revision = provider.serving.revision
        server.stop()
        with following(server.port, tmp_path, deadline=0.3) as provider:
            assert value() == "red"
            assert provider.serving.revision == revision
            assert provider.serving.loaded_at == pytest.approx(saved, abs=5)
            assert until(lambda: status() is ProviderStatus.STALE), "OpenFeature said READY after the start"
            assert "UNAVAILABLE" in provider.serving.stale
            with SyncServer(BLUE, server.port):
                assert until(lambda: value() == "blue")
                assert until(lambda: status() is ProviderStatus.READY)
                assert provider.serving.stale == ""


def test_the_server_s_context_is_part_of_the_copy(tmp_path: Path) -> None:
    flags = {"colour": {**flag("none", {"var": "tier"}), "variants": {"it": "none", "gold": "gold"}}}
    with SyncServer(flags, context={"tier": "gold"}) as server:
        with following(server.port, tmp_path):
            assert value() == "gold"
            copy = saved_in(tmp_path)
            before = copy.read_bytes()
            server.set(context={"tier": "gold", "region": "eu"})
            server.push(flags)
            assert until(lambda: copy.read_bytes() != before), "the same flags under another context"
        server.stop()
        with following(server.port, tmp_path, deadline=0.3):
            assert value() == "gold"


def test_another_server_or_selector_has_its_own_copy(tmp_path: Path) -> None:
    with SyncServer(RED) as server:
        with following(server.port, tmp_path):
            assert value() == "red"
        server.stop()
        with following(server.port, tmp_path, selector="flagSetId=other", deadline=0.3):
            assert value() == "default"


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"{}", b"\xff\xfe", b"[" * 200_000, b'{"flags": "{", "context": {}, "saved_at": 1}'],
    ids=["empty", "cut", "list", "older", "bytes", "deep", "flags"],
)
def test_a_damaged_copy_is_left_out_and_named(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with SyncServer(RED) as server:
        with following(server.port, tmp_path):
            copy = saved_in(tmp_path)
        copy.write_bytes(damage)
        server.stop()
        with following(server.port, tmp_path, deadline=0.3):
            assert (value(), status()) == ("default", ProviderStatus.ERROR)
        [message] = [each.getMessage() for each in caplog.records if "offline copy" in each.getMessage()]
        assert message.startswith(f"{copy}: the offline copy cannot be used")


@pytest.mark.parametrize("name", ["target", "selector"])
def test_a_copy_that_was_moved_from_another_server_is_left_out(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with SyncServer(RED) as server:
        with following(server.port, tmp_path):
            copy = saved_in(tmp_path)
        copy.write_text(json.dumps(json.loads(copy.read_text()) | {name: "elsewhere"}))
        server.stop()
        with following(server.port, tmp_path, deadline=0.3):
            assert value() == "default"
    assert f"{copy}: the offline copy cannot be used" in caplog.text
    assert "elsewhere" in caplog.text


def test_a_disk_that_is_full_leaves_the_last_copy_whole(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from windsock.providers.offline_copy import OfflineCopy\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "copy = OfflineCopy(Path(sys.argv[1]), 'localhost:1', '')\n"
        "copy.save('first', {})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "copy.save('x' * 1_000_000, {})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, timeout=60, check=True
    )
    assert "the offline copy cannot be written (File too large)" in done.stderr
    copy = OfflineCopy(tmp_path, "localhost:1", "")
    saved = copy.load()
    assert saved is not None
    assert saved.flags == "first"
    assert list(tmp_path.iterdir()) == [copy.path]


def test_a_hundred_pushes_as_fast_as_they_come_end_with_the_last(tmp_path: Path) -> None:
    with SyncServer(RED) as server:
        with following(server.port, tmp_path):
            for number in range(100):
                server.push({"colour": flag(f"v{number}")})
            assert until(lambda: value() == "v99")
            assert status() is ProviderStatus.READY
        server.stop()
        with following(server.port, tmp_path, deadline=0.3):
            assert value() == "v99"


def test_a_bad_push_does_not_touch_the_copy(tmp_path: Path) -> None:
    with SyncServer(RED) as server, following(server.port, tmp_path):
        copy = saved_in(tmp_path)
        before = copy.read_bytes()
        server.push("{")
        assert until(lambda: status() is ProviderStatus.STALE)
        assert copy.read_bytes() == before


def test_a_folder_that_cannot_be_written_costs_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    with SyncServer(RED) as server, following(server.port, tmp_path / "taken"):
        server.push(BLUE)
        assert until(lambda: value() == "blue")
        server.push(RED)
        assert until(lambda: value() == "red")
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    [warning] = [message for message in warnings if "offline copy" in message]
    assert "WINDSOCK_OFFLINE_COPY" in warning


def test_only_the_owner_may_read_it_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    copy = OfflineCopy(tmp_path / "copies", "localhost:1", "")
    copy.save('{"flags": {}}', {})
    assert stat.S_IMODE(copy.path.stat().st_mode) == MADE_HERE
    assert list(copy.path.parent.iterdir()) == [copy.path]


def test_many_writers_leave_a_whole_copy(tmp_path: Path) -> None:
    texts = [f'{{"flags": {{}}, "n": "{str(number) * 50_000}"}}' for number in range(4)]

    def save(text: str) -> None:
        for _ in range(10):
            OfflineCopy(tmp_path, "localhost:1", "").save(text, {})

    threads = [threading.Thread(target=save, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    saved = OfflineCopy(tmp_path, "localhost:1", "").load()
    assert saved is not None
    assert saved.flags in texts


@pytest.mark.slow
def test_kill_9_while_it_is_written_leaves_the_last_copy(tmp_path: Path) -> None:
    copy = OfflineCopy(tmp_path, "localhost:1", "")
    copy.save("first", {})
    program = (
        "import sys; from pathlib import Path; from windsock.providers.offline_copy import OfflineCopy\n"
        "copy = OfflineCopy(Path(sys.argv[1]), 'localhost:1', '')\n"
        "print('ready', flush=True)\n"
        "while True: copy.save('x' * 5_000_000, {})\n"
    )
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        process.communicate()
        saved = copy.load()
        assert saved is not None
        assert saved.flags == "first" or len(saved.flags) == 5_000_000


def test_what_a_killed_process_left_is_removed_in_time(tmp_path: Path) -> None:
    copy = OfflineCopy(tmp_path, "localhost:1", "")
    old, young = (tmp_path / f".{copy.path.name}.{name}.tmp" for name in ("old", "young"))
    other = tmp_path / "other.tmp"
    for each in (old, young, other):
        each.write_text("half")
        os.utime(each, None if each is young else (1, 1))
    copy.save("{}", {})
    assert set(tmp_path.iterdir()) == {copy.path, young, other}


def test_no_copy_is_kept_where_none_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with SyncServer(RED) as server, following(server.port, None):
        assert value() == "red"
    assert list(tmp_path.iterdir()) == []
    assert api.get_client().get_string_value("colour", "default") == "default"
