"""Settings beside a pydantic plugin that somebody else installed, as logfire is one."""

import os
import subprocess
import sys
from pathlib import Path

from tests.flagfiles import object_flag, write_flags

PLUGIN = """
seen = []


class Counting:
    def new_schema_validator(self, schema, schema_type, *_):
        class Calls:
            def on_enter(self, *arguments, **options):
                seen.append(getattr(schema_type, "__name__", ""))

        return Calls(), None, None


plugin = Counting()
"""
PROGRAM = """
import counting, windsock
from pydantic import Field

class Teacher(windsock.Settings, flag="teacher"):
    top_k: int = Field(10, le=200)
    model: str = "a"

windsock.start(flags="flagd")
teacher = Teacher.for_user("ann")
assert (teacher.top_k, teacher.model) == (10, "b"), teacher
assert (Teacher(top_k=5).top_k, windsock.heal(teacher, lambda s: s.model)) == (5, "b")
assert len(windsock.explain(teacher).refused) == 1
assert "Teacher" in counting.seen
windsock.stop()
"""


def test_a_pydantic_plugin_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(PLUGIN)
    about = tmp_path / "counting-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[pydantic]\ncounting = counting:plugin\n")
    flag = object_flag({"b": {"top_k": 999, "model": "b"}}, "b")
    write_flags(tmp_path / "flagd" / "teacher.flagd.json", {"teacher": flag})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
