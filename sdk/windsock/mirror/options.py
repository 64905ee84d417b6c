"""A mirror's options, and the layout of documents that follows from them."""

import re
from dataclasses import dataclass
from pathlib import Path

from windsock.errors import ConfigurationError
from windsock.flag_names import FLAG_FOLDER, SUFFIXES
from windsock.mirror.documents import MAX_SHARDS, Layout, shard_count
from windsock.plain_files import read_plain
from windsock.settings.settings import Settings

_FLAG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_WATCHED_MAX = 100  # files; flagd needs one watch each


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorOptions:
    """The options of a mirror.

    Attributes:
        url: The database; a direct connection or a session pooler.
        folder: The folder of documents, written only by the mirror.
        flags: The settings classes' flag names, at least one.
        shards: The number of documents; None keeps the folder's number, or 1 for a new folder.
        group: Mirrors in a group share one folder: one leads, the others are on standby. Mirrors of the same
            database that write to different folders need different groups.
        poll_seconds: How often to read the log without a wake-up.
        reconcile_seconds: How often to read everything even if the log shows no changes.
        audit_seconds: How often to compare configurations, and the number of users of each, even if the log
            shows no changes.
        self_test_seconds: How often to verify that the database's notifications arrive.
        answer_seconds: How long the database may take to answer before the connection is dropped.
        max_shrink: The share of the assignments, 0 to 1, that may be removed in an hour.
        allow_shrink: Let the first publication remove more than that.
        settings: Settings classes to check configurations against; misfits are reported.
        hold_back_misfits: Don't publish misfits: their last good settings stay.
        learning_config: Flags whose base values are written to a table: ``flag``, for the table
            `learning_config`, ``flag:table``, or ``flag:schema.table``. Their classes must be in `settings`.
        units: Sources of units, such as campaigns, that have their own values in SQL: ``flag:table`` or
            ``flag:schema.table``, naming a table or view whose column `id` is the targeting key and whose
            other columns are targeting attributes. The flag must be listed in `learning_config`.
        git_folder: The folder of flag files in Git, for the base values.
        environment: The environment for the base values.
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
    git_folder: Path = Path(FLAG_FOLDER)
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
        raise ConfigurationError(f"{shards} shards: the number must be from 1 to {MAX_SHARDS:,}")
    return Layout(tuple(dict.fromkeys(options.flags)), shards)


def flagd_sources(
    folder: Path, shards: int | None, git_folder: Path, root: Path | None
) -> list[dict[str, str]]:
    """The sources for a flagd that serves the files in Git and the mirror's files, which take precedence.

    Args:
        folder: The mirror's folder.
        shards: The number of documents; None for the existing ones, at least one.
        git_folder: The folder of flag files in Git.
        root: The path of `git_folder` as flagd sees it; None if it's the same.

    Returns:
        The value of flagd's ``--sources``, https://flagd.dev/reference/sync-configuration/#source-configuration.

    Raises:
        ConfigurationError: There are more documents than flagd can watch, or the mirror's folder isn't below
            `git_folder` where `root` is given.
    """
    count = shards or max(1, len(list(folder.glob("profiles.[0-9]*.flagd.json"))))
    if count > _WATCHED_MAX:
        raise ConfigurationError(
            f"{count:,} shards: a flagd server can watch {_WATCHED_MAX} files at most. Set up a folder with "
            "fewer, or let services read the files themselves"
        )
    mirrored = [folder / name for name in Layout((), count).file_names]
    own = sorted(path for path in git_folder.glob("*.flagd.*") if path.name.endswith(SUFFIXES))
    paths = [*own, *mirrored]
    if root is not None and not folder.is_relative_to(git_folder):
        raise ConfigurationError(
            f"--root says where flagd sees {git_folder}, and the mirror's folder {folder} isn't below it"
        )
    seen = [root / path.relative_to(git_folder) if root else path for path in paths]
    return [{"uri": str(path), "provider": "fsnotify"} for path in seen]


def _shards_of(folder: Path) -> int:
    """Read the number of shards that a folder was set up with; 1 for a new one."""
    first = folder / "profiles.00.flagd.json"
    if not first.exists():
        return 1
    try:
        return shard_count(read_plain(first))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{first}: cannot be read, so the number of shards is not known: give it with --shards"
        ) from error
