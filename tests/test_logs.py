"""A record of windsock's adds no line to a log and doesn't act on a terminal; others stay as they are."""

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


def test_a_traceback_keeps_its_lines_only(logger, caplog):
    try:
        raise ValueError("b\x1b[2J")  # noqa: TRY301 - what is logged
    except ValueError:
        logger.exception("it failed")
    lines = caplog.text.split("\n")
    assert lines[-2] == r"ValueError: b\x1b[2J"
    assert [line for line in lines if not line.isprintable()] == []


def test_of_a_databases_error_the_message_is_told_not_the_row(logger, caplog, database):
    with psycopg.connect(database) as connection, pytest.raises(psycopg.Error) as raised:
        connection.execute("select 'the row'::int")
    logger.warning("it failed: %s", raised.value)
    assert caplog.messages == ['it failed: invalid input syntax for type integer: "the row"']


def test_an_argument_whose_text_fails_raises_nothing(logger, monkeypatch):
    class Bad:
        def __str__(self):
            raise RuntimeError

    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger.propagate = False
    logger.warning("%s", Bad())
    logger.propagate = True
