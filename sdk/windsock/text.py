"""Text for people: shortened, printable, counted, and the nearest known name."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from hashlib import sha256

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Characters that PostgreSQL's text and jsonb refuse: NUL, and halves of surrogate pairs."""

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
"""Goes between a number and its unit; Python doesn't count it as printable."""

MASK = "**********"
"""Shown in place of a secret; the same mask as pydantic's."""

# Atomic: of a text without spaces only the first `://user:` is tried, or a long one takes minutes. Digits
# before a slash are a port, and a message that quotes a long URL may have cut it before its `@`.
_IN_URL = re.compile(r"(?<!\S)((?>\S*?://[^\s:/]*:(?!\d{1,5}(?:/|$))))(?:\S+(?=@)|\S+(?=\.\.\.|…))")
_IN_PAIRS = re.compile(
    r"((?:password|passwd|pwd)\s*=\s*)"
    r"""(?:'(?:[^'\\]|\\.)*+'?|"(?:[^"\\]|\\.)*+"?|(?:[^\s\\&]|\\.|&(?!\w+=))++)""",
    re.IGNORECASE | re.DOTALL,
)


def mask_passwords(text: str) -> str:
    """Mask the passwords in URLs (``user:password@``), connection strings and queries (``password=``)."""
    return _IN_PAIRS.sub(rf"\g<1>{MASK}", _IN_URL.sub(rf"\g<1>{MASK}", text))


def short(value: object) -> str:
    """A value as Python writes it, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}… ({len(text)} characters)"


def printable(value: object, limit: int) -> str:
    """An object's text, storable and at most `limit` characters; never raises."""
    try:
        # str(): a subclass may lie about its length or its slices.
        text = str.__str__(value) if issubclass(type(value), str) else str(value)
        # A character is at most a few bytes: cutting first keeps a message of 100 MB from being copied whole.
        text = UNSTORABLE.sub("�", str.__getitem__(text, slice(limit + 1)))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - hostile by assumption, `SystemExit` included
        return f"<{type(value).__name__} whose text raised {type(error).__name__}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def count(number: int, one: str, many: str | None = None) -> str:
    """A number and what it counts: ``1 flag``, ``2 flags``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def one_line(error: object) -> str:
    """An error's message on one line, at most 10,000 characters; never raises.

    For a server error, only the primary message; DETAIL quotes the row. libpq's "Is the server running…" is
    dropped.
    """
    # psycopg's errors have one; asked of the type, because an error may raise whatever it is asked for
    diagnosis = getattr(error, "diag", None) if hasattr(type(error), "diag") else None
    message = printable(getattr(diagnosis, "message_primary", None) or error, 10_000)
    return " ".join(
        line
        for each in message.splitlines()
        if (line := each.strip()) and not line.startswith("Is the server running ")
    )


def escaped(text: str) -> str:
    r"""The text on one line of a terminal or a log, with characters escaped that these would act on or hide.

    Control characters, line breaks, bidirectional marks, other invisible characters and halves of surrogate
    pairs become ``\n``, ``\x1b``, ``\u202e``; a backslash stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each == NO_BREAK_SPACE else each.encode("unicode_escape").decode()
        for each in text
    )


def bounded(value: object, limit: int) -> str:
    """An object's text, storable and at most `limit` bytes of UTF-8; never raises.

    Two long ids that begin alike must not become one, so a text that is cut ends in its hash.
    """
    if type(value) is str and len(value) <= limit and value.isascii() and "\0" not in value:
        return value  # nearly every text, in a tenth of the time
    text = printable(value, limit)
    data = text.encode()
    if len(data) <= limit:
        return text
    whole = str.encode(value if isinstance(value, str) else text, "utf-8", "surrogatepass")
    end = f"… sha256:{sha256(whole).hexdigest()[:16]}"
    return data[: limit - len(end.encode())].decode(errors="ignore") + end


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, else all of them."""
    if len(known) <= 1_000 and len(name) <= 100:  # comparing more, or longer ones, takes long
        folded = {each.casefold().replace("_", "").replace("-", ""): each for each in known}
        near = folded.get(name.casefold().replace("_", "").replace("-", ""))
        if near := near or next(iter(get_close_matches(name, known, n=1)), None):
            return f"; did you mean {near!r}?"
    listed = ", ".join(map(repr, known[:10])) + (", …" if len(known) > 10 else "")
    return f"; there {'is' if len(known) == 1 else 'are'} {listed}" if known else ""
