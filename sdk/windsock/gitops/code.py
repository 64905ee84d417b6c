"""Where flags and fields are used in Python: imports and aliases followed, by LibCST.

Found are ``windsock.feature("key")``, the OpenFeature client's ``get_…("key")`` and ``resolve_…("key")``,
settings classes and their flags, and reads of their fields: on what ``for_user``, ``for_user_async``,
``live`` or a call of the class gave, on parameters and variables annotated with the class, and in the
function that ``heal`` or ``aheal`` runs. What reaches code through untyped containers is not found.
"""

# ruff: noqa: N802 - LibCST finds a visitor's methods by the names of its nodes

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider, QualifiedNameProvider

from windsock.declaration import default_flag

_CLIENT: Final = re.compile(r"(get|resolve)_(boolean|string|integer|float|object)_(value|details)(_async)?")
_VIEWS: Final = ("for_user", "for_user_async", "live")
_SKIPPED: Final = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", ".tox", "build", "dist"})


@dataclass(frozen=True, slots=True)
class Use:
    """A use of a flag, or of a field of a settings flag.

    Attributes:
        flag: The flag's key.
        field: The field; None where the flag itself is used or declared.
        path: The file.
        line: One-based line.
        column: One-based column.
        kind: ``class``, ``feature``, ``client`` or ``read``.
    """

    flag: str
    field: str | None
    path: str
    line: int
    column: int
    kind: str


@dataclass(frozen=True, slots=True)
class Declared:
    """A settings class in the code: its flag and fields, and where it stands."""

    name: str
    flag: str
    fields: tuple[str, ...]
    path: str
    line: int


@dataclass(slots=True)
class Code:
    """What was found, and the files that could not be parsed, each with the reason."""

    uses: list[Use] = field(default_factory=list)
    classes: list[Declared] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def scan(paths: Sequence[Path]) -> Code:
    """Look through Python files and folders of them."""
    code = Code()
    modules = []
    for path in _python_files(paths):
        try:
            modules.append(
                (str(path), MetadataWrapper(cst.parse_module(path.read_bytes()), unsafe_skip_copy=True))
            )
        except (cst.ParserSyntaxError, UnicodeDecodeError, OSError) as error:
            code.unread.append(f"{path}: {str(error).splitlines()[0]}")
    for name, module in modules:
        module.visit(_Classes(name, code))
    by_name = {declared.name: declared for declared in code.classes}
    for name, module in modules:
        module.visit(_Uses(name, code, by_name))
    code.uses.sort(key=lambda use: (use.flag, use.path, use.line, use.column))
    return code


def _python_files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(
                each for each in path.rglob("*.py") if not _SKIPPED & set(each.relative_to(path).parts[:-1])
            )
        else:
            yield path


class _Visitor(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider, QualifiedNameProvider)

    def __init__(self, path: str, code: Code) -> None:
        super().__init__()
        self._path = path
        self._code = code

    def names(self, node: cst.CSTNode) -> set[str]:
        """The qualified names that a node stands for."""
        return {each.name for each in self.get_metadata(QualifiedNameProvider, node, set()) or set()}

    def place(self, node: cst.CSTNode) -> tuple[int, int]:
        """One-based line and column of a node."""
        start = self.get_metadata(PositionProvider, node).start
        return start.line, start.column + 1


class _Classes(_Visitor):
    """Finds settings classes: those with ``windsock.Settings`` among their bases."""

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        if not any("windsock.Settings" in self.names(base.value) for base in node.bases):
            return
        flag = default_flag(node.name.value)
        for keyword in node.keywords:
            if keyword.keyword is not None and keyword.keyword.value == "flag":
                flag = _text(keyword.value) or flag
        line, column = self.place(node.name)
        fields = tuple(
            statement.target.value
            for part in node.body.body
            if isinstance(part, cst.SimpleStatementLine)
            for statement in part.body
            if isinstance(statement, cst.AnnAssign) and isinstance(statement.target, cst.Name)
        )
        self._code.classes.append(Declared(node.name.value, flag, fields, self._path, line))
        self._code.uses.append(Use(flag, None, self._path, line, column, "class"))


