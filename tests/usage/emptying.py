"""What a killed process has surely kept: all that it had recorded when its writer last began to empty its queue."""

import os

from windsock.usage import UsageWriter

BEGUN, ENDED = "begun", "ended"


class SayingWriter(UsageWriter):
    """Says on standard output when it begins to empty its queue, and when it has."""

    def _drain(self) -> None:
        os.write(1, f"{BEGUN}\n".encode())
        super()._drain()
        os.write(1, f"{ENDED}\n".encode())


def kept(lines: list[str]) -> list[str]:
    """The lines before the last emptying that ended; the process said each after it had recorded it."""
    words = [line.strip() for line in lines]
    if ENDED not in words:
        return []
    ended = len(words) - words[::-1].index(ENDED)
    begun = ended - words[:ended][::-1].index(BEGUN)
    return [line for line in lines[:begun] if line.strip() not in {BEGUN, ENDED}]
