"""The rules for functions in migrations, read with PostgreSQL's own parser (pglast, which bundles libpg_query)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pglast
from pglast import ast
from pglast.visitors import Visitor

from windsock.postgres.statements import split

PATH = ("pg_catalog", "pg_temp")
# A transition table has no schema. Its function refuses every table but its own.
TRANSITIONS = frozenset({"old_rows", "new_rows"})


class _Names(Visitor):
    """Collects the names without a schema that a caller's session could redirect.

    Operators aren't among them: PostgreSQL never looks for one in pg_temp, and the function's own search_path has
    no other schema where a role could make one.
    """

    def __init__(self) -> None:
        self.bare: list[str] = []
        self._common: set[str] = set()

    def visit_CommonTableExpr(self, _parents, node) -> None:  # noqa: N802 - pglast's name
        self._common.add(node.ctename)

    def visit_LockingClause(self, _parents, node) -> None:  # noqa: N802 - `for update of` an alias
        self._common.update(each.relname for each in node.lockedRels or ())

    def visit_RangeVar(self, _parents, node) -> None:  # noqa: N802
        if node.schemaname is None and node.relname not in TRANSITIONS:
            self.bare.append(f"relation {node.relname}")

    def visit_TypeName(self, _parents, node) -> None:  # noqa: N802
        if len(node.names) == 1:
            self.bare.append(f"type {node.names[0].sval}")

    def visit_FuncCall(self, _parents, node) -> None:  # noqa: N802
        if len(node.funcname) == 1:
            self.bare.append(f"function {node.funcname[0].sval}()")

    def found(self) -> list[str]:
        return [name for name in self.bare if name.removeprefix("relation ") not in self._common]


def problems(path: Path) -> list[str]:
    """What a migration's functions and DO blocks do that they must not, as `file:line: problem`."""
    found = []
    statements = split(path.read_text(encoding="utf-8"))
    parsed = [(statement, pglast.parse_sql(statement.text)[0].stmt) for statement in statements]
    for position, (statement, node) in enumerate(parsed):
        later = [each for _, each in parsed[position + 1 :]]
        where = f"{path.name}:{statement.line}"
        if isinstance(node, ast.CreateFunctionStmt):
            found += [f"{where}: {problem}" for problem in _function(statement.text, node, later)]
        elif isinstance(node, ast.DoStmt):
            found += [f"{where}: {name} has no schema" for name in _plpgsql(statement.text)]
    return found


def _function(text: str, node: ast.CreateFunctionStmt, later: list[ast.Node]) -> Iterator[str]:
    name = ".".join(part.sval for part in node.funcname)
    options = {option.defname: option.arg for option in node.options}
    if len(node.funcname) == 1:
        yield f"function {name}() has no schema"
    setting = options.get("set")
    if setting is None or setting.name != "search_path" or _values(setting) != PATH:
        paths = [o.arg for o in node.options if o.defname == "set" and o.arg.name == "search_path"]
        if not paths or _values(paths[0]) != PATH:
            yield f"function {name}() lacks: set search_path = {', '.join(PATH)}"
    signature = _Names()
    for each in (*(node.parameters or ()), node.returnType):
        signature(each)
    bare = signature.found()
    if options["language"].sval == "plpgsql":
        bare += _plpgsql(text)
    else:
        body = _Names()
        body(pglast.parse_sql(options["as"][0].sval))
        bare += body.found()
    for each in bare:
        yield f"{each} has no schema in function {name}()"
    if not any(_revokes(statement, node) for statement in later):
        yield f"function {name}() lacks, after it: revoke all on function {name}(…) from public"


def _values(setting: ast.VariableSetStmt) -> tuple[str, ...]:
    return tuple(each.val.sval for each in setting.args or ())


def _revokes(statement: ast.Node, function: ast.CreateFunctionStmt) -> bool:
    """Whether a statement takes from PUBLIC the right to execute a function, alone or with the rest of its schema."""
    if not isinstance(statement, ast.GrantStmt) or statement.is_grant:
        return False
    if not any(role.roletype == pglast.enums.RoleSpecType.ROLESPEC_PUBLIC for role in statement.grantees):
        return False
    if statement.privileges and not any(each.priv_name == "execute" for each in statement.privileges):
        return False
    names = [part.sval for part in function.funcname]
    if statement.targtype == pglast.enums.GrantTargetType.ACL_TARGET_ALL_IN_SCHEMA:
        return any(schema.sval == names[0] for schema in statement.objects)
    return any(
        isinstance(each, ast.ObjectWithArgs) and [part.sval for part in each.objname] == names
        for each in statement.objects
    )


def _plpgsql(text: str) -> list[str]:
    names = _Names()
    (function,) = pglast.parse_plpgsql(text)
    for query in _queries(function):
        names(pglast.parse_sql(query))
    # The parser resolves the types of variables itself and keeps no schema, so they are read from the text.
    body = re.search(r"\bdeclare\b(.*?)\bbegin\b", text, re.DOTALL | re.IGNORECASE)
    declared = _declared_types(body[1]) if body else []
    return names.found() + declared


def _declared_types(declarations: str) -> list[str]:
    declaration = re.compile(
        r"(?:\s|--[^\n]*\n)*\w+\s+(?:constant\s+)?(.+?)\s*(?::=|=|\bnot\s|\bdefault\s|$)",
        re.IGNORECASE | re.DOTALL,
    )
    kinds = [match[1] for each in declarations.split(";") if (match := declaration.match(each))]
    bare = []
    for kind in kinds:
        if kind == "record" or kind.lower().endswith(("%type", "%rowtype")):
            continue
        names = _Names()
        names(pglast.parse_sql(f"select null::{kind}"))
        bare += names.found()
    return bare


def _queries(node: object) -> Iterator[str]:
    """Every piece of SQL in a parsed PL/pgSQL function, each as a statement."""
    if isinstance(node, dict):
        expression = node.get("PLpgSQL_expr")
        if expression is not None:
            query = expression["query"]
            match expression["parseMode"]:
                case 2:  # an expression
                    yield f"select {query}"
                case mode if mode > 2:  # an assignment
                    yield f"select {query.split(':=' if ':=' in query else '=', 1)[1]}"
                case _:
                    yield query
        for value in node.values():
            yield from _queries(value)
    elif isinstance(node, list):
        for value in node:
            yield from _queries(value)
