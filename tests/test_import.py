"""What `import windsock` loads, what `windsock.start` loads, and that no request loads anything more."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

DEFERRED = (
    "windsock.evaluator.compiled", "windsock.flags", "windsock.lint", "windsock.providers.files", "windsock.runtime.parts", "windsock.usage.writer",
)  # fmt: skip
FOREIGN = "cbor2", "grpc", "mmh3", "opentelemetry", "psycopg", "watchfiles", "yaml"


def run(program: str, folder: Path) -> list[str]:
    """Run a program in a process of its own; gives the JSON list that it prints."""
    # a pydantic plugin that is installed here, logfire say, imports what it likes
    alone = {**os.environ, "PYDANTIC_DISABLE_PLUGINS": "__all__"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=folder, env=alone, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_importing_loads_neither_what_start_needs_nor_any_driver(tmp_path: Path) -> None:
    program = "import json, sys, windsock; print(json.dumps(sorted(sys.modules)))"
    loaded = run(program, tmp_path)
    assert "windsock.settings" in loaded
    assert [name for name in loaded if name.startswith(DEFERRED) or name.partition(".")[0] in FOREIGN] == []


FLAGS = {
    "metadata": {"bucketing": "v3"},
    "flags": {
        "beta": {
            "state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off",
            "targeting": {"fractional": [["on", 50], ["off", 50]]},
        },
        "pro": {
            "state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off",
            "targeting": {"if": [{"sem_ver": [{"var": "app"}, ">=", "1.2.0"]}, "on"]},
        },
        "teacher": {
            "state": "ENABLED", "variants": {"high": {"top_k": 50, "topk": 1}}, "defaultVariant": "high",
        },
    },
}  # fmt: skip

SERVICE = """
    import json
    import sys

    import windsock

    class Teacher(windsock.Settings, flag="teacher"):
        top_k: int = 10

    beta = windsock.feature("beta", default=False)
    pro = windsock.feature("pro", default=False)
    windsock.start(flags={flags!r}, usage={usage})
    before = set(sys.modules)

    beta("a user")
    assert pro("a user", app="1.3.0") is True
    assert Teacher.for_user("a user").top_k == 50
    with windsock.request(user_id="a user"):
        windsock.explain(Teacher.for_user("a user"))

    def fails_above_ten(teacher):
        if teacher.top_k > 10:
            raise ValueError("top_k is too high")
        return teacher.top_k

    assert windsock.heal(Teacher.for_user("a user"), fails_above_ten) == 10
    windsock.health()
    print(json.dumps(sorted(set(sys.modules) - before)))
    windsock.stop()
"""


def test_after_start_a_first_request_loads_nothing(tmp_path: Path) -> None:
    """Import takes milliseconds: were a part loaded by the first request that needs it, that one would wait."""
    flags = tmp_path / "flagd"
    flags.mkdir()
    (flags / "teacher.flagd.json").write_text(json.dumps(FLAGS))
    for usage in "None", "__import__('windsock.usage').usage.MemorySink()":
        loaded = run(SERVICE.format(flags=str(flags), usage=usage), tmp_path)
        # watchfiles is loaded by the watcher's own thread, while requests are answered
        ours = [name for name in loaded if name.partition(".")[0] in {"windsock", *FOREIGN} - {"watchfiles"}]
        assert ours == []
