"""What a running mirror tells over HTTP."""

import httpx
import pytest

from windsock.errors import ConfigurationError
from windsock.mirror.health import serve_health


@pytest.fixture
def get():
    with httpx.Client(timeout=5) as client:
        yield lambda port, path: client.get(f"http://127.0.0.1:{port}{path}")


def test_a_mirror_becomes_ready_says_what_is_wrong_and_recovers(world, watching, eventually, get):
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
