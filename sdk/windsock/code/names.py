"""The scopes of Python code: what happens in each, and what a name in it refers to."""

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

INNER: Final = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
"""What begins a scope, beside a module."""

_STEPS: Final = (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.Attribute, ast.Call, *INNER)
_BUILTINS: Final = frozenset(dir(builtins))
_LOCAL: Final = "<locals>"


@dataclass(frozen=True, slots=True)
class NameScope:
    """What is directly in a module, class, function or lambda.

    Attributes:
        names: The names that it binds, each with the dotted names of what it may refer to.
        steps: Its assignments, attributes, calls and inner scopes, in the order in which they are written; an
            inner scope comes after its decorators, bases, defaults and annotations.
        is_class: Whether it is a class's, whose names the scopes inside it don't see.
    """

    names: Mapping[str, frozenset[str]]
    steps: tuple[ast.AST, ...]
    is_class: bool


def scope_of(node: ast.AST, folder: Sequence[str]) -> NameScope:
    """Look through a module, class, function or lambda in a file of this folder, whose parts are given."""
    bound: dict[str, set[str]] = {}
    outside: set[str] = set()
    steps: list[ast.AST] = []
    for argument in ast.iter_child_nodes(getattr(node, "args", node)):
        if isinstance(argument, ast.arg):
            bound[argument.arg] = {f"{_LOCAL}.{argument.arg}"}
    inner: set[ast.AST] = set()
    for each in _own(node):
        if isinstance(each, _STEPS):
            steps.append(each)
        if isinstance(each, ast.comprehension):
            inner.update(ast.walk(each.target))  # its variables are its own
        if each in inner:
            continue
        if isinstance(each, (ast.Global, ast.Nonlocal)):
            outside.update(each.names)
        for name, target in _bindings(each, folder):
            bound.setdefault(name, set()).add(target)
    names = {name: frozenset(targets) for name, targets in bound.items() if name not in outside}
    return NameScope(names, tuple(steps), isinstance(node, ast.ClassDef))


def dotted(node: ast.expr, scopes: Iterable[NameScope]) -> frozenset[str]:
    """The dotted names that ``a.b.c`` may refer to: none if ``a`` is not a name or isn't bound anywhere.

    Args:
        node: The expression.
        scopes: Those around it, innermost first.
    """
    rest = ""
    while isinstance(node, ast.Attribute):
        rest = f".{node.attr}{rest}"
        node = node.value
    if not isinstance(node, ast.Name):
        return frozenset()
    first = _meanings(node.id, scopes)
    return frozenset(f"{each}{rest}" for each in first) if rest else first


def _meanings(name: str, scopes: Iterable[NameScope]) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for depth, scope in enumerate(scopes):
        if name not in scope.names or (scope.is_class and depth):
            continue
        found |= scope.names[name]
        if not scope.is_class:  # a class's body reads the outer name until it binds its own
            return found
    return found | {f"builtins.{name}"} if name in _BUILTINS else found


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope in order, without those inside inner scopes."""
    body: list[ast.AST] | ast.AST = node.body  # type: ignore[attr-defined]
    waiting = body[::-1] if isinstance(body, list) else [body]
    around: set[ast.AST] = set()
    while waiting:
        each = waiting.pop()
        if isinstance(each, INNER) and each not in around:
            around.add(each)
            waiting.append(each)
            waiting.extend([*_around_body(each)][::-1])
            continue
        yield each
        if each not in around:
            waiting.extend([*ast.iter_child_nodes(each)][::-1])


def _around_body(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name != "body":
            found = value if isinstance(value, list) else [value]
            yield from (each for each in found if isinstance(each, ast.AST))


def _bindings(node: ast.AST, folder: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The names that one node binds, with what each refers to."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name, f"{_LOCAL}.{name}"
        case ast.Import(names=aliases):
            for alias in aliases:
                first = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (first, first)
        case ast.ImportFrom(names=aliases):
            module = _imported_module(node, folder)
            for alias in aliases:
                yield alias.asname or alias.name, f"{module}.{alias.name}" if module else alias.name
        case (
            ast.ClassDef(name=name)
            | ast.FunctionDef(name=name)
            | ast.AsyncFunctionDef(name=name)
            | ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
        ):
            yield name, f"{_LOCAL}.{name}"


def _imported_module(node: ast.ImportFrom, folder: Sequence[str]) -> str:
    """The module that names are imported from; a relative one with the folders around it that are names."""
    parts = [] if node.module is None else [node.module]
    if node.level:
        for package in reversed(folder[: max(0, len(folder) + 1 - node.level)]):
            if not package.isidentifier():
                break
            parts.insert(0, package)
    return ".".join(parts)
