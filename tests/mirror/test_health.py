"""What a running mirror tells over HTTP."""

import os
import socket
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests import loopback
from tests.waiting import eventually

from windsock.errors import ConfigurationError
from windsock.mirror import health
from windsock.mirror.health import Status, serve_health


@pytest.fixture
def get():
    with loopback.Client(timeout=60) as client:
        yield lambda port, path: client.get(f"http://127.0.0.1:{port}{path}")


def test_a_mirror_becomes_ready_says_what_is_wrong_and_recovers(world, watching, get):
    for _ in range(12):
        world.user(world.seed)
    mirror = world.mirror(poll_seconds=0.1)
    with serve_health(mirror.status, 0) as port:
        assert get(port, "/healthz").status_code == 200
        before = get(port, "/readyz")
        assert (before.status_code, before.text) == (503, "nothing published yet\n")
        watching(mirror)
        eventually(lambda: get(port, "/readyz").text == "the documents are right\n")
        text = get(port, "/metrics").text
        assert "windsock_mirror_assignments 12.0" in text
        assert "windsock_mirror_files_written_total 1.0" in text
        world.execute("update profiles set config_id = null")
        eventually(lambda: get(port, "/readyz").status_code == 503)
        assert "12 of 12 published assignments are gone" in get(port, "/readyz").text
        assert "windsock_mirror_ready 0.0" in get(port, "/metrics").text
        world.execute("update profiles set config_id = %s", world.seed)
        eventually(lambda: get(port, "/readyz").status_code == 200)
        assert "windsock_mirror_guard_stops_total 0.0" not in get(port, "/metrics").text


def test_a_folder_that_is_gone_is_not_ready(world, watching, get):
    mirror = world.mirror(poll_seconds=60)
    with serve_health(mirror.status, 0) as port:
        watching(mirror)
        eventually(lambda: get(port, "/readyz").status_code == 200)
        moved = world.folder.rename(world.folder.with_name("moved"))
        told = get(port, "/readyz")
        assert (told.status_code, told.text) == (503, f"{world.folder}: there is no such folder\n")
        assert "windsock_mirror_ready 0.0" in get(port, "/metrics").text
        moved.rename(world.folder)
        eventually(lambda: get(port, "/readyz").status_code == 200)


def test_a_folder_that_cannot_be_looked_at_is_not_ready(get, tmp_path):
    """As where a parent may not be searched, which no folder is to root."""
    status = Status(folder=tmp_path / ("x" * 300), last_success=time.time())
    with serve_health(status, 0) as port:
        told = get(port, "/readyz")
    assert told.status_code == 503
    assert told.text.endswith("x: there is no such folder\n")


def test_a_folder_whose_name_is_no_text_is_told_all_the_same(get, tmp_path):
    status = Status(folder=tmp_path / os.fsdecode(b"\xff"), last_success=time.time())
    with serve_health(status, 0) as port:
        assert get(port, "/readyz").text.endswith(r"\udcff: there is no such folder" + "\n")


def test_a_client_that_asks_nothing_is_hung_up_on(monkeypatch, world):
    monkeypatch.setattr(health._Handler, "timeout", 0.1)
    with (
        serve_health(world.mirror().status, 0) as port,
        socket.create_connection(("127.0.0.1", port), timeout=60) as silent,
    ):
        assert silent.recv(1) == b""


def test_it_listens_on_the_address_that_is_asked_for(world, get):
    status = world.mirror().status
    with serve_health(status, 0, "0.0.0.0") as port:
        assert get(port, "/healthz").status_code == 200
    with (
        pytest.raises(ConfigurationError, match=r"--health-host 192\.0\.2\.1"),
        serve_health(status, 0, "192.0.2.1"),
    ):
        pass


def scraped(get, port):
    """Every sample of a scrape, by its name."""
    families = text_string_to_metric_families(get(port, "/metrics").text)
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_a_scrape_tells_the_whole_state(world, watching, get):
    users = [world.user(world.seed) for _ in range(3)]
    mirror = world.mirror(poll_seconds=0.1)
    began = time.time()
    with serve_health(mirror.status, 0) as port:
        watching(mirror)
        eventually(lambda: scraped(get, port)["windsock_mirror_assignments"] == 3)
        world.assign(users[0], None)
        eventually(lambda: scraped(get, port)["windsock_mirror_changes_total"] == 1)
        eventually(lambda: scraped(get, port)["windsock_mirror_ready"] == 1)
        found = scraped(get, port)
    assert found["windsock_mirror_leading"] == 1
    assert found["windsock_mirror_assignments"] == 2
    assert found["windsock_mirror_lag_transactions"] == 0
    assert 0 <= found["windsock_mirror_lag_seconds"] < 60
    assert began <= found["windsock_mirror_last_success_timestamp_seconds"] <= time.time()
    assert found["windsock_mirror_files_written_total"] == 2
    assert found["windsock_mirror_bytes_written_total"] > 1000
    assert found["windsock_mirror_failures_total"] == found["windsock_mirror_guard_stops_total"] == 0


def test_every_metric_is_documented(world, get):
    page = (Path(__file__).parents[2] / "docs" / "mirror.md").read_text()
    with serve_health(world.mirror().status, 0) as port:
        names = [name for name in scraped(get, port) if not name.endswith("_created")]
    assert len(names) == 11
    for name in names:
        assert f"`{name}`" in page or f"`{name.removeprefix('windsock_mirror')}`" in page


def test_another_path_names_the_three(get, world):
    with serve_health(world.mirror().status, 0) as port:
        answer = get(port, "/")
        assert (answer.status_code, "/readyz" in answer.text) == (404, True)


def test_a_taken_port_is_a_message(world):
    with (
        serve_health(world.mirror().status, 0) as port,
        pytest.raises(ConfigurationError, match=f"--health-port {port} cannot be used"),
        serve_health(world.mirror().status, port),
    ):
        pass
