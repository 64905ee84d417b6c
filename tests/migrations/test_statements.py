"""Splitting scripts into statements."""

import psycopg
import pytest

from windsock.postgres.migrations import read_migrations
from windsock.postgres.statements import split


def texts(script):
    return [statement.text for statement in split(script)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", []),
        (" \n ; ;\n", []),
        ("select 1", ["select 1"]),
        ("select 1;select 2;", ["select 1", "select 2"]),
        ("select ';' ; select 'it''s;'", ["select ';'", "select 'it''s;'"]),
        (r"select E'\';' ; select 2", [r"select E'\';'", "select 2"]),
        ('select ";" ; select 2', ['select ";"', "select 2"]),
        ("select $$;$$ ; select $a$ $$;$b$; $a$;", ["select $$;$$", "select $a$ $$;$b$; $a$"]),
        ("select a$1; select 2", ["select a$1", "select 2"]),
        ("-- a; b\nselect 1; -- c;\nselect 2", ["-- a; b\nselect 1", "-- c;\nselect 2"]),
        ("/* a; /* b; */ c; */ select 1; select 2", ["/* a; /* b; */ c; */ select 1", "select 2"]),
        ("select 1; -- the end; really\n/* or */", ["select 1"]),
        ("select 1 - 2; select 3 / 4;", ["select 1 - 2", "select 3 / 4"]),
        ("select 'never closed; select 2", ["select 'never closed; select 2"]),
    ],
)
def test_semicolons_that_end_a_statement(script, expected):
    assert texts(script) == expected


def test_lines_are_those_of_the_file():
    first, second = split("\n\nselect 1;\n\n-- why\nselect\n  2;")
    assert (first.line, second.line) == (3, 5)
    assert second.line_at(second.text.index("2") + 1) == 7


def test_postgresql_agrees_with_every_split(empty_database):
    """Each piece is one statement to the server: it refuses two in one prepared statement."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        for migration in read_migrations():
            for statement in migration.statements:
                connection.execute(statement.text.encode(), prepare=True)
