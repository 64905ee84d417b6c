"""`windsock demo --system`: each example runs as a process, its story is true, and nothing of it is left."""

import json
import os
import shlex
import subprocess

import httpx
import pytest
from tests.demo_process import WINDSOCK, demos

STEPS = {"ai-teacher": 8, "ad-learning": 11, "aura": 8}

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture
def demo(tmp_path):
    """Start a demo; checks that nothing of it is left."""
    with demos(
        tmp_path, OPENAI_CHAT_MODEL="another-model", AURA_L1_MODEL="x", WINNER_CTR_THRESHOLD="1"
    ) as start:
        yield start


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
