"""The demo as a program: its story is true, it ends by itself, it leaves nothing, and it says when it fails."""

import json
import os
import re
import signal
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from rich.console import Console
from tests.demo_process import demos

from windsock.cli.demo import show
from windsock.demo.story import Scene
from windsock.usage.record import UsageRecord

README = Path(__file__).parents[2] / "README.md"
FOREIGN = {
    "DATABASE_URL": "postgresql://nowhere.invalid/none",
    "ENVIRONMENT": "development",
    "FLAGD_RESOLVER": "rpc",
    "OPENAI_CHAT_MODEL": "another-model",
    "TEACHER_RETRIEVAL_TOP_K": "7",
}

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture
def demo(tmp_path):
    """Start the demo; checks that nothing of it is left."""
    with demos(tmp_path) as start:
        yield start
    assert list(tmp_path.iterdir()) == []


def read_until(process, beginning):
    for line in process.stdout:
        if line.startswith(beginning):
            return
    pytest.fail(f"{beginning!r} was never printed: {process.stderr.read()}")


def test_the_story_is_told_and_every_promise_is_kept(demo):
    process = demo()
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, out + errors
    assert errors == ""
    assert "\x1b[" not in out, "colour in a pipe"
    assert [line for line in out.splitlines() if line != line.rstrip()] == []
    assert [line[:2] for line in out.splitlines() if line[:1].isdigit()] == [f"{n}." for n in range(1, 8)]
    assert "BROKEN" not in out
    assert "gpt-4oo 404, then gpt-4o-mini 200" in out
    assert out.count(" ms") > 7
    [excerpt] = re.findall(r"^```text\n(5\. .*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert set(excerpt.splitlines()) <= set(out.splitlines())


def test_a_row_of_usage_fits_80_columns_without_a_value_that_is_broken_in_two():
    values = {"retrieval_top_k": 25, "reasoning_model": "gpt-4o-mini", "max_answer_tokens": 600}
    row = UsageRecord(
        id=UUID(int=1), requested_at=datetime(2026, 1, 1, tzinfo=UTC), user_id="a", request_id=None,
        environment="production", flag="teacher", variant=None, config_id=UUID(int=2), revision=None, reason=None,
        values_json=json.dumps(values | {"embeddings_model": "openai/text-embedding-3-small"}), latency_ms=14.9,
    )  # fmt: skip
    scene = Scene(
        "What was used",
        "Each answer can be traced.",
        rows=[row],
        names={"a": "Ada", str(UUID(int=2)): "warm"},
    )
    out = StringIO()
    show(Console(file=out, width=80, highlight=False), 1, scene)
    words = out.getvalue().replace(",", "").split()
    assert "Ada: profile warm 14.9 ms" in out.getvalue().replace(",", "")
    assert {f"{name}={value}" for name, value in values.items()} < set(words)
    assert max(map(len, out.getvalue().splitlines())) <= 80


def test_a_statement_of_several_lines_is_shown_as_such():
    out = StringIO()
    scene = Scene("A change", "It takes effect at once.", did="UPDATE profiles\nSET config_id = NULL;")
    show(Console(file=out, width=80, highlight=False), 3, scene)
    assert "   SQL> UPDATE profiles\n        SET config_id = NULL;\n" in out.getvalue()


def test_the_same_as_data_whatever_the_users_environment(demo):
    process = demo("--json", **FOREIGN)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, out + errors
    told = json.loads(out)
    assert told["ok"] is True
    assert len(told["steps"]) == 7
    assert all(promise["kept"] for step in told["steps"] for promise in step["promises"])
    measured = [value for step in told["steps"] for value in step["milliseconds"].values()]
    assert all(isinstance(value, float) and value > 0 for value in measured)
    rows = told["steps"][-1]["rows"]
    assert [row["values"]["retrieval_top_k"] for row in rows] == [10, 25, 10, 40, 40, 40, 40]
    assert [len(row["healed"]) for row in rows] == [0, 0, 0, 0, 1, 1, 0]
    assert len({row["id"] for row in rows}) == 7


def test_a_broken_promise_is_named_and_the_exit_code_says_so(demo):
    process = demo()
    read_until(process, "1. ")
    for child in psutil.Process(process.pid).children(recursive=True):
        if "mirror" in child.cmdline():
            child.kill()
    kill_database(process)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "BROKEN  each step ends" in out
    assert "promises broken:" in out


def kill_database(process):
    """Kill the demo's PostgreSQL, which is no child of the demo's."""
    (postmaster,) = {
        int((folder / "postmaster.pid").read_text().split()[0])
        for folder in Path(psutil.Process(process.pid).cwd()).glob("postgres")
    }
    os.kill(postmaster, signal.SIGQUIT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_takes_everything_down(demo, number):
    process = demo()
    read_until(process, "2. ")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as Ctrl-C in a terminal does
    else:
        process.terminate()
    process.communicate(timeout=60)
    assert process.returncode not in {0, None}
