"""What a package index shows of windsock, and the files that name its version."""

import os
import re
import subprocess
import tomllib
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
UV = REPOSITORY / ".uv/bin/uv"


def built_metadata(folder: Path, **variables: str) -> Message:
    """The metadata of a wheel built now."""
    if not UV.exists():
        pytest.skip("no .uv/bin/uv: the README's command puts it there")
    subprocess.run(
        [UV, "build", "-q", "--wheel", "--out-dir", folder], cwd=REPOSITORY, env=os.environ | variables, check=True, timeout=120
    )  # fmt: skip
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_string(archive.read(name).decode())


def links(readme: str) -> list[str]:
    return re.findall(r"\]\(([^)#]+)", readme)


def test_a_release_links_to_its_own_files(tmp_path):
    metadata = built_metadata(tmp_path, WINDSOCK_REPOSITORY="https://example.org/ours/windsock")
    readme = metadata.get_payload()
    ours = "https://example.org/ours/windsock/"
    files = {kind: f"{ours}{kind}/v{PROJECT['version']}/" for kind in ("blob", "raw")}
    images = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", readme)
    assert images
    assert [link for link in links(readme) if not re.match(r"https?://", link)] == []
    assert f"{files['blob']}docs/tutorial.md" in links(readme)
    for link in links(readme):
        if link.startswith(ours):
            kind = "raw" if link in images else "blob"  # "blob" is a page about the file
            assert link.startswith(files[kind])
            assert (REPOSITORY / link.removeprefix(files[kind])).exists(), link
    assert "<!--" not in readme
    assert "<this repository>" not in readme
    addresses = dict(line.split(", ", 1) for line in metadata.get_all("Project-URL"))
    assert addresses["Source"] == "https://example.org/ours/windsock"
    assert set(addresses) == {"Source", "Documentation", "Changelog", "Issues"}


def test_a_build_elsewhere_invents_no_address(tmp_path):
    metadata = built_metadata(tmp_path, WINDSOCK_REPOSITORY="")
    assert metadata.get_all("Project-URL") is None
    assert "(docs/tutorial.md)" in metadata.get_payload()


def test_what_others_copy_names_this_version():
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    named = {
        page.name: set(found)
        for page in pages
        if (found := re.findall(r"(?:rev: |@)v(\d+\.\d+\.\d+)", page.read_text()))
    }
    assert {"README.md", "tutorial.md", "pre-commit.md", "celery.md"} <= named.keys()
    assert {version for versions in named.values() for version in versions} == {PROJECT["version"]}


def test_ci_runs_the_one_script_on_every_supported_python():
    ci = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text())
    [job] = ci["jobs"].values()
    named = re.findall(r":: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    assert job["strategy"]["matrix"]["python"] == named
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]


@pytest.mark.parametrize(
    "workflow", sorted((REPOSITORY / ".github/workflows").glob("*.yml")), ids=lambda path: path.stem
)
def test_a_workflow_pins_what_it_uses_and_has_no_rights_by_default(workflow):
    content = yaml.safe_load(workflow.read_text())
    assert content["permissions"] == {}
    for used in re.findall(r"uses: (\S+)", workflow.read_text()):
        assert used.startswith("./") or re.search(r"@[0-9a-f]{40}$", used), used
