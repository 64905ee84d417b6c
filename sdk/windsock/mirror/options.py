"""What a mirror needs to know, and the layout of its documents that follows from it."""

import re
from dataclasses import dataclass
from pathlib import Path

from windsock.errors import ConfigurationError
from windsock.mirror.documents import MAX_SHARDS, Layout, shard_count
from windsock.settings.settings import Settings

_FLAG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorOptions:
    """What a mirror needs to know.

    Attributes:
        url: The database; a direct connection or a session pooler.
        folder: The folder of the documents, which only the mirror writes.
        flags: The settings classes' flag names, at least one.
        shards: How many documents; None takes what the folder was set up with, else 1.
        group: Mirrors of one group share one folder: one leads, the others stand by. Mirrors of one
            database that write folders of their own need groups of their own.
        poll_seconds: How often the log is read although nothing woke the mirror.
        reconcile_seconds: How often everything is read although the log says nothing.
        audit_seconds: How often configurations, and the number of users of each, are compared although the
            log says nothing.
        self_test_seconds: How often the mirror proves that the database's notifications reach it.
        answer_seconds: How long the database may take to answer before the connection is given up.
        max_shrink: The share of the assignments, 0 to 1, that an hour may remove.
        allow_shrink: Let the first publication remove more than that.
        settings: Settings classes that configurations are checked against; what does not fit is named.
        hold_back_misfits: Keep what does not fit from being published: its last good settings stay.
        learning_config: Flags whose base values are written into a table: ``flag``, whose table is
            `learning_config`, or ``flag:table``, or ``flag:schema.table``. `settings` holds their classes.
        units: Where units are read from that have values of their own in SQL, such as campaigns:
            ``flag:table`` or ``flag:schema.table``, a table or view with the column `id`, which is the
            targeting key; its other columns are attributes for targeting. The flag is one of those above.
        git_folder: The folder of Git's flag files, for the base values.
        environment: The environment that the base values are for.
    """

    url: str
    folder: Path
    flags: tuple[str, ...]
    shards: int | None = None
    group: str = "default"
    poll_seconds: float = 2.0
    reconcile_seconds: float = 600.0
    audit_seconds: float = 30.0
    self_test_seconds: float = 10.0
    answer_seconds: float = 10.0
    max_shrink: float = 0.2
    allow_shrink: bool = False
    settings: tuple[type[Settings], ...] = ()
    hold_back_misfits: bool = False
    learning_config: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    git_folder: Path = Path("flagd")
    environment: str = "production"


def layout_of(options: MirrorOptions) -> Layout:
    """The flags and the number of documents.

    Raises:
        ConfigurationError: A flag name or the number of shards cannot be used.
    """
    for flag in options.flags:
        if not _FLAG_NAME.fullmatch(flag):
            raise ConfigurationError(f"{flag!r} isn't a flag name: use letters, digits, '_' and '-'")
    if not options.flags:
        raise ConfigurationError("no flag to mirror: give --flag NAME, the name of the settings class's flag")
    shards = options.shards or _shards_of(options.folder)
    if not 1 <= shards <= MAX_SHARDS:
        raise ConfigurationError(f"{shards} shards: the number must be from 1 to {MAX_SHARDS}")
    return Layout(tuple(dict.fromkeys(options.flags)), shards)


def flagd_sources(
    folder: Path, shards: int | None, git_folder: Path, root: Path | None
) -> list[dict[str, str]]:
    """The sources of a flagd that serves the files in Git and the mirror's, the mirror's winning.

    Args:
        folder: The mirror's folder.
        shards: How many documents it has; None for those that are there, at least one.
        git_folder: The folder of the flag files in Git.
        root: Where flagd sees `git_folder`; None for the same place.

    Returns:
        The value of flagd's ``--sources``, https://flagd.dev/reference/sync-configuration/#source-configuration.
    """
    count = shards or max(1, len(list(folder.glob("profiles.[0-9]*.flagd.json"))))
    mirrored = [folder / name for name in Layout((), count).file_names]
    paths = [*sorted(git_folder.glob("*.flagd.json")), *mirrored]
    seen = [root / path.relative_to(git_folder) if root else path for path in paths]
    return [{"uri": str(path), "provider": "fsnotify"} for path in seen]


def _shards_of(folder: Path) -> int:
    """Read the number of shards that a folder was set up with; 1 for a new one."""
    first = folder / "profiles.00.flagd.json"
    if not first.exists():
        return 1
    try:
        return shard_count(first.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{first}: cannot be read, so the number of shards is not known: give it with --shards"
        ) from error
