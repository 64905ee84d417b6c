"""Finds where Python code uses flags and fields; follows imports and aliases.

It finds ``windsock.feature("key")``, the OpenFeature client's ``get_…("key")`` and ``resolve_…("key")``,
settings classes and their flags, and reads of their fields:

- on the result of ``for_user``, ``afor_user``, ``live`` or a call of the class, even if it is an attribute of
  an object or imported from the module that holds it;
- on a parameter, a variable or a dataclass's field that is annotated with the class;
- in the function that ``heal`` or ``aheal`` runs.

Classes are told apart by name. Settings that reach code through untyped containers, functions' results or
inheritance are not found.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from windsock.code.known import FoundClass, FoundFeature, Holder, Knowledge, Known, module_path
from windsock.code.names import INNER, NameScope, dotted
from windsock.code.search import Parsed, Search
from windsock.code.sources import UnfitError, expression
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


@dataclass(slots=True)
class Code:
    """The uses and classes found, and the files that couldn't be parsed, each with the reason."""

    uses: list[Reference] = field(default_factory=list)
    classes: list[FoundClass] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    holders: dict[str, set[str]] = field(default_factory=dict)
    """By a settings class's name, the names of what holds its views, and of classes that inherit it."""

    def add_holder(self, name: str, known: object) -> None:
        """Remember a name, if what it holds is a settings class's."""
        if isinstance(known, FoundClass):
            self.holders.setdefault(known.name, set()).add(name)

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
    knowledge = Knowledge()
    modules: list[Parsed] = []
    # Learn what classes and modules hold, in any order, until nothing is added (a module may re-export
    # what it imported).
    for _ in range(_MOST_ROUNDS):
        fresh = list(search.parsed({"windsock", *_CLIENT, *knowledge.names}))
        known, modules = knowledge.size, modules + fresh
        for each in fresh:
            _Classes(each, code).walk()
        knowledge.classes.update({declared.name: declared for declared in code.classes})
        found = Code()
        for each in modules:
            _Uses(each, found, knowledge).walk()
        if not fresh and knowledge.size == known:
            break
    code.uses += found.uses
    for name, holder in knowledge.classes.items():
        for member in holder.members.values() if isinstance(holder, Holder) else ():
            found.add_holder(name, member)
    code.holders = found.holders
    code.uses.sort(key=lambda use: (use.flag, use.path, use.line, use.column))
    return code


class _Visitor:
    """Walks a module's syntax tree; knows which scopes are around a node."""

    def __init__(self, parsed: Parsed, code: Code) -> None:
        self._parsed = parsed
        self._path = parsed.path
        self._code = code
        self._around: list[NameScope] = []

    def walk(self) -> None:
        """Walk the module."""
        self._in_scope(self._parsed.tree)

    def names(self, node: ast.expr) -> frozenset[str]:
        """The dotted names that a node may refer to."""
        return dotted(node, reversed(self._around))

    def step(self, node: ast.AST) -> None:
        """Called with each step of a scope, in order."""

    def enter_scope(self, node: ast.AST) -> None:
        """Called before the steps of a class, function or lambda."""

    def leave_scope(self) -> None:
        """Called after them."""

    def _in_scope(self, node: ast.AST) -> None:
        scope = self._parsed.scope(node)
        self._around.append(scope)
        for step in scope.steps:
            self.step(step)
            if isinstance(step, INNER):
                self.enter_scope(step)
                self._in_scope(step)
                self.leave_scope()
        self._around.pop()


class _Classes(_Visitor):
    """Finds settings classes: those with ``windsock.Settings`` among their bases."""

    def step(self, node: ast.AST) -> None:
        if not isinstance(node, ast.ClassDef) or not any(
            "windsock.Settings" in self.names(base) for base in node.bases
        ):
            return
        flag = default_flag(node.name)
        for keyword in node.keywords:
            if keyword.arg == "flag":
                flag = _text(keyword.value) or flag
        fields = tuple(
            statement.target.id
            for statement in node.body
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        )
        line, column = self._parsed.place_of_class(node)
        self._code.classes.append(FoundClass(node.name, flag, fields, self._path, line))
        self._code.uses.append(Reference(flag, None, self._path, line, column, "class"))


