"""`windsock demo --system`: each example runs as a process, its story is true, and nothing of it is left."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import psutil
import pytest
from tests.waiting import eventually

WINDSOCK = Path(sys.executable).parent / "windsock"
STEPS = {"ai-teacher": 8, "ad-learning": 11, "aura": 8}

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture
def demo(tmp_path):
    """Start a demo with a temporary folder of its own; checks that nothing of it is left."""
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [WINDSOCK, "demo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=os.environ
            | {
                "TMPDIR": short,
                "OPENAI_CHAT_MODEL": "another-model",
                "AURA_L1_MODEL": "x",
                "WINNER_CTR_THRESHOLD": "1",
            },
        )
        started.append(process)
        return process

    # Not below tmp_path: the path of a unix socket has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="w") as short:
        yield start
        for process in started:
            process.communicate(timeout=60)
        assert list(Path(short).glob("windsock-demo-*")) == []
        eventually(
            lambda: all(short not in str(each.info["cmdline"]) for each in psutil.process_iter(["cmdline"]))
        )


@pytest.mark.parametrize("system", STEPS)
def test_every_promise_of_the_story_is_kept(demo, system):
    process = demo("--system", system, "--json")
    out, errors = process.communicate(timeout=200)
    assert process.returncode == 0, out + errors
    told = json.loads(out)
    assert told["ok"] is True
    assert len(told["steps"]) == STEPS[system]
    assert all(step["promises"] for step in told["steps"][1:])


def test_with_stay_the_service_serves_until_it_is_stopped(demo):
    process = demo("--system", "aura", "--stay")
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Serving until Ctrl-C: "):
            break
    assert [line for line in said if line != f"{line.rstrip()}\n"] == []
    url = said[-1].rpartition(" ")[2].strip()
    assert httpx.get(f"{url}/health", trust_env=False).is_success, "".join(said)
    folder, setting = said[-3].split()[1], said[-2].removeprefix("export ")
    name, _, database = shlex.split(setting)[0].partition("=")
    done = subprocess.run(
        [WINDSOCK, "profile", "list"], cwd=folder, env=os.environ | {name: database},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "budget" in done.stdout
    process.terminate()
    process.communicate(timeout=60)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/health", trust_env=False)


def test_stay_without_a_system_is_refused(demo):
    _, errors = (process := demo("--stay")).communicate(timeout=60)
    assert process.returncode == 2
    assert "--system" in errors
