"""A class name means one thing in the whole package, so that a reader never has to ask which one."""

import ast
from collections import defaultdict
from pathlib import Path
from typing import Final

import windsock

PACKAGE = Path(windsock.__file__).parent

SHARED: Final = {
    "RequestMiddleware": "each framework's own, from its module of windsock.contrib: a service uses only one of them",
}


def _declared() -> dict[str, list[str]]:
    """By the name of a public class, the modules that declare one."""
    found = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(path.relative_to(PACKAGE).as_posix())
    return found


def test_no_two_modules_declare_a_class_of_the_same_name():
    twice = {name: modules for name, modules in _declared().items() if len(modules) > 1}
    assert {name: modules for name, modules in twice.items() if name not in SHARED} == {}
    assert twice.keys() >= SHARED.keys(), "an exception that is no longer needed"
