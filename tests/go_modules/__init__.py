"""Files of Go modules that tests compare with: schemas that may not be copied here and no Python package has."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest


def module_folder(name: str) -> Path:
    """Where a module of go.mod lies on this machine; without Go, or without the module, the test is skipped."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    done = subprocess.run(
        [go, "mod", "download", "-json", name],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    said = json.loads(done.stdout) if done.stdout.strip() else {"Error": done.stderr.strip()}
    if "Error" in said:
        pytest.skip(f"{name} cannot be downloaded: {said['Error']}")
    return Path(said["Dir"])
