"""windsock's loggers: what a record quotes adds no line, whatever a flag file, a row or an error holds."""

from collections.abc import Mapping
from logging import Logger, LogRecord, getLogger
from traceback import TracebackException

from windsock.text import escaped, one_line, printable

_TEXTS = ("filename", "msg", "text")
"""What `TracebackException` keeps of a syntax error; of any exception it keeps `_str`."""


def get_logger(name: str) -> Logger:
    """The logger of this name, whose records add no line and don't act on a terminal.

    A message is one line. So is each text in a traceback: the exceptions' messages and notes.

    Args:
        name: Such as ``windsock.flags``.
    """
    logger = getLogger(name)
    logger.addFilter(_escape)
    return logger


def _escape(record: LogRecord) -> bool:
    """Escape a record that needs it; others stay as they are, with their arguments."""
    try:
        if not record.getMessage().isprintable():
            given = record.args or ()
            record.args = (
                {name: _argument(value) for name, value in given.items()}
                if isinstance(given, Mapping)
                else tuple(map(_argument, given))
            )
            record.msg, record.args = escaped(record.getMessage()), ()
    except Exception:  # noqa: BLE001 - an argument's own text failed; the handler tells it
        return True
    if record.exc_info and record.exc_info[1] is not None:
        report = TracebackException(*record.exc_info, compact=True)
        standard = "".join(report.format())
        _flatten(report, record.exc_info[1])
        text = "\n".join(map(escaped, "".join(report.format()).split("\n")))
        if text != standard:  # a plain one is left to the handler's own formatter
            record.exc_text = text.removesuffix("\n")
    return True


def _argument(value: object) -> object:
    return one_line(value) if isinstance(value, BaseException) else value


def _flatten(report: TracebackException, error: BaseException) -> None:
    """Put each text of an exception, of those behind it and of those in it, on one line."""
    waiting: list[tuple[TracebackException | None, BaseException | None]] = [(report, error)]
    while waiting:
        shown, each = waiting.pop()
        if shown is None or each is None:
            continue
        texts = {name: str(text).rstrip("\n") for name in _TEXTS if (text := getattr(shown, name, None))}
        texts["_str"] = one_line(each)
        vars(shown).update({name: escaped(text) for name, text in texts.items()})
        if isinstance(shown.__notes__, list):
            shown.__notes__ = [escaped(printable(note, 10_000)) for note in shown.__notes__]
        waiting += [(shown.__cause__, each.__cause__), (shown.__context__, each.__context__)]
        if isinstance(each, BaseExceptionGroup):
            waiting += zip(shown.exceptions or (), each.exceptions, strict=False)
