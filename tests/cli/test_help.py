"""The rules of the command line that every verb keeps."""

import subprocess

import pytest
from tests.cli.conftest import WINDSOCK

FLAGS_AS_CODE = [
    "lint", "fmt", "diff", "eval", "check", "init", "import", "export", "plan", "apply", "rollout", "history", "refs", "stale",
]  # fmt: skip


@pytest.mark.parametrize("verb", FLAGS_AS_CODE)
def test_help_shows_an_example_and_an_unknown_option_is_wrong_usage(verb, tmp_path):
    shown = subprocess.run([WINDSOCK, verb, "--help"], capture_output=True, text=True, timeout=60, check=True)
    assert f"Example: windsock {verb}" in " ".join(shown.stdout.split())
    wrong = subprocess.run(
        [WINDSOCK, verb, "--nonsense"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "--nonsense" in wrong.stderr
