"""Whether PostgreSQL refuses what a row says, or whether it can't work at all now."""

# Classes of SQLSTATE (PostgreSQL manual, appendix A) that concern the connection, the session, the schema or
# the server, so that every row would meet them. Any other class is about what a row says.
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


def is_about_the_row(error: BaseException) -> bool:
    """Whether an error is about what a row says, so that other rows may be taken and this one never will.

    psycopg's own classes don't tell: a row that is too long for an index is an OperationalError, as is a lost
    connection.
    """
    import psycopg  # noqa: PLC0415 - an extra, and it is there

    if not isinstance(error, psycopg.Error):
        return isinstance(error, (ValueError, TypeError, ArithmeticError))  # a value that can't be sent
    if error.sqlstate is not None:
        return error.sqlstate[:2] not in _NOT_THE_ROW
    return not isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
