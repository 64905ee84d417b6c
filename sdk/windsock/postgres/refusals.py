"""What PostgreSQL's refusals mean: who should connect, or whether an error is about one row."""

import contextlib
from collections.abc import Iterator

from windsock.errors import WindsockError
from windsock.text import one_line

# SQLSTATE classes (PostgreSQL manual, appendix A) about the connection, the session, the schema or the
# server, which would affect every row. All other classes concern a row's content.
_NOT_THE_ROW = frozenset(
    [
        "08",
        "0A",
        "25",
        "26",
        "28",
        "2D",
        "34",
        "3B",
        "3D",
        "3F",
        "40",
        "42",
        "53",
        "55",
        "57",
        "58",
        "F0",
        "XX",
    ]
)

_THE_SCHEMA = frozenset(["0A", "3F", "42"])
_OF_THE_OPERATOR = frozenset(["exec_stmt_raise", "ExecWithCheckOptions"])
"""The server's functions behind PL/pgSQL's RAISE and behind a row that a policy refuses."""


@contextlib.contextmanager
def refused_in_words(kind: type[WindsockError], who_may: str) -> Iterator[None]:
    """Turn a missing right, table, column or function into one line that says what to do.

    Args:
        kind: The error to raise.
        who_may: How to connect instead, such as "connect as the owner".
    """
    from psycopg import errors  # noqa: PLC0415 - an extra, and it is there

    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise kind(f"{one_line(error)}: {who_may}") from error
    except (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction) as error:
        raise kind(f"{one_line(error)}: run `windsock migrate`") from error


def may_be_about_the_row(error: BaseException) -> bool:
    """Whether something of the operator's that runs for each row raised an error: a trigger or a policy.

    Its SQLSTATE doesn't tell what the error is about: a trigger's author chooses it, and one that misses a
    right or a table for some rows only has that of a missing schema.
    """
    diagnosis = getattr(error, "diag", None)
    if getattr(diagnosis, "source_function", None) in _OF_THE_OPERATOR:
        return True
    in_a_function = getattr(diagnosis, "context", None) is not None
    return in_a_function and (getattr(error, "sqlstate", None) or "")[:2] in _THE_SCHEMA


def is_about_the_row(error: BaseException) -> bool:
    """Whether an error concerns a row's content, so that other rows may succeed but this one never will.

    psycopg's own classes don't distinguish: a row too long for an index is an OperationalError, and so is a
    lost connection.
    """
    import psycopg  # noqa: PLC0415 - an extra, and it is there

    if not isinstance(error, psycopg.Error):
        return isinstance(error, (ValueError, TypeError, ArithmeticError))  # a value that can't be sent
    if error.sqlstate is not None:
        return error.sqlstate[:2] not in _NOT_THE_ROW
    return not isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
