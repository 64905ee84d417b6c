"""Packages from npm, installed on first use from the lock file that is committed beside them."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path


def node_packages_unavailable(folder: Path) -> str | None:
    """Why the programs of a folder with a package-lock.json cannot run, or None; installs its packages."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "node or npm is not installed"
    lock_file, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    with lock_file.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one of the test workers installs, the others wait for all of it
        if installed.is_file() and installed.stat().st_mtime >= lock_file.stat().st_mtime:
            return None
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder,
            env={**os.environ, "npm_config_update_notifier": "false"},
            capture_output=True,
            text=True,
            check=False,
        )
    return None if done.returncode == 0 else f"npm ci failed: {done.stderr.strip().splitlines()[-1:]}"
