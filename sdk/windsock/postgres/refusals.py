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


def was_raised(error: BaseException) -> bool:
    """Whether a function such as a trigger raised an error by itself, whose SQLSTATE its author chose."""
    diagnosis = getattr(error, "diag", None)
    return getattr(diagnosis, "source_function", None) == "exec_stmt_raise"  # PL/pgSQL's RAISE


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
