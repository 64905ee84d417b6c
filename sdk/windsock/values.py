"""Values in use: where they stand, how they are told apart, and how the calls that used them went."""

import json
import re
from collections.abc import Mapping
from hashlib import sha256

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""What PostgreSQL's text and jsonb refuse: NUL, and halves of surrogate pairs."""

_USERS_MAX = 10_000
"""Users counted in one window."""

ValueKey = tuple[str, str, str]
"""Where a value stands: (flag key, variant, top-level field). A sharded flag has one key."""

Withdrawn = Mapping[ValueKey, str]
"""Values not to be served, by where they stand: their fingerprint. Another value there is served."""


class Period:
    """The window in which calls are counted; one for all tallies of a settings class.

    Attributes:
        ends: Monotonic time at which it ends.
        users: Whose call was counted in it. Each user counts once, so that one who calls all the time, or
            fails all the time, is no evidence about others.
    """

    __slots__ = ("ends", "users")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.users: set[str] = set()


class Tally:
    """Counts the healed calls that used one resolution; kept for as long as the resolution.

    Attributes:
        calls: Calls that were counted. Without a lock: a count lost now and then is no evidence.
        faults: Those whose first run failed.
        taken: What of `calls` and `faults` was taken into account.
        period: The window under way; None while nobody watches.
        proven: Fields that were read by a call that went well.
    """

    __slots__ = ("calls", "faults", "period", "proven", "taken")

    def __init__(self) -> None:
        self.calls = 0
        self.faults = 0
        self.taken = (0, 0)
        self.period: Period | None = None
        self.proven: set[str] = set()

    def counts(self, user: str | None) -> bool:
        """Whether a call of this user is to be counted in this window; asked once for each call."""
        period = self.period
        if period is None:
            return False
        if user is None:
            return True
        if user in period.users or len(period.users) >= _USERS_MAX:
            return False
        period.users.add(user)
        return True


def fingerprint(value: object) -> str:
    """Tell a value from another: the first 16 hex digits of the sha256 of its JSON, keys in order.

    ``1`` and ``1.0`` are one value: flagd's RPC turns integers inside objects into floats.
    """
    text = json.dumps(_numbers_alike(value), sort_keys=True, default=repr)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _numbers_alike(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _numbers_alike(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers_alike(each) for each in value]
    return value


def short(value: object, limit: int = 80) -> str:
    """Give a value as Python writes it, or its beginning."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def printable(value: object, limit: int) -> str:
    """Give an object's text, storable and at most `limit` characters; never raises."""
    try:
        # str(): a subclass may lie about its length or its slices.
        text = str.__str__(value) if isinstance(value, str) else str(value)
        # A character is at most a few bytes: cutting first keeps a message of 100 MB from being copied whole.
        text = UNSTORABLE.sub("�", str.__getitem__(text, slice(limit + 1)))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - hostile by assumption, `SystemExit` included
        return f"<{type(value).__name__} whose text raised {type(error).__name__}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"
