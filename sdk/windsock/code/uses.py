"""Finds where Python code uses flags and fields; follows imports and aliases, with LibCST.

It finds ``windsock.feature("key")``, the OpenFeature client's ``get_…("key")`` and ``resolve_…("key")``,
settings classes and their flags, and reads of their fields:

- on the result of ``for_user``, ``afor_user``, ``live`` or a call of the class, even if it is an attribute of
  an object or imported from the module that holds it;
- on a parameter, a variable or a dataclass's field that is annotated with the class;
- in the function that ``heal`` or ``aheal`` runs.

Classes are told apart by name. Settings that reach code through untyped containers, functions' results or
inheritance are not found.
"""

# ruff: noqa: N802 - LibCST finds a visitor's methods by the names of its nodes

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider, QualifiedNameProvider

from windsock.code.search import Search
from windsock.flag_names import default_flag

_CLIENT: Final = frozenset(
    f"{get}_{kind}_{what}{end}"
    for get in ("get", "resolve")
    for kind in ("boolean", "string", "integer", "float", "object")
    for what in ("value", "details")
    for end in ("", "_async")
)
_VIEWS: Final = ("for_user", "afor_user", "live")
_FEATURE: Final = frozenset({"windsock.feature", "windsock.settings.features.feature"})
_MOST_ROUNDS: Final = 5
_WRAPPERS: Final = ("Annotated", "Optional", "Final", "ClassVar")


@dataclass(frozen=True, slots=True)
class Reference:
    """A use of a flag, or of a field of a settings flag.

    Attributes:
        flag: The flag's key.
        field: The field; None if the flag itself is used or declared.
        path: The file.
        line: One-based line.
        column: One-based column.
        kind: ``class``, ``feature``, ``call`` (of a feature), ``client`` or ``read``.
    """

    flag: str
    field: str | None
    path: str
    line: int
    column: int
    kind: str


@dataclass(frozen=True, slots=True)
class FoundClass:
    """A settings class in the code: its flag and fields, and where it is."""

    name: str
    flag: str
    fields: tuple[str, ...]
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class _Holder:
    """A class that isn't a settings class: the known attributes of its instances."""

    members: "dict[str, _Known]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Feature:
    """The result of `windsock.feature`: evaluated when called."""

    flag: str


_Known: TypeAlias = FoundClass | _Holder | _Feature
"""What a name or an attribute means."""


@dataclass(slots=True)
class Code:
    """The uses and classes found, and the files that couldn't be parsed, each with the reason."""

    uses: list[Reference] = field(default_factory=list)
    classes: list[FoundClass] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def uses_of(self, key: str | None) -> list[Reference]:
        """The uses of a flag, or of ``flag.field``; all uses for None."""
        return [use for use in self.uses if key is None or key in (use.flag, f"{use.flag}.{use.field}")]


def scan(paths: Sequence[Path]) -> Code:
    """Search Python files and folders.

    Only files with a word of windsock, of a client's calls, or of what is known to hold settings are parsed;
    what they hold may make others worth parsing.
    """
    code = Code()
    search = Search(paths, code.unread)
    shared = _Shared({})
    modules: list[tuple[str, MetadataWrapper]] = []
    # Learn what classes and modules hold, in any order, until nothing is added (a module may re-export
    # what it imported).
    for _ in range(_MOST_ROUNDS):
        fresh = [
            (name, MetadataWrapper(each, unsafe_skip_copy=True)) for name, each in search.parsed(shared.words)
        ]
        known, modules = shared.size, modules + fresh
        for name, wrapped in fresh:
            wrapped.visit(_Classes(name, code))
        shared.classes.update({declared.name: declared for declared in code.classes})
        found = Code()
        for name, wrapped in modules:
            wrapped.visit(_Uses(name, found, shared))
        if not fresh and shared.size == known:
            break
    code.uses += found.uses
    code.uses.sort(key=lambda use: (use.flag, use.path, use.line, use.column))
    return code


class _Visitor(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider, QualifiedNameProvider)

    def __init__(self, path: str, code: Code) -> None:
        super().__init__()
        self._path = path
        self._code = code

    def names(self, node: cst.CSTNode) -> set[str]:
        """The qualified names that a node may refer to."""
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
        self._code.classes.append(FoundClass(node.name.value, flag, fields, self._path, line))
        self._code.uses.append(Reference(flag, None, self._path, line, column, "class"))


