"""The command as a program, in a folder of its own, and a Git repository with flag files."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

WINDSOCK = Path(sys.executable).parent / "windsock"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def windsock(tmp_path) -> Run:
    """Run `windsock` with arguments in the test's folder."""

    def run(*arguments: str, folder: str = ".", **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "ENVIRONMENT"}
        return subprocess.run(
            [WINDSOCK, *arguments],
            cwd=tmp_path / folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=environment | {"NO_COLOR": "1", **variables},
        )

    return run


@pytest.fixture
def write(tmp_path) -> Callable[..., Path]:
    """Write flags into `flagd/<name>.flagd.json` of the test's folder."""

    def write(flags: dict[str, object], name: str = "a") -> Path:
        path = tmp_path / "flagd" / f"{name}.flagd.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"flags": flags}, indent=2) + "\n")
        return path

    return write


@pytest.fixture
def git(tmp_path) -> Callable[..., str]:
    """Run Git in the test's folder, which becomes a repository."""

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    git("init", "-q", "-b", "main")
    return git


def boolean(targeting: object = None, default: str = "off", **metadata: object) -> dict[str, object]:
    """A boolean flag."""
    flag: dict[str, object] = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": default,
    }
    if targeting is not None:
        flag["targeting"] = targeting
    return flag | ({"metadata": metadata} if metadata else {})
