"""docs/mirror.md: each fault names a test that is there."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "mirror.md"


def test_every_fault_names_its_tests():
    page = PAGE.read_text()
    table = page[page.index("| fault | outcome |") :].split("\n\n")[0].splitlines()[2:]
    there = {
        name
        for path in FOLDER.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert len(table) > 20
    for line in table:
        named = re.findall(r"`(test_\w+)`", line)
        assert named, line
        assert set(named) <= there, line
