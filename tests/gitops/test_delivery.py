"""The hooks, the action and the delivery examples, run by the tools that they are written for."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from tests.cli.conftest import WINDSOCK, boolean
from tests.config_map import ConfigMap
from tests.flagd_server import FlagdServer
from tests.waiting import eventually

from windsock.cli._app import VERBS

ROOT = Path(__file__).parents[2]
DELIVERY = sorted((ROOT / "docs" / "delivery").glob("*.md"))


def test_hooks_name_verbs_that_exist():
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    for hook in hooks:
        assert hook["entry"].split()[1] in VERBS
        assert re.search(hook["files"], "flagd/teacher.flagd.json")
        assert not re.search(hook["files"], "package.json")


@pytest.mark.slow
def test_the_actions_script_runs(tmp_path, write, git):
    """The steps behind the installation, as the runner would run them, on a real repository."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    assert action["runs"]["using"] == "composite"
    write({"f": boolean({"fractional": [["on", 10], ["off", 90]]})})
    git("add", ".")
    git("commit", "-qm", "one")
    write({"f": boolean({"fractional": [["on", 20], ["off", 80]]})})

    install, lint, plan = action["runs"]["steps"]
    assert "$GITHUB_ACTION_PATH" in install["run"], "the action installs its own release"
    interpreter = tmp_path / "windsock" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    interpreter.chmod(0o755)
    for name in ("windsock", "pip", "venv", "typer"):  # what a pull request may put into its tree
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the tree ran')")
    inputs = {name: each["default"] for name, each in action["inputs"].items()}
    files = {name: str(tmp_path / name.lower()) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}

    def run(step: dict[str, object], **inputs: str) -> subprocess.CompletedProcess[str]:
        variables = {
            name: re.sub(r"\$\{\{ inputs\.([\w-]+).*?\}\}", lambda found: inputs[found[1]], value)
            for name, value in step["env"].items()
        }
        path = "/usr/bin:/bin"
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=tmp_path, env={"PATH": path, "RUNNER_TEMP": str(tmp_path), **files, **variables},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    assert inputs["users"] == "", "with a number, even a plan of rules that take long is for that many"
    inputs |= {"against": "HEAD"}
    assert run(lint, **inputs).returncode == 0
    done = run(plan, **inputs)
    assert done.returncode == 0, done.stderr
    outputs = dict(line.split("=", 1) for line in (tmp_path / "github_output").read_text().splitlines())
    assert outputs["changes"] == "true"
    comment = Path(outputs["comment"]).read_text()
    assert comment.startswith("### Flags: moves users")
    assert (tmp_path / "github_step_summary").read_text() == comment
    assert json.loads(Path(outputs["plan"]).read_text())["steps"][0]["path"] == "flagd/a.flagd.json"
    assert run(plan, **inputs | {"max-moved": "2%"}).returncode == 1
    assert "changes=true" in (tmp_path / "github_output").read_text().splitlines()[-1], (
        "the comment is wanted then too"
    )
    (tmp_path / "--settings=typer:x.flagd.json").write_text('{"flags": {}}')
    globbed = inputs | {"paths": "*.flagd.json flagd"}
    assert run(lint, **globbed).returncode == 0
    assert run(plan, **globbed).returncode == 0, "the name of a file is no option"
    write({"f": boolean() | {"state": "on"}})
    broken = run(lint, **inputs)
    assert broken.returncode == 1
    assert broken.stdout.startswith("::error file=flagd/a.flagd.json,line=")

    def comment_of_the_last() -> str:
        last = (tmp_path / "github_output").read_text().splitlines()
        return Path(
            [each for each in last if each.startswith("comment=")][-1].removeprefix("comment=")
        ).read_text()

    assert comment_of_the_last() == "### Flags: not planned, because lint found mistakes\n"
    assert action["outputs"]["comment"]["value"].count("outputs.comment") == 2, "the plan's, or else lint's"
    assert run(plan, **inputs | {"against": "nothing"}).returncode == 1
    assert "changes=false" in (tmp_path / "github_output").read_text().splitlines()[-1]
    assert comment_of_the_last() == "### Flags: no plan could be made, see the job's log\n"


def test_every_interpreter_of_the_action_is_isolated():
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    scripts = "\n".join(step["run"] for step in action["runs"]["steps"])
    starts = re.findall(r"python3?\"? (\S+)", scripts)
    assert len(starts) == 5
    assert set(starts) == {"-I"}


