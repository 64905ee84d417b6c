"""Split a SQL script into statements the way the Supabase CLI records them.

psycopg could run a whole script. The split is for the ledger: its column ``statements`` is an array that the
CLI fills with one element per statement, and that ``supabase migration fetch`` writes back to files. A
database may be migrated by the CLI one day and by windsock the next, so both record the same elements. If a
migration was changed after it was applied, its first differing statement is reported.
"""

import re
from dataclasses import dataclass

# Constructs in which a semicolon doesn't end a statement (PostgreSQL manual, 4.1 Lexical Structure).
_TOKEN = re.compile(
    r"""
      --[^\n]*
    | (?P<block>/\*)
    | (?<![A-Za-z0-9_$])[eE]'(?:[^'\\]|\\.|'')*'?
    | '(?:[^']|'')*'?
    | "(?:[^"]|"")*"?
    | (?<![A-Za-z0-9_$])(?P<tag>\$(?:[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*)?\$)
    | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement in a script.

    Attributes:
        text: The statement without its semicolon; comments before it belong to it.
        line: One-based line in the script where `text` begins.
    """

    text: str
    line: int

    def line_at(self, position: int) -> int:
        """The script's line for PostgreSQL's one-based character position in `text`."""
        return self.line + self.text.count("\n", 0, max(position - 1, 0))


def split(script: str) -> tuple[Statement, ...]:
    """Split a script at the semicolons that end a statement.

    ``BEGIN ATOMIC`` bodies aren't recognized; use a dollar-quoted body for such functions.
    """
    statements: list[Statement] = []
    start = position = 0
    while (token := _TOKEN.search(script, position)) is not None:
        position = token.end()
        if token["block"]:
            position = _end_of_block_comment(script, position)
        elif token["tag"]:
            closing = script.find(token["tag"], position)
            position = len(script) if closing < 0 else closing + len(token["tag"])
        elif token["end"]:
            _append(statements, script, start, position)
            start = position
    _append(statements, script, start, len(script))
    return tuple(statements)


def _end_of_block_comment(script: str, position: int) -> int:
    depth = 1
    while depth and (edge := _BLOCK_EDGE.search(script, position)) is not None:
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return len(script) if depth else position


def _append(statements: list[Statement], script: str, start: int, end: int) -> None:
    chunk = script[start:end]
    text = chunk.rstrip().rstrip(";").strip()
    if text and not _only_comments(text):
        lead = len(chunk) - len(chunk.lstrip())
        statements.append(Statement(text, 1 + script.count("\n", 0, start + lead)))


def _only_comments(text: str) -> bool:
    """Whether there's nothing to execute: a comment at the end of a file isn't a statement."""
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is not None and token["block"]:
            position = _end_of_block_comment(text, token.end())
        elif token is not None and token[0].startswith("--"):
            position = token.end()
        elif text[position].isspace():
            position += 1
        else:
            return False
    return True
