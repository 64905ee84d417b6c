"""The fenced blocks of the documentation, and what a comment above a block says about running it.

A block runs unless the line above it says otherwise::

    <!-- not run: the reason -->         nothing runs it
    <!-- file: app/settings.py -->       it is written to that file of the page's folder
    <!-- exit: 3 -->                     the commands end with that exit code

``<!-- setup`` opens a comment of Python that runs in the page's namespace and that readers do not see, and a
page that holds ``<!-- workspace: empty -->`` or ``<!-- workspace: database -->`` says which folder it starts from.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGES = [
    *sorted(REPOSITORY.glob("*.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    *sorted((REPOSITORY / "examples").glob("*/*.md")),
]

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|:{3,})(?P<info>.*)$")
_MARK = re.compile(r"^ *<!-- (?P<kind>not run|file|exit): (?P<value>.+?) -->$")
_SETUP = "<!-- setup"


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a page.

    Attributes:
        page: Where it is.
        line: The line of its fence, from 1.
        language: The first word after the fence; ``setup`` for a setup comment.
        text: What is between the fences, without their indentation.
        mark: ``not run``, ``file``, ``exit`` or nothing.
        value: What the mark says.
    """

    page: Path
    line: int
    language: str
    text: str
    mark: str = ""
    value: str = ""

    @property
    def place(self) -> str:
        """For messages and for tracebacks."""
        return f"{name(self.page)}:{self.line}"

    @property
    def runs(self) -> bool:
        """Whether a test carries it out; plain text has nothing that could be."""
        return self.mark != "not run" and self.language not in {"text", "setup"}


def name(page: Path) -> str:
    """The page's path in the repository."""
    return page.relative_to(REPOSITORY).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """The page's code blocks and setup comments, in order; MyST's directives are left out."""
    lines = page.read_text().splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        if line.startswith(_SETUP):
            end = lines.index("-->", number)
            yield Block(page, number + 1, "setup", _joined(lines[number + 1 : end]))
            number = end
        elif (fence := _FENCE.match(line)) and fence["fence"].startswith("`"):
            end = _closing(lines, number, fence["fence"])
            if not fence["info"].startswith("{"):
                yield _block(page, lines, number, end, fence)
            number = end
        number += 1


def _block(page: Path, lines: list[str], start: int, end: int, fence: re.Match[str]) -> Block:
    indent = len(fence["indent"])
    text = _joined([line[indent:] for line in lines[start + 1 : end]])
    language = fence["info"].split()[0] if fence["info"].split() else ""
    mark = _MARK.match(lines[start - 1]) if start else None
    return Block(page, start + 1, language, text, mark["kind"] if mark else "", mark["value"] if mark else "")


def _closing(lines: list[str], start: int, fence: str) -> int:
    for number in range(start + 1, len(lines)):
        if lines[number].strip() == fence:
            return number
    raise AssertionError(f"the fence in line {start + 1} is not closed")


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
