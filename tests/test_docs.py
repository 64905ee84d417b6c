"""Every command has help and is documented, and every command that the documents show exists."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import windsock
from tests.docs.blocks import PAGES, REPOSITORY, blocks, name
from windsock.cli._app import VERBS, main

README = REPOSITORY / "README.md"
CONTRIBUTING = REPOSITORY / "CONTRIBUTING.md"
TESTING = REPOSITORY / "docs/testing.md"
EXAMPLES = [page for page in PAGES if page.is_relative_to(REPOSITORY / "examples")]
ONE_SCREEN = 60  # lines


def fenced_lines(document: Path) -> Iterator[str]:
    """The lines inside ``` blocks, without a leading prompt."""
    for block in blocks(document):
        if block.language != "setup":
            for line in block.text.splitlines():
                yield line.strip().removeprefix("$ ")


def python_blocks(document: Path) -> list[str]:
    return [block.text for block in blocks(document) if block.language == "python"]


@pytest.fixture
def helped(monkeypatch, capsys):
    """What `windsock … --help` prints, in this process: a program for each verb would take most of a minute."""

    def helped(*verb: str) -> str:
        monkeypatch.setattr(sys, "argv", ["windsock", *verb, "--help"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    return helped


def test_help_lists_every_verb(helped):
    listed = re.findall(r"^  ([a-z][a-z-]*)  +\S", helped().partition("--help")[2], re.MULTILINE)
    assert listed == list(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_its_own_help(verb, helped):
    usage, _, rest = helped(verb).partition("\n\n")
    assert f"windsock {verb}" in usage
    described = rest.strip().splitlines()[0].strip()
    assert len(described.split()) >= 3, f"the function behind `windsock {verb}` needs a docstring"


@pytest.mark.parametrize("verb", VERBS)
def test_verb_is_documented(verb):
    shown = [document.name for document in PAGES if f"windsock {verb}" in document.read_text()]
    assert shown, f"`windsock {verb}` appears in neither README.md nor docs/*.md"


@pytest.mark.parametrize("document", PAGES, ids=name)
def test_commands_in_the_documents_exist(document):
    shown = {
        verb
        for line in fenced_lines(document)
        for verb in re.findall(r"(?:^|\s)windsock ([a-z][\w-]*)", line)
    }
    assert shown <= set(VERBS)


@pytest.mark.parametrize("document", PAGES, ids=name)
def test_files_that_the_documents_link_to_exist(document):
    targets = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", EXAMPLES, ids=name)
def test_a_readme_of_an_example_fits_on_one_screen(document):
    assert len(document.read_text().splitlines()) <= ONE_SCREEN


@pytest.mark.parametrize("document", PAGES, ids=name)
def test_modules_that_the_documents_run_exist(document):
    """`python -m a.b`, `uvicorn [--app-dir folder] a.b:c` and `celery -A a.b`, in the repository's folder or its own."""
    text = "\n".join(fenced_lines(document)) + "\n".join(re.findall(r"`([^`\n]+)`", document.read_text()))
    shown = [
        *(("", module) for module in re.findall(r"python -m (examples\.[\w.]+)", text)),
        *(("", module) for module in re.findall(r"celery -A (\S+)", text)),
        *re.findall(r"uvicorn (?:--app-dir (\S+) )?(?:--\S+ (?:\d+ )?)*([\w.]+):\w+", text),
    ]
    written = {block.value for block in blocks(document) if block.mark == "file"}
    for folder, module in shown:
        if f"{module.replace('.', '/')}.py" in written:
            continue
        places = [root / folder / module.replace(".", "/") for root in (REPOSITORY, document.parent)]
        assert any(place.with_suffix(".py").is_file() for place in places), module


@pytest.mark.parametrize("document", PAGES, ids=name)
def test_tests_that_the_documents_name_exist(document):
    for path, test in re.findall(r"`(tests/[\w/]+\.py)::(?:\w+::)?(\w+)`", document.read_text()):
        assert re.search(rf"^ *(async )?def {test}\(", (REPOSITORY / path).read_text(), re.MULTILINE), test


def test_each_fault_of_the_stock_provider_names_its_test():
    _, _, section = (REPOSITORY / "docs/providers.md").read_text().partition("## Beside the stock provider\n")
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")][1:]
    assert len(lines) >= 15
    assert [line for line in lines if not re.search(r"`tests/providers/\w+\.py::\w+` \|$", line)] == []


def test_readme_gives_one_test_command_and_it_sets_up_everything_itself():
    [command] = [line for line in fenced_lines(README) if "uv run pytest" in line]
    assert command == "python3 -m venv .uv && .uv/bin/pip install -q uv && .uv/bin/uv run pytest"


def test_ci_runs_the_test_command_of_the_readme():
    done = subprocess.run(
        [REPOSITORY / ".ci/run", "--print-test-command"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert done.stdout.splitlines() == [line for line in fenced_lines(README) if "uv run pytest" in line]


def test_the_tree_in_contributing_names_every_room():
    [tree] = re.findall(
        r"^```text\nsdk/windsock/\n(.*?)^```", CONTRIBUTING.read_text(), re.MULTILINE | re.DOTALL
    )
    named = set(re.findall(r"^  ([\w.]+)/?\s+\S+ \S", tree, re.MULTILINE))
    package = REPOSITORY / "sdk/windsock"
    there = {path.name for path in package.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    assert named == there | modules


def test_every_page_of_the_site_is_in_a_table_of_contents():
    docs = REPOSITORY / "docs"
    listed = {
        (index.parent / found).relative_to(docs)
        for index in (docs / "index.md", docs / "reference/index.md")
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", index.read_text(), re.MULTILINE | re.DOTALL)
        for entry in tree.splitlines()
        if entry and not entry.startswith(":")
        for found in (path.relative_to(index.parent) for path in index.parent.glob(f"{entry}.md"))
    }
    assert {page.relative_to(docs) for page in docs.rglob("*.md")} - listed == {Path("index.md")}


def test_the_reference_has_every_public_name():
    page = (REPOSITORY / "docs/reference/windsock.md").read_text()
    documented = set(re.findall(r"^\.\. auto\w+:: windsock\.(\w+)$", page, re.MULTILINE))
    assert set(windsock.__all__) - documented == {"WindsockError", "__version__"}  # the errors have a page
