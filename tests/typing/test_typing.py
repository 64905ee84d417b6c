"""Type checkers see of a settings class what they see on BaseSettings, and exact types of what windsock adds."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.node_packages import node_packages_unavailable

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
PYRIGHT = HERE / "pyright"  # from npm; basedpyright's wheel brings its own
MARK = "# wrong"
UNSEEN_WITH_THE_PLUGIN = "but the plugin"
CHECKERS = ["mypy", "mypy with pydantic's plugin", "basedpyright", "pyright"]


def errors(checker: str, module: str, folder: Path) -> list[str]:
    """The errors that a checker finds in a module, one a line."""
    program, _, plugin = checker.partition(" ")
    found = BIN / program
    if program == "pyright":
        if why := node_packages_unavailable(PYRIGHT):
            pytest.skip(why)
        found = PYRIGHT / "node_modules" / ".bin" / "pyright"
    if program == "mypy":
        config = folder / "mypy.ini"
        config.write_text("[mypy]\nstrict = true\n" + ("plugins = pydantic.mypy\n" if plugin else ""))
        command = [found, "--config-file", config, "--cache-dir", folder / "cache", HERE / module]
    else:
        (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}')
        shutil.copy(HERE / module, folder)
        command = [found, "--pythonpath", sys.executable, "--project", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return [line.strip() for line in done.stdout.splitlines() if re.search(r":\d+(:\d+)?:? .*error", line)]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("checker", CHECKERS)
def test_what_is_right_passes_with_the_exact_types(checker: str, tmp_path: Path) -> None:
    assert errors(checker, "api.py", tmp_path) == []


@pytest.mark.timeout(400)
@pytest.mark.parametrize("checker", CHECKERS)
def test_each_wrong_line_is_found_and_no_other(checker: str, tmp_path: Path) -> None:
    lines = enumerate((HERE / "wrong.py").read_text().splitlines(), 1)
    unseen = UNSEEN_WITH_THE_PLUGIN if "plugin" in checker else "\n"
    wrong = {number for number, line in lines if MARK in line and unseen not in line}
    told = errors(checker, "wrong.py", tmp_path)
    assert {int(re.search(r"wrong\.py:(\d+)", line)[1]) for line in told} == wrong
