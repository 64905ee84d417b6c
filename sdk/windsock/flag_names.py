"""The names of flag files and of a settings class's flags, and the reserved names."""

import re
from hashlib import sha256
from struct import Struct
from typing import Final

from windsock.errors import DeclarationError

FLAG_FOLDER: Final = "flagd"
"""The default folder of a project's flag files."""

MIRROR_FOLDER: Final = "mirror"
"""The subfolder that the mirror writes."""

SUFFIXES: Final = (".flagd.json", ".flagd.yaml", ".flagd.yml")
"""The suffix of a flag file's name."""

TEMPORARY: Final = ".tmp"
"""How the name of a file ends that is still being written; it begins with a dot."""

EXPERIMENT = ".experiment"
"""The key suffix of an experiment flag, whose variants are arms."""

PROFILE = ".profile"
"""The key suffix of a profile flag."""


NO_CHANGE = "none"
"""The default variant of every profile flag: no configuration."""


OVERRIDE: Final = "override"
"""The variant of a value that a test forces; it counts in no analysis."""

COUNT = ".shards"
"""The key suffix of the flag that gives the number of shards of another flag."""


SENTINEL: Final = "windsock.sentinel"
"""The reserved flag whose evaluation proves that a set is loaded.

Files and stream lay it into each set, as text: the set's revision. A flagd that evaluates is asked for it; it
need not have it.
"""


_FIRST_FOUR: Final = Struct(">I").unpack_from  # faster than `int.from_bytes`

_OVERLAY = re.compile(
    rf"(.+?)(?:{re.escape(EXPERIMENT)}|{re.escape(PROFILE)}(?:{re.escape(COUNT)}|\.[0-9]+)?)"
)


def default_flag(class_name: str) -> str:
    """The flag of a class that names none: ``AuraSettings`` → ``aura``, ``LoopConfig`` → ``loop``."""
    stem = re.sub(r"(?<=.)(Settings|Config)$", "", class_name)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", stem).lower()


def checked_flag(class_name: str, flag: str) -> str:
    """Return the flag key of a settings class.

    Raises:
        DeclarationError: It can't be a flag key, or it's a name that windsock gives to other flags.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", flag):
        raise DeclarationError(
            f"{class_name}: {flag!r} cannot be a flag key;"
            " use letters, digits, `_` and `-`, in parts divided by `.`"
        )
    if class_flag(flag) != flag or flag == SENTINEL:
        raise DeclarationError(
            f"{class_name}: {flag!r} is reserved: windsock names experiments `<flag>{EXPERIMENT}`, profiles"
            f" `<flag>{PROFILE}` and the flag that proves a set is loaded `{SENTINEL}`. Choose another flag"
        )
    return flag


def shard_of(targeting_key: str | None, shards: int) -> int:
    """The shard of a user: the first eight hex digits of sha256(targeting key), modulo `shards`.

    Without a targeting key, the first.
    """
    if targeting_key is None:
        return 0
    try:
        key = targeting_key.encode()
    except UnicodeEncodeError:  # half a surrogate pair; to allow it in each key takes twice as long
        key = targeting_key.encode("utf-8", "surrogatepass")
    first: int = _FIRST_FOUR(sha256(key).digest())[0]
    return first % shards


def class_flag(key: str) -> str:
    """Return the base flag of the settings class that a flag belongs to; any other key is its own.

    ``teacher.experiment``, ``teacher.profile``, ``teacher.profile.shards`` and ``teacher.profile.7`` belong
    to ``teacher``; ``teacher.experimental_ui`` doesn't.
    """
    overlay = _OVERLAY.fullmatch(key)
    return overlay[1] if overlay else key


def is_profile(key: str) -> bool:
    """Whether a flag holds profiles: a class's profile flag, or one shard of it."""
    owner = class_flag(key)
    return owner != key and key.startswith(owner + PROFILE)


def is_temporary(path: str) -> bool:
    """Whether a path is the name of what `disk.replacing` still writes."""
    return path.endswith(TEMPORARY) and re.split(r"[/\\]", path)[-1].startswith(".")