class _Uses(_Visitor):
    """Finds uses; names that hold settings are known per function, the module's below them."""

    def __init__(self, path: str, code: Code, classes: Mapping[str, Declared]) -> None:
        super().__init__(path, code)
        self._classes = classes
        self._scopes: list[dict[str, Declared]] = [{}]

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self._scopes.append({})
        parameters = node.params
        for parameter in (*parameters.posonly_params, *parameters.params, *parameters.kwonly_params):
            if parameter.annotation is not None:
                self._hold(parameter.name.value, self._annotated(parameter.annotation.annotation))

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:  # noqa: ARG002 - LibCST's name
        self._scopes.pop()

    def visit_Lambda(self, node: cst.Lambda) -> None:  # noqa: ARG002 - LibCST's signature
        self._scopes.append({})

    def leave_Lambda(self, original_node: cst.Lambda) -> None:  # noqa: ARG002 - LibCST's name
        self._scopes.pop()

    def visit_Assign(self, node: cst.Assign) -> None:
        for target in node.targets:
            if isinstance(target.target, cst.Name):
                self._hold(target.target.value, self._settings(node.value))

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        if isinstance(node.target, cst.Name):
            self._hold(node.target.value, self._annotated(node.annotation.annotation))

    def visit_NamedExpr(self, node: cst.NamedExpr) -> None:
        if isinstance(node.target, cst.Name):
            self._hold(node.target.value, self._settings(node.value))

    def visit_Call(self, node: cst.Call) -> bool | None:
        names = self.names(node.func)
        first = node.args[0].value if node.args else None
        if names & {"windsock.feature", "windsock.features.feature"} and first is not None:
            self._note(_text(first), None, node, "feature")
        elif (
            isinstance(node.func, cst.Attribute)
            and _CLIENT.fullmatch(node.func.attr.value)
            and first is not None
        ):
            self._note(_text(first), None, node, "client")
        elif names & {"windsock.heal", "windsock.aheal"} and len(node.args) > 1 and first is not None:
            declared, action = self._settings(first), node.args[1].value
            if declared is not None and isinstance(action, cst.Lambda) and action.params.params:
                self._read_in(action, action.params.params[0].name.value, declared)
        return None

    def visit_Attribute(self, node: cst.Attribute) -> None:
        declared = self._settings(node.value)
        if declared is not None and node.attr.value in declared.fields:
            self._note(declared.flag, node.attr.value, node.attr, "read")

    def _read_in(self, action: cst.Lambda, name: str, declared: Declared) -> None:
        """Note the fields that a lambda reads of its argument."""
        visitor = self

        class Reads(cst.CSTVisitor):
            def visit_Attribute(self, node: cst.Attribute) -> None:
                if (
                    isinstance(node.value, cst.Name)
                    and node.value.value == name
                    and node.attr.value in declared.fields
                ):
                    visitor._note(declared.flag, node.attr.value, node.attr, "read")

        action.body.visit(Reads())

    def _settings(self, node: cst.BaseExpression) -> Declared | None:
        """The settings class of which an expression gives a view, as far as names tell."""
        if isinstance(node, cst.Await):
            return self._settings(node.expression)
        if isinstance(node, cst.Name):
            return next((scope[node.value] for scope in reversed(self._scopes) if node.value in scope), None)
        if isinstance(node, cst.Call):
            function = node.func
            if isinstance(function, cst.Attribute) and function.attr.value in _VIEWS:
                return self._class(function.value)
            return self._class(function)
        return None

    def _class(self, node: cst.BaseExpression) -> Declared | None:
        names = {name.rpartition(".")[2] for name in self.names(node)}
        if isinstance(node, cst.Name):
            names.add(node.value)
        return next((self._classes[name] for name in names if name in self._classes), None)

    def _annotated(self, node: cst.BaseExpression) -> Declared | None:
        if isinstance(node, cst.SimpleString):
            return self._classes.get(_text(node) or "")
        return self._class(node)

    def _hold(self, name: str, declared: Declared | None) -> None:
        if declared is not None:
            self._scopes[-1][name] = declared
        else:
            self._scopes[-1].pop(name, None)

    def _note(self, flag: str | None, name: str | None, node: cst.CSTNode, kind: str) -> None:
        if flag is not None:
            self._code.uses.append(Use(flag, name, self._path, *self.place(node), kind))


def _text(node: cst.CSTNode) -> str | None:
    if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None
