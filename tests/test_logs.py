"""A record of windsock's adds no line to a log and doesn't act on a terminal; others stay as they are."""

import asyncio
import io
import logging

import psycopg
import pytest

from windsock.logs import get_logger

HOSTILE = "a\nFAKED\x1b[2J\x9b\u202e\ud800"


@pytest.fixture
def logger(caplog):
    caplog.set_level(logging.INFO)
    yield (logger := get_logger("windsock.of_this_test"))
    logger.filters.clear()


def test_a_message_is_one_line(logger, caplog):
    logger.warning("%s and %r: %d %%", HOSTILE, HOSTILE, 3)
    logger.warning(HOSTILE)
    first, second = caplog.messages
    assert first == r"a\nFAKED\x1b[2J\x9b\u202e\ud800 and 'a\nFAKED\x1b[2J\x9b\u202e\ud800': 3 %"
    assert second == r"a\nFAKED\x1b[2J\x9b\u202e\ud800"


def test_a_plain_record_keeps_its_arguments(logger, caplog):
    get_logger(logger.name)  # asked twice, it filters once
    logger.info("%s users in %.1f s", "ann", 2.0)
    assert caplog.records[0].args == ("ann", 2.0)
    assert len(logger.filters) == 1


def test_a_mapping_s_values_are_escaped(logger, caplog):
    logger.warning("%(user)s failed: %(error)s", {"user": HOSTILE, "error": ValueError("x\ny")})
    assert caplog.messages == [r"a\nFAKED\x1b[2J\x9b\u202e\ud800 failed: x y"]


def test_a_traceback_keeps_its_lines_only(logger, caplog):
    try:
        raise ValueError("b\x1b[2J")  # noqa: TRY301 - what is logged
    except ValueError:
        logger.exception("it failed")
    lines = caplog.text.split("\n")
    assert lines[-2] == r"ValueError: b\x1b[2J"
    assert [line for line in lines if not line.isprintable()] == []


def raise_noted() -> None:
    error = ValueError("of a note")
    error.add_note("n\nFORGED\x1b")
    raise error


def raise_from_another() -> None:
    try:
        raise KeyError("k\nFORGED")  # noqa: TRY301 - its text is what is logged
    except KeyError as error:
        raise ValueError("v\nFORGED") from error


def raise_while_handling() -> None:
    try:
        raise_noted()
    except ValueError:
        raise OSError("o\nFORGED")  # noqa: B904 - its context is what is tested


def raise_a_group() -> None:
    raise ExceptionGroup(
        "g\nFORGED", [ValueError("v\nFORGED"), ExceptionGroup("h\nFORGED", [OSError("\nFORGED")])]
    )


def raise_a_syntax_error() -> None:
    raise SyntaxError("s\nFORGED", ("f\nFORGED", 1, 3, "a b\nFORGED\n"))


@pytest.mark.parametrize(
    "fail", [raise_noted, raise_from_another, raise_while_handling, raise_a_group, raise_a_syntax_error]
)
def test_an_exception_s_text_adds_no_line(logger, caplog, fail):
    try:
        fail()
    except Exception:
        logger.exception("it failed")
    forged = [line for line in caplog.text.split("\n") if line.strip(" |").startswith("FORGED")]
    assert "FORGED" in caplog.text
    assert forged == []


class OneLine(logging.Formatter):
    """A service's own way to write an exception."""

    def formatException(self, ei):  # noqa: N802 - logging's name
        return f"only {ei[1]}"


def test_a_plain_exception_is_left_to_the_handler_s_formatter(logger):
    handler = logging.StreamHandler(written := io.StringIO())
    handler.setFormatter(OneLine())
    logger.addHandler(handler)
    logger.propagate = False  # another handler's text would be taken for this one's
    try:
        raise ValueError("plain")  # noqa: TRY301 - what is logged
    except ValueError:
        logger.exception("it failed")
    finally:
        logger.propagate = True
        logger.removeHandler(handler)
    assert written.getvalue() == "it failed\nonly plain\n"


def test_an_exception_that_is_not_there_raises_nothing(logger, caplog):
    logger.error("it failed", exc_info=(None, None, None))
    assert "it failed\nNoneType: None" in caplog.text


def test_of_a_databases_error_the_message_is_told_not_the_row(logger, caplog, database):
    with psycopg.connect(database) as connection, pytest.raises(psycopg.Error) as raised:
        connection.execute("select 'the row'::int")
    logger.warning("it failed: %s", raised.value)
    assert caplog.messages == ['it failed: invalid input syntax for type integer: "the row"']


def test_of_a_databases_error_a_traceback_has_the_message_not_the_row(logger, caplog, database):
    with psycopg.connect(database) as connection:
        connection.execute("create temp table t (id text primary key); insert into t values ('the row')")
        try:
            connection.execute("insert into t values ('the row')")
        except psycopg.Error:
            logger.exception("it failed")
    assert 'UniqueViolation: duplicate key value violates unique constraint "t_pkey"' in caplog.text
    assert "(the row)" not in caplog.text


@pytest.mark.parametrize("raised", [RuntimeError(), SystemExit(3), asyncio.CancelledError()], ids=repr)
def test_what_has_no_text_raises_nothing(logger, caplog, raised):
    class Bad(Exception):  # noqa: N818 - it is bad
        def __getattribute__(self, name):
            if name.startswith("__"):
                return super().__getattribute__(name)
            raise raised

        def __str__(self):
            raise raised

    logger.warning("%s of %s", Bad(), 3)
    logger.error("it failed", exc_info=Bad())
    assert caplog.messages == ["%s of %s", "it failed"]
    assert f"Bad: <Bad whose text raised {type(raised).__name__}>" in caplog.text
