"""Every code block of the documentation runs, or says why not."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.blocks import PAGES, Block, blocks, name
from tests.docs.workspace import LANGUAGES, Workspace

import windsock

RUN_AT_LEAST = 70
WITH_BLOCKS = [page for page in PAGES if any(block.runs for block in blocks(page))]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder outside pytest's own, which other users, such as the embedded PostgreSQL's, may not enter."""
    with tempfile.TemporaryDirectory(prefix="windsock-docs-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def workspace(request, folder, monkeypatch) -> Iterator[Workspace]:
    """What the page asks for: an empty folder, a small project, or one with a database."""
    for variable in ("DATABASE_URL", "FLAGD_RESOLVER", "FLAGD_HOST", "OPENAI_CHAT_MODEL", "ENVIRONMENT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    text = request.getfixturevalue("page").read_text()
    variables = {}
    if "<!-- workspace: database -->" in text:
        variables["DATABASE_URL"] = request.getfixturevalue("database")
        monkeypatch.setenv("DATABASE_URL", variables["DATABASE_URL"])
    made = Workspace(folder, variables)
    if "<!-- workspace: empty -->" not in text:
        made.make_project()
    yield made
    windsock.stop()


def _runnable(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.runs or block.language == "setup"]


@pytest.mark.documentation
@pytest.mark.parametrize("page", WITH_BLOCKS, ids=name)
def test_the_blocks_of_a_page_run_in_order(page, workspace):
    for block in _runnable(page):
        try:
            workspace.run(block)
        except Exception as error:
            error.add_note(f"the block of {block.place}")
            raise


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_block_names_a_language_that_runs_or_says_why_not(page):
    for block in blocks(page):
        if block.runs:
            assert block.language in LANGUAGES or block.mark == "file", (
                f"{block.place}: nothing runs {block.language or 'a block without a language'!r}. Name a language "
                f"({', '.join(sorted(LANGUAGES - {'setup'}))}, text) or write `<!-- not run: reason -->` above it"
            )


EVERYTHING = [block for page in PAGES for block in blocks(page) if block.language not in {"text", "setup"}]
RAN = Counter(block.language for block in EVERYTHING if block.runs)


@pytest.mark.parametrize("ran", [RAN.total()], ids=[f"{RAN.total()} of {len(EVERYTHING)} blocks run"])
def test_most_blocks_run(ran):
    left_out = "\n".join(f"{block.place} is not run: {block.value}" for block in EVERYTHING if not block.runs)
    assert ran >= RUN_AT_LEAST, left_out
    assert ran >= 0.6 * len(EVERYTHING), left_out
    assert min(RAN[language] for language in ("python", "sh", "console", "json")) >= 5, RAN
