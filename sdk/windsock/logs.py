"""windsock's loggers: a record's message is one line, whatever a flag file, a row or an error holds."""

from logging import Formatter, Logger, LogRecord, getLogger

from windsock.text import escaped, one_line


def get_logger(name: str) -> Logger:
    """The logger of this name, whose records add no line and don't act on a terminal.

    Args:
        name: Such as ``windsock.flags``.
    """
    logger = getLogger(name)
    logger.addFilter(_escape)
    return logger


def _escape(record: LogRecord) -> bool:
    """Escape a record that needs it; others stay as they are, with their arguments."""
    try:
        if isinstance(record.args, tuple) and not record.getMessage().isprintable():
            record.args = tuple(one_line(a) if isinstance(a, BaseException) else a for a in record.args)
            record.msg, record.args = escaped(record.getMessage()), ()
    except Exception:  # noqa: BLE001 - an argument's own text failed; the handler tells it
        return True
    if record.exc_info:
        record.exc_text = "\n".join(map(escaped, Formatter().formatException(record.exc_info).split("\n")))
    return True