class _Uses(_Visitor):
    """Finds uses; tracks names that hold settings per function and class, on top of the module's."""

    def __init__(self, parsed: Parsed, code: Code, knowledge: Knowledge) -> None:
        super().__init__(parsed, code)
        self._knowledge = knowledge
        self._classes = knowledge.classes
        self._module = module_path(parsed.path)
        self._scopes: list[dict[str, Known]] = [{}]
        self._inside: list[Known | None] = [None]
        """The class whose body is walked, outermost first; None in a function."""
        self._answers: dict[ast.expr, Known | None] = {}
        """What attributes give, until something is assigned: each asks for all before it in ``a.b.c``."""

    def walk(self) -> None:
        """Walk the module, which hands on what it imports."""
        for name, targets in self._parsed.scope(self._parsed.tree).names.items():
            known = next((found for each in targets if (found := self._knowledge.find(each))), None)
            if known is not None:
                self._code.add_holder(name, known)
                self._knowledge.hold(self._module, name, known)
        super().walk()

    def enter_scope(self, node: ast.AST) -> None:
        self._answers.clear()
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                self._code.add_holder(node.name, self._class(base))
            self._inside.append(self._classes.setdefault(node.name, Holder()))
            self._scopes.append({})
            return
        owner = self._inside[-1]
        held: dict[str, Known] = {}
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            parameters = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            for each in parameters:
                if each.annotation is not None and (known := self._annotated(each.annotation)) is not None:
                    held[each.arg] = known
                    self._code.add_holder(each.arg, known)
            if parameters and owner is not None and not _is_validator(node):
                held.setdefault(parameters[0].arg, owner)
        self._inside.append(None)
        self._scopes.append(held)

    def leave_scope(self) -> None:
        self._answers.clear()
        self._inside.pop()
        self._scopes.pop()

    def step(self, node: ast.AST) -> None:
        if isinstance(node, ast.Attribute):
            self._read(node.value, node.attr, node)
        elif isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, ast.Assign):
            known = self._known(node.value)
            for target in node.targets:
                self._assign(target, known)
        elif isinstance(node, ast.AnnAssign):
            given = None if node.value is None else self._known(node.value)
            self._assign(node.target, given or self._annotated(node.annotation))
        elif isinstance(node, ast.NamedExpr):
            self._assign(node.target, self._known(node.value))

    def _assign(self, target: ast.expr, known: Known | None) -> None:
        self._answers.clear()
        owner: Known | None = None
        name = ""
        if isinstance(target, ast.Name):
            name = target.id
            self._hold(name, known)
            owner = self._inside[-1]
        elif isinstance(target, ast.Attribute):
            owner, name = self._known(target.value), target.attr
        self._code.add_holder(name, known)
        if isinstance(owner, Holder) and known is not None:
            owner.members[name] = known
        if isinstance(target, ast.Name) and known is not None and self._is_global(name):
            self._scopes[0][name] = known
            self._knowledge.hold(self._module, name, known)

    def _is_global(self, name: str) -> bool:
        """Whether what is assigned to a name here is the module's."""
        return len(self._around) == 1 or name not in self._around[-1].names

    def _call(self, node: ast.Call) -> None:
        names = self.names(node.func)
        given = _arguments(node)
        first = given[0] if given else None
        if names & _FEATURE and first is not None:
            self._note(_text(first), None, self._parsed.place(node), "feature")
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _CLIENT and first is not None:
            self._note(_text(first), None, self._parsed.place(node), "client")
        elif names & {"windsock.heal", "windsock.aheal"} and len(given) > 1 and first is not None:
            declared, action = self._known(first), given[1]
            if isinstance(declared, FoundClass) and isinstance(action, ast.Lambda):
                self._read_in(action, declared)
        elif "builtins.getattr" in names and len(given) > 1 and first is not None:
            self._read(first, _text(given[1]) or "", node)
        elif isinstance(feature := self._known(node.func), FoundFeature):
            self._note(feature.flag, None, self._parsed.place(node), "call")

    def _read(self, value: ast.expr, name: str, node: ast.Attribute | ast.Call) -> None:
        declared = self._known(value)
        if isinstance(declared, FoundClass) and name in declared.fields:
            where = self._parsed
            place = where.place_of_attribute(node) if isinstance(node, ast.Attribute) else where.place(node)
            self._note(declared.flag, name, place, "read")

    def _read_in(self, action: ast.Lambda, declared: FoundClass) -> None:
        """Note the fields that a lambda reads of its argument."""
        names = [each.arg for each in (*action.args.posonlyargs, *action.args.args)][:1]
        for node in ast.walk(action.body):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in names
                and node.attr in declared.fields
            ):
                self._note(declared.flag, node.attr, self._parsed.place_of_attribute(node), "read")

    def _known(self, node: ast.expr) -> Known | None:
        """What an expression gives, as far as names tell: a view of a settings class, or its holder."""
        if isinstance(node, ast.Await):
            return self._known(node.value)
        if isinstance(node, ast.Name):
            held = next((scope[node.id] for scope in reversed(self._scopes) if node.id in scope), None)
            return held or self._imported(node)
        if isinstance(node, ast.Attribute):
            if node not in self._answers:
                owner = self._known(node.value)
                held = owner.members.get(node.attr) if isinstance(owner, Holder) else self._imported(node)
                self._answers[node] = held
            return self._answers[node]
        if isinstance(node, ast.Call):
            function = node.func
            if self.names(function) & _FEATURE and (given := _arguments(node)) and (key := _text(given[0])):
                return FoundFeature(key)
            viewed = isinstance(function, ast.Attribute) and function.attr in _VIEWS
            return self._class(function.value if viewed else function)  # type: ignore[attr-defined]
        return None

    def _imported(self, node: ast.expr) -> Known | None:
        """What a name imported from another module means there."""
        return next((found for name in self.names(node) if (found := self._knowledge.find(name))), None)

    def _class(self, node: ast.expr) -> Known | None:
        names = {name.rpartition(".")[2] for name in self.names(node)}
        if isinstance(node, ast.Name):
            names.add(node.id)
        return next((self._classes[name] for name in names if name in self._classes), None)

    def _annotated(self, node: ast.expr) -> Known | None:
        """The class that an annotation names, even as a string, with ``| None``, or in ``Annotated``."""
        if isinstance(node, ast.Constant):
            try:
                return self._annotated(expression(node.value)) if isinstance(node.value, str) else None
            except UnfitError:
                return None
        if isinstance(node, ast.BinOp):
            return self._annotated(node.left) or self._annotated(node.right)
        if isinstance(node, ast.Subscript):
            first = (
                node.slice.elts[0] if isinstance(node.slice, ast.Tuple) and node.slice.elts else node.slice
            )
            wrapper = node.value.attr if isinstance(node.value, ast.Attribute) else node.value
            wrapper = wrapper.id if isinstance(wrapper, ast.Name) else wrapper
            return self._annotated(first) if wrapper in _WRAPPERS else None
        return self._class(node)

    def _hold(self, name: str, known: Known | None) -> None:
        if known is not None:
            self._scopes[-1][name] = known
        else:
            self._scopes[-1].pop(name, None)

    def _note(self, flag: str | None, name: str | None, place: tuple[int, int], kind: str) -> None:
        if flag is not None:
            self._code.uses.append(Reference(flag, name, self._path, *place, kind))


def _is_validator(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether pydantic calls it to check a value, which doesn't count as a use, or it has no ``self``."""
    for decorator in node.decorator_list:
        name = decorator.func if isinstance(decorator, ast.Call) else decorator
        last = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
        if last.endswith("validator") or last == "staticmethod":
            return True
    return False


def _arguments(node: ast.Call) -> list[ast.expr]:
    """The arguments of a call, those given by name last."""
    return [*node.args, *(keyword.value for keyword in node.keywords)]


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