@dataclass(slots=True)
class _Shared:
    """Knowledge shared by all modules: classes by name, and what each module's global names mean."""

    classes: dict[str, _Known]
    globals: dict[str, _Known] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How much is known."""
        members = sum(len(each.members) for each in self.classes.values() if isinstance(each, _Holder))
        return len(self.globals) + members

    @property
    def words(self) -> set[str]:
        """The words of which a file has at least one if it can use a flag, as far as is known."""
        holders = (
            name for name, each in self.classes.items() if not isinstance(each, _Holder) or each.members
        )
        return {"windsock", *_CLIENT, *holders, *(name.rpartition(".")[2] for name in self.globals)}

    def find(self, name: str) -> _Known | None:
        """What ``package.module.name`` means; a file's path may begin above the package."""
        if "." not in name:
            return None
        if name in self.globals:
            return self.globals[name]
        return next((known for full, known in self.globals.items() if full.endswith(f".{name}")), None)


class _Uses(_Visitor):
    """Finds uses; tracks names that hold settings per function and class, on top of the module's."""

    def __init__(self, path: str, code: Code, shared: "_Shared") -> None:
        super().__init__(path, code)
        self._shared = shared
        self._classes = shared.classes
        self._module = _module_name(path)
        self._scopes: list[dict[str, _Known]] = [{}]
        self._inside: list[_Known | None] = [None]
        """The class whose body is walked, outermost first; None in a function."""

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self._inside.append(self._classes.setdefault(node.name.value, _Holder()))
        self._scopes.append({})

    def leave_ClassDef(self, original_node: cst.ClassDef) -> None:  # noqa: ARG002 - LibCST's name
        self._inside.pop()
        self._scopes.pop()

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        owner = self._inside[-1]
        self._inside.append(None)
        self._scopes.append({})
        parameters = (*node.params.posonly_params, *node.params.params, *node.params.kwonly_params)
        for parameter in parameters:
            if parameter.annotation is not None:
                self._hold(parameter.name.value, self._annotated(parameter.annotation.annotation))
        if parameters and owner is not None and not _is_validator(node):
            self._scopes[-1].setdefault(parameters[0].name.value, owner)

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:  # noqa: ARG002 - LibCST's name
        self._inside.pop()
        self._scopes.pop()

    def visit_Lambda(self, node: cst.Lambda) -> None:  # noqa: ARG002 - LibCST's signature
        self._scopes.append({})

    def leave_Lambda(self, original_node: cst.Lambda) -> None:  # noqa: ARG002 - LibCST's name
        self._scopes.pop()

    def visit_Assign(self, node: cst.Assign) -> None:
        for target in node.targets:
            self._assign(target.target, self._known(node.value))

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        given = None if node.value is None else self._known(node.value)
        self._assign(node.target, given or self._annotated(node.annotation.annotation))

    def visit_NamedExpr(self, node: cst.NamedExpr) -> None:
        self._assign(node.target, self._known(node.value))

    def _assign(self, target: cst.BaseExpression, known: _Known | None) -> None:
        owner: _Known | None = None
        if isinstance(target, cst.Name):
            self._hold(target.value, known)
            owner, name = self._inside[-1], target.value
        elif isinstance(target, cst.Attribute):
            owner, name = self._known(target.value), target.attr.value
        if isinstance(owner, _Holder) and known is not None:
            owner.members[name] = known
        if isinstance(target, cst.Name) and len(self._scopes) == 1 and known is not None:
            self._shared.globals[f"{self._module}.{name}"] = known

    def visit_Call(self, node: cst.Call) -> bool | None:
        names = self.names(node.func)
        first = node.args[0].value if node.args else None
        if names & _FEATURE and first is not None:
            self._note(_text(first), None, node, "feature")
        elif isinstance(node.func, cst.Attribute) and node.func.attr.value in _CLIENT and first is not None:
            self._note(_text(first), None, node, "client")
        elif names & {"windsock.heal", "windsock.aheal"} and len(node.args) > 1 and first is not None:
            declared, action = self._known(first), node.args[1].value
            if isinstance(declared, FoundClass) and isinstance(action, cst.Lambda) and action.params.params:
                self._read_in(action, action.params.params[0].name.value, declared)
        elif "builtins.getattr" in names and len(node.args) > 1 and first is not None:
            self._read(first, _text(node.args[1].value) or "", node)
        elif isinstance(feature := self._known(node.func), _Feature):
            self._note(feature.flag, None, node, "call")
        return None

    def visit_Attribute(self, node: cst.Attribute) -> None:
        self._read(node.value, node.attr.value, node.attr)

    def _read(self, value: cst.BaseExpression, name: str, node: cst.CSTNode) -> None:
        declared = self._known(value)
        if isinstance(declared, FoundClass) and name in declared.fields:
            self._note(declared.flag, name, node, "read")

    def _read_in(self, action: cst.Lambda, name: str, declared: FoundClass) -> None:
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

    def _known(self, node: cst.BaseExpression) -> _Known | None:
        """What an expression gives, as far as names tell: a view of a settings class, or its holder."""
        if isinstance(node, cst.Await):
            return self._known(node.expression)
        if isinstance(node, cst.Name):
            held = next((scope[node.value] for scope in reversed(self._scopes) if node.value in scope), None)
            return held or self._imported(node)
        if isinstance(node, cst.Attribute):
            owner = self._known(node.value)
            return owner.members.get(node.attr.value) if isinstance(owner, _Holder) else self._imported(node)
        if isinstance(node, cst.Call):
            function = node.func
            if self.names(function) & _FEATURE and node.args and (key := _text(node.args[0].value)):
                return _Feature(key)
            viewed = isinstance(function, cst.Attribute) and function.attr.value in _VIEWS
            return self._class(function.value if viewed else function)  # type: ignore[attr-defined]
        return None

    def _imported(self, node: cst.BaseExpression) -> _Known | None:
        """What a name imported from another module means there."""
        for name in self.names(node):
            found = self._shared.find(name.lstrip("."))
            if found is not None:
                return found
        return None

    def _class(self, node: cst.BaseExpression) -> _Known | None:
        names = {name.rpartition(".")[2] for name in self.names(node)}
        if isinstance(node, cst.Name):
            names.add(node.value)
        return next((self._classes[name] for name in names if name in self._classes), None)

    def _annotated(self, node: cst.BaseExpression) -> _Known | None:
        """The class that an annotation names, even as a string, with ``| None``, or in ``Annotated``."""
        if isinstance(node, cst.SimpleString):
            try:
                return self._annotated(cst.parse_expression(_text(node) or "None"))
            except cst.ParserSyntaxError:
                return None
        if isinstance(node, cst.BinaryOperation):
            return self._annotated(node.left) or self._annotated(node.right)
        if isinstance(node, cst.Subscript):
            first = node.slice[0].slice
            wrapper = node.value.attr if isinstance(node.value, cst.Attribute) else node.value
            wraps = isinstance(wrapper, cst.Name) and wrapper.value in _WRAPPERS
            return self._annotated(first.value) if wraps and isinstance(first, cst.Index) else None
        return self._class(node)

    def _hold(self, name: str, known: _Known | None) -> None:
        if known is not None:
            self._scopes[-1][name] = known
        else:
            self._scopes[-1].pop(name, None)

    def _note(self, flag: str | None, name: str | None, node: cst.CSTNode, kind: str) -> None:
        if flag is not None:
            self._code.uses.append(Reference(flag, name, self._path, *self.place(node), kind))


def _module_name(path: str) -> str:
    """A file's path as a dotted module name; its last parts match those of an import."""
    parts = Path(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_validator(node: cst.FunctionDef) -> bool:
    """Whether pydantic calls it to check a value, which doesn't count as a use, or it has no ``self``."""
    for decorator in node.decorators:
        name = decorator.decorator.func if isinstance(decorator.decorator, cst.Call) else decorator.decorator
        last = name.attr if isinstance(name, cst.Attribute) else name
        if isinstance(last, cst.Name) and (last.value.endswith("validator") or last.value == "staticmethod"):
            return True
    return False


def _text(node: cst.CSTNode) -> str | None:
    if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None
