"""A real flagd server that starts before the mirror's first document."""

import json
import subprocess
import urllib.request

import pytest
from tests.flagd_server import flagd_binary
from tests.ports import free_ports
from tests.waiting import eventually


@pytest.fixture
def start_flagd(world):
    """Start flagd on the mirror's document; the process, and what it answers for a user."""
    binary = flagd_binary()
    rpc, management, sync, ofrep = free_ports(4)
    source = json.dumps([{"uri": str(world.folder / "profiles.flagd.json"), "provider": "fsnotify"}])
    ports = [f"-p={rpc}", f"-m={management}", f"-g={sync}", f"-r={ofrep}"]
    started = []

    def start():
        command = [binary, "start", "--sources", source, *ports]
        started.append(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        )
        return started[-1]

    def answer(user):
        request = urllib.request.Request(
            f"http://127.0.0.1:{ofrep}/ofrep/v1/evaluate/flags/teacher.profile",
            json.dumps({"context": {"targetingKey": user}}).encode(),
            {"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return json.load(response)["value"]
        except OSError:
            return None

    yield start, answer
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.flagd
def test_flagd_ends_without_the_first_document_and_serves_when_it_is_started_again(
    world, start_flagd, watching, recovered
):
    start, answer = start_flagd
    ann, bob = world.user(world.seed), world.user()
    early = start()
    _, said = early.communicate(timeout=30)
    assert early.returncode != 0
    assert "profiles.flagd.json" in said
    watching(world.mirror())
    recovered(world, None)
    start()
    eventually(lambda: answer(ann) == world.assigned()[ann])
    assert answer(bob) == {}
    world.assign(bob, world.seed)
    eventually(lambda: answer(bob) == world.assigned()[bob])
