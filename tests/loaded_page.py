"""Writes docs/what-a-service-loads.md: ``python -m tests.loaded_page``; tests/test_loaded.py compares them."""

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "what-a-service-loads.md"

SERVICE = """
import json, os, sys
import windsock

class Teacher(windsock.Settings, flag="teacher"):
    top_k: int = 10

ours = lambda: {name: module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "windsock"}
imported = ours()
windsock.start(flags=".", usage=False)
assert Teacher.for_user("ada").top_k == 25
print(json.dumps([imported, ours()]))
windsock.stop()
"""
FLAGS = {
    "flags": {"teacher": {"state": "ENABLED", "variants": {"all": {"top_k": 25}}, "defaultVariant": "all"}},
}

CEILING = 6_560
"""Statements of windsock in a process that has read one value; raise it only for a reason."""

HEAD = """# What a service loads

<!-- Written by `python -m tests.loaded_page`; a test compares them. -->

A service that imports windsock, declares a settings class, calls `windsock.start(usage=False)` and reads one value has
these modules of windsock in its process: fewer than {ceiling:,} statements, not counting docstrings and comments, which a
test holds. `import windsock` alone loads about half of them, and no later request loads anything. If usage is recorded,
the writer, its spool and its delivery come on top. gRPC, psycopg, and windsock's mirror, commands, API, plans, linter and
experiments are never among them.

| package | modules | why |
|---|---|---|
"""

WHY = {
    "windsock": "names, text, pauses, files and threads that several packages share",
    "windsock.client": "asks for a flag as OpenFeature's client does, at a fraction of the cost",
    "windsock.evaluator": "compiles every rule to closures with the flagd server's results; a rule may use any operator",
    "windsock.flags": "reads a flag document with the place of each mistake, and merges documents",
    "windsock.healing": "`heal`, which runs while a request fails; and withdrawals, which other processes share with this one",
    "windsock.provenance": "`explain`",
    "windsock.providers": "watches the flag files; pauses around a fork",
    "windsock.runtime": "`start`, `stop`, `reload`, `health`",
    "windsock.settings": "declares a class and resolves its layers, as pydantic-settings reads them",
    "windsock.usage": "opens a request and collects what it used; exposures and events",
}

FOOT = """
About a quarter of it is the settings classes, a quarter the evaluator, and a sixth healing. It could be less: `heal`,
`aheal` and `explain` could load when they are first used, which would save at most 780 statements in a service that uses
none of them. They don't, because the first use of `heal` is a request that is failing: it would wait for several
modules, perhaps behind the import lock of another thread or inside an event loop. For the same reason rules load no operator
when they are first evaluated. A test lets a service's first requests use all of this, and fails if one loads a module.
What a service doesn't need stays out: typed features and settings files load with the class that uses them, the stream and
remote providers when the environment chooses them, the usage writer when usage is recorded.
"""


def loaded() -> tuple[dict[str, int], dict[str, int]]:
    """The statements of each module after the import, and after a value was read."""
    alone = {**os.environ, "PYDANTIC_DISABLE_PLUGINS": "__all__"}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.flagd.json").write_text(json.dumps(FLAGS))
        done = subprocess.run(
            [sys.executable, "-c", SERVICE],
            cwd=folder,
            env=alone,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    imported, after = json.loads(done.stdout)
    return _counted(imported), _counted(after)


def _counted(modules: dict[str, str]) -> dict[str, int]:
    return {name: _statements(Path(path)) for name, path in sorted(modules.items())}


def _statements(path: Path) -> int:
    nodes = ast.walk(ast.parse(path.read_text()))
    return sum(isinstance(node, ast.stmt) and not _is_docstring(node) for node in nodes)


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def page() -> str:
    """The page's text."""
    _, after = loaded()
    packages = {name for name in after if any(other.startswith(f"{name}.") for other in after)} - {"windsock"}
    rooms: dict[str, list[str]] = defaultdict(list)
    for name in after:
        package = name if name in packages else name.rpartition(".")[0]
        if name != package:
            rooms[package or name].append(name.rpartition(".")[2])
    rows = [
        f"| `{room}` | {', '.join(f'`{name}`' for name in modules if name != room)} | {WHY[room]} |"
        for room, modules in sorted(rooms.items())
    ]
    return "\n".join([HEAD.format(ceiling=CEILING) + "\n".join(rows), FOOT])


if __name__ == "__main__":
    PAGE.write_text(page())
