"""The hooks, the action and the delivery examples are what their tools read, and name verbs that exist."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from windsock.cli._app import VERBS

ROOT = Path(__file__).parents[2]
DELIVERY = sorted((ROOT / "docs" / "delivery").glob("*.md"))


def test_hooks_name_verbs_that_exist():
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    for hook in hooks:
        assert hook["entry"].split()[1] in VERBS
        assert re.search(hook["files"], "flagd/teacher.flagd.json")
        assert not re.search(hook["files"], "package.json")


def test_the_actions_script_runs(tmp_path, write, git):
    """The last step's script, as the runner would run it, on a real repository."""
    from tests.cli.conftest import WINDSOCK, boolean

    action = yaml.safe_load((ROOT / "action.yml").read_text())
    assert action["runs"]["using"] == "composite"
    write({"f": boolean({"fractional": [["on", 10], ["off", 90]]})})
    git("add", ".")
    git("commit", "-qm", "one")
    write({"f": boolean({"fractional": [["on", 20], ["off", 80]]})})

    def run(max_moved: str) -> subprocess.CompletedProcess[str]:
        files = {name: str(tmp_path / name.lower()) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
        variables = {
            "PATH": f"{WINDSOCK.parent}:/usr/bin:/bin", "RUNNER_TEMP": str(tmp_path), "PATHS": "flagd", "AGAINST": "HEAD",
            "USERS": "1000", "MAX_MOVED": max_moved, "SETTINGS": "", **files,
        }  # fmt: skip
        script = action["runs"]["steps"][-1]["run"]
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    done = run("")
    assert done.returncode == 0, done.stderr
    assert "### Flags: moves users" in (tmp_path / "windsock-plan.md").read_text()
    assert "changes=true" in (tmp_path / "github_output").read_text()
    assert "### Flags" in (tmp_path / "github_step_summary").read_text()
    assert run("2%").returncode == 1


@pytest.mark.parametrize("document", DELIVERY, ids=lambda path: path.name)
def test_yaml_in_the_examples_is_yaml(document):
    for block in re.findall(r"```yaml\n(.*?)```", document.read_text(), re.DOTALL):
        assert yaml.safe_load(block)