@pytest.fixture
def hooked(tmp_path, git):
    """Run pre-commit with this repository's hooks, their commands from this environment instead of a fresh one."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    for hook in hooks:
        hook["language"] = "system"  # installing them takes a package registry
        hook.pop("additional_dependencies", None)
    config = {"repos": [{"repo": "local", "hooks": hooks}]}
    (tmp_path / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))

    def run(hook: str) -> subprocess.CompletedProcess[str]:
        git("add", ".")
        path = f"{WINDSOCK.parent}:{os.environ['PATH']}"
        variables = {"PATH": path, "PRE_COMMIT_HOME": str(tmp_path / ".git" / "pre-commit"), "NO_COLOR": "1"}
        return subprocess.run(
            [sys.executable, "-m", "pre_commit", "run", hook, "--color=never"],
            cwd=tmp_path, env=os.environ | variables, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    return run


@pytest.mark.slow
def test_the_hooks_stop_a_commit(hooked, write, tmp_path):
    path = write({"f": boolean()})
    (tmp_path / "package.json").write_text("{}")
    assert hooked("windsock-fmt").returncode == 1, "the file was not in the common form"
    done = hooked("windsock-fmt")
    assert (done.returncode, "Passed" in done.stdout) == (0, True), done.stdout
    assert hooked("windsock-lint").returncode == 0
    path.write_text(path.read_text().replace('"off"\n', '"of"\n'))
    done = hooked("windsock-lint")
    assert done.returncode == 1
    assert "flagd/a.flagd.json:6:25  error    default-not-variant" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["--version.flagd.json", "--check.flagd.json"])
def test_a_hook_takes_no_file_for_an_option(hooked, tmp_path, name):
    path = tmp_path / name
    path.write_text(json.dumps({"flags": {"f": boolean()}}))
    assert hooked("windsock-fmt").returncode == 1, "the file was not in the common form"
    assert path.read_text().count("\n") > 1
    assert hooked("windsock-fmt").returncode == 0
    assert hooked("windsock-lint").returncode == 0


@pytest.mark.slow
def test_the_check_hook_knows_the_settings_classes(hooked, write, tmp_path):
    (tmp_path / "app.py").write_text(
        "import windsock\nfrom pydantic import Field\n"
        "class Teacher(windsock.Settings, flag='teacher'):\n    top_k: int = Field(3, ge=1)\n"
    )
    (tmp_path / "pyproject.toml").write_text('[tool.windsock]\nsettings = ["app:Teacher"]\n')
    write({"teacher": {"state": "ENABLED", "variants": {"base": {"top_k": 0}}, "defaultVariant": "base"}})
    done = hooked("windsock-check")
    assert done.returncode == 1
    assert "settings-value" in done.stdout
    write({"teacher": {"state": "ENABLED", "variants": {"base": {"top_k": 1}}, "defaultVariant": "base"}})
    assert hooked("windsock-check").returncode == 0


@pytest.mark.parametrize("document", DELIVERY, ids=lambda path: path.name)
def test_yaml_in_the_examples_is_yaml(document):
    for block in re.findall(r"```yaml\n(.*?)```", document.read_text(), re.DOTALL):
        assert yaml.safe_load(block)


def test_the_kubernetes_example_is_valid():
    blocks = re.findall(
        r"```yaml\n(.*?)```", (ROOT / "docs" / "delivery" / "kubernetes.md").read_text(), re.DOTALL
    )
    [deployment] = [each for each in map(yaml.safe_load, blocks) if each.get("kind") == "Deployment"]
    kubernetes_validate.validate(deployment, "1.33", strict=True)
    deployment["spec"]["template"]["spec"]["containers"][1]["volumeMount"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="volumeMount"):
        kubernetes_validate.validate(deployment, "1.33", strict=True)


MANIFESTS = [
    pytest.param(each, id=f"{path.stem}-{each['kind']}")
    for path in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
    for each in yaml.safe_load_all(path.read_text())
]


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_a_manifest_is_valid_and_its_containers_are_locked_down(manifest):
    kubernetes_validate.validate(manifest, "1.33", strict=True)
    if "template" not in manifest["spec"]:
        return
    pod = manifest["spec"]["template"]["spec"]
    serves = manifest["kind"] == "Deployment"
    assert manifest["spec"].get("replicas") == (2 if serves else None)
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    volumes = {each["name"] for each in pod.get("volumes", ())}
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert {"memory"} == set(container["resources"]["limits"])
        assert {"cpu", "memory"} == set(container["resources"]["requests"])
        assert {each["name"] for each in container.get("volumeMounts", ())} <= volumes
        assert re.fullmatch(r".+:[^:]+", container["image"]), "an image without a tag changes by itself"
        assert ("readinessProbe" in container or "startupProbe" in container) is serves


def test_the_mirrors_manifest_starts_a_mirror_that_probes_can_reach():
    documents = yaml.safe_load_all((ROOT / "deploy/kubernetes/mirror.yaml").read_text())
    [deployment] = [each for each in documents if each["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    given = {each["name"]: each.get("value") for each in container["env"]}
    done = subprocess.run([WINDSOCK, "mirror", "run", "--help"], capture_output=True, text=True, check=True)
    assert {"WINDSOCK_HEALTH_HOST", "WINDSOCK_HEALTH_PORT", "DATABASE_URL"} == set(given)
    assert all(name in done.stdout for name in given)
    assert all(each.partition("=")[0] in done.stdout for each in container["args"] if each.startswith("--"))
    assert (given["WINDSOCK_HEALTH_HOST"], given["WINDSOCK_HEALTH_PORT"]) == (
        "0.0.0.0",
        str(container["ports"][0]["containerPort"]),
    )


def test_the_services_manifest_has_a_folder_that_windsock_can_write():
    manifest = yaml.safe_load((ROOT / "deploy/kubernetes/service-with-flagd.yaml").read_text())
    [container] = manifest["spec"]["template"]["spec"]["containers"]
    given = {each["name"]: each["value"] for each in container["env"]}
    mounts = [each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")]
    assert any(Path(given["WINDSOCK_FOLDER"]).is_relative_to(each) for each in mounts)


@pytest.mark.flagd
def test_flagd_follows_a_folder_as_kubernetes_mounts_it(tmp_path):
    mounted = ConfigMap(tmp_path / "flagd", "teacher.flagd.json")

    def publish(revision: int) -> None:
        flag = {"state": "ENABLED", "variants": {"at": {"revision": revision}}, "defaultVariant": "at"}
        mounted.publish({"flags": {"teacher": flag}})

    publish(0)
    with FlagdServer(mounted.file) as server:
        for revision in range(4):
            if revision:
                publish(revision)
            expected = {"revision": revision}
            eventually(lambda expected=expected: server.evaluate("teacher", {}).get("value") == expected)
