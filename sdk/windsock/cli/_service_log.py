"""The log of a command that runs until it is stopped: lines for people, or JSON for machines, on stderr."""

import json
import logging
from datetime import UTC, datetime
from enum import StrEnum

from windsock.cli._say import escaped_json
from windsock.logs import get_logger


class LogFormat(StrEnum):
    """How the log is written."""

    TEXT = "text"
    JSON = "json"


class _JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = record.exc_text or self.formatException(record.exc_info)
        return escaped_json(json.dumps(line, ensure_ascii=False))


def log_to_stderr(log_format: LogFormat) -> None:
    """Write windsock's log, from INFO up, to stderr."""
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(_JsonLines() if log_format is LogFormat.JSON else text)
    logging.basicConfig(handlers=[handler])
    get_logger("windsock").setLevel(logging.INFO)
