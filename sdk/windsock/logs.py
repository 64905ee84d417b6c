"""windsock's loggers: what a record quotes adds no line, whatever a flag file, a row or an error holds."""

from collections.abc import Mapping
from logging import Logger, LogRecord, getLogger
from traceback import TracebackException

from windsock.text import escaped, one_line, printable


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
            record.args = (
                {name: _argument(value) for name, value in record.args.items()}
                if isinstance(record.args, Mapping)
                else tuple(map(_argument, record.args or ()))
            )
            record.msg, record.args = escaped(record.getMessage()), ()
        if record.exc_info and record.exc_info[1] is not None:
            report = TracebackException(*record.exc_info, compact=True)
            standard = "".join(report.format())
            _flatten(report, record.exc_info[1])
            text = "\n".join(map(escaped, "".join(report.format()).split("\n")))
            # a plain one is left to the handler's own formatter
            record.exc_text = None if text == standard else text.removesuffix("\n")
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - the text of an argument or error failed, `SystemExit` included
        record.msg, record.args = escaped(printable(record.msg, 10_000)), ()
    return True


def _argument(value: object) -> object:
    return one_line(value) if isinstance(value, BaseException) else value


def _flatten(report: TracebackException, error: BaseException) -> None:
    """Put each text of an exception, of those behind it and of those in it, on one line."""
    waiting = [(report, error)]
    for shown, each in waiting:  # it grows
        # `_str` has no public name; the others are a syntax error's
        texts = {name: getattr(shown, name, None) for name in ("filename", "msg", "text")}
        vars(shown).update(
            {
                name: escaped(printable(text, 10_000).rstrip("\n"))
                for name, text in {**texts, "_str": one_line(each)}.items()
                if text is not None
            }
        )
        if isinstance(shown.__notes__, list):
            shown.__notes__ = [escaped(printable(note, 10_000)) for note in shown.__notes__]
        inside = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        further = (
            (shown.__cause__, each.__cause__),
            (shown.__context__, each.__context__),
            *zip(shown.exceptions or (), inside, strict=False),
        )
        waiting += [(one, its) for one, its in further if one is not None and its is not None]
