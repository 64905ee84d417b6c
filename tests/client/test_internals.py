"""OpenFeature's private names: known to this version, and not needed by one that has others."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import openfeature
import pytest

from windsock.client import internals

PROGRAM = """
    import json, windsock
    from windsock.client import internals

    class Teacher(windsock.Settings, flag="teacher"):
        top_k: int = 10

    beta = windsock.feature("beta", default=False)
    windsock.start(flags="flags", usage=None)
    health = windsock.health()
    print(json.dumps({
        "moved": len(internals.missing_names()),
        "beta": [beta("ann"), beta("bob")],
        "top_k": [Teacher.for_user("ann").top_k, Teacher.for_user("bob").top_k],
        "layer": windsock.explain(Teacher.for_user("ann"))["top_k"].layer,
        "ready": health.ready, "status": health.status,
    }))
    windsock.stop()
"""
FLAGS = {
    "flags": {
        "beta": {
            "state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off",
            "targeting": {"if": [{"==": [{"var": "targetingKey"}, "ann"]}, "on"]},
        },
        "teacher": {
            "state": "ENABLED", "variants": {"none": {}, "high": {"top_k": 50}}, "defaultVariant": "none",
            "targeting": {"if": [{"==": [{"var": "targetingKey"}, "ann"]}, "high"]},
        },
    },
}  # fmt: skip
EXPECTED = {"beta": [True, False], "top_k": [50, 10], "layer": "base", "ready": True, "status": "READY"}


def test_this_version_of_the_sdk_has_the_names_that_are_read() -> None:
    assert internals.missing_names() == ()


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        ("", "", 0),
        (r"\b_hooks\b", "_all_hooks", 1),
        (r"\b_default_provider\b", "_main_provider", 1),
        (r"\b_provider_status\b", "_statuses", 1),
        (r"\b_evaluation_context\b", "_api_context", 1),
        (r"\b_evaluation_transaction_context_propagator\b", "_propagator", 1),
        (r"\bprovider\._registry\b", "provider._providers", 1),
    ],
)
def test_an_sdk_whose_internals_have_moved_serves_the_same(tmp_path: Path, old: str, new: str, moved: int):
    """The SDK's own source, with one private name changed throughout."""
    sdk = shutil.copytree(Path(openfeature.__path__[0]), tmp_path / "sdk" / "openfeature")
    for path in sdk.rglob("*.py"):
        path.write_text(re.sub(old, new, path.read_text()) if old else path.read_text())
    if "_registry" in old:
        (sdk / "provider" / "_registry.py").rename(sdk / "provider" / "_providers.py")
    flags = tmp_path / "flags"
    flags.mkdir()
    (flags / "a.flagd.json").write_text(json.dumps(FLAGS))
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path / 'sdk'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    program = "\n".join(line[4:] for line in PROGRAM.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {**EXPECTED, "moved": moved}
