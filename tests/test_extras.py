"""Each extra is enough for what it promises: with the packages of all others hidden, its rooms can be imported."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ALONE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"{{name}} belongs to another extra", name=name)

sys.meta_path.insert(0, Hidden())
import {room}
"""


def needed(distribution: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> Iterator[str]:
    """Everything that pip would install for a distribution with these extras."""
    if (distribution, extras) in seen:
        return
    seen.add((distribution, extras))
    yield distribution
    for text in requires(distribution) or []:
        requirement = Requirement(text)
        chosen = [{"extra": extra} for extra in ("", *extras)]
        if requirement.marker is None or any(map(requirement.marker.evaluate, chosen)):
            yield from needed(canonicalize_name(requirement.name), frozenset(requirement.extras), seen)


@pytest.mark.parametrize(
    ("extra", "room"),
    [
        ("api", "windsock.api"),
        ("api", "windsock.console"),
        ("mirror", "windsock.mirror.loop"),
        ("cli", "windsock.cli"),
        ("embedded", "windsock.postgres.embedded"),
        ("flagd", "windsock.providers.remote"),
    ],
)
def test_an_extra_alone_is_enough_for_what_it_promises(extra, room):
    there = set(needed("windsock", frozenset({extra}), set()))
    hidden = {
        module
        for module, distributions in packages_distributions().items()
        if not there & set(map(canonicalize_name, distributions))
    }
    assert "duckdb" in hidden
    program = ALONE.format(hidden=hidden, room=room)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
