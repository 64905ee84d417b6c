"""Reads that several pages share: flag files, the class behind a flag, profiles by class."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from windsock.console.cached import Computed
from windsock.console.options import Console
from windsock.console.page_errors import NotFoundError
from windsock.errors import MissingExtraError, UnreachableError
from windsock.flagfiles.files import FlagFile, read_files
from windsock.flagfiles.sets import flag_set
from windsock.flags import Flag, FlagSet
from windsock.mirror import checking
from windsock.mirror.profiles import is_uuid
from windsock.postgres.queries import load_queries
from windsock.providers.compiled import CompiledProvider
from windsock.runtime.state import health
from windsock.settings.layers import masked
from windsock.settings.process import process
from windsock.settings.settings import Settings
from windsock.text import MASK, did_you_mean

if TYPE_CHECKING:
    import psycopg

    from windsock.experiments.result import Result

    Connection = psycopg.Connection[tuple[Any, ...]]

_LOOKS: Final = 6
"""How many earlier looks a report draws."""

QUERIES = load_queries("windsock.console", "queries.sql")


def git_files(console: Console) -> tuple[FlagFile, ...]:
    """The flag files managed in Git; empty if the folder doesn't exist."""
    try:
        return _kept(read_files([console.flags]))
    except UnreachableError:
        if console.flags.exists() and any(console.flags.glob("*.flagd.*")):
            raise
        return ()


def git_flags(console: Console) -> FlagSet:
    """The flags in the files managed in Git."""
    return _parsed(git_files(console))


@lru_cache(maxsize=2)
def _kept(files: tuple[FlagFile, ...]) -> tuple[FlagFile, ...]:
    """Unchanged files keep the documents that were parsed before."""
    return files


_parsed = lru_cache(maxsize=2)(flag_set)
"""Unchanged files aren't merged again."""


def shown_flag(console: Console, flag: Flag) -> Flag:
    """A flag that's safe to show: for a settings class, the values of secret fields are masked."""
    for each in console.declarations:
        if flag.key in {each.flag, each.experiment_flag, each.profile_flag}:
            variants = {
                name: {key: MASK if key in each.secrets else below for key, below in value.items()}
                if isinstance(value, Mapping)
                else value
                for name, value in flag.variants.items()
            }
            return replace(flag, variants=variants)
    return flag


def class_of(console: Console, flag: str) -> type[Settings]:
    """The settings class of a flag.

    Raises:
        NotFoundError: No class shown in the console has this flag.
    """
    for each in console.settings:
        if each.__windsock__.declaration.flag == flag:
            return each
    known = [each.flag for each in console.declarations]
    raise NotFoundError(f"no settings class here has the flag {flag!r}{did_you_mean(flag, known)}")


def served_provider() -> CompiledProvider | None:
    """The provider that evaluates flags in this process; None if a server does."""
    provider = process.evaluating().client.provider
    return provider if isinstance(provider, CompiledProvider) else None


@dataclass(frozen=True, slots=True)
class ProfileOf:
    """A profile's settings for one class.

    Attributes:
        id: The configuration's id, from which variants take their names.
        name: Its name.
        active: Whether it's served.
        users: How many users have it.
        values: Its settings for the class.
    """

    id: str
    name: str
    active: bool
    users: int
    values: Mapping[str, object]


ProfileRow = tuple[str, str, bool, int, Mapping[str, object]]
"""A profile row: id, name, whether it's active, how many users have it, and all its settings."""


def profile_rows(
    connection: "Connection", counted: Computed[Mapping[str, int]], limit: int = 500
) -> list[ProfileRow]:
    """The profiles, most widely used first."""
    most = list(counted.value.items())[:limit]
    ids, users = [number for number, _ in most], [count for _, count in most]
    return connection.execute(QUERIES["profiles"], {"ids": ids, "users": users, "limit": limit}).fetchall()


def profiles_of(console: Console, rows: Iterable[ProfileRow], flag: str) -> list[ProfileOf]:
    """The profiles that set values for one class."""
    of_class = (
        ProfileOf(number, name, active, users, part_of(console, settings, flag))
        for number, name, active, users, settings in rows
    )
    return [each for each in of_class if each.values]


def profile_names(connection: "Connection", ids: Iterable[object]) -> dict[str, str]:
    """The names of profiles by their ids; deleted profiles are left out."""
    uuids = sorted({text for each in ids if is_uuid(text := str(each))})
    return dict(connection.execute(QUERIES["names"], {"ids": uuids}).fetchall()) if uuids else {}


def part_of(console: Console, settings: Mapping[str, object], flag: str) -> Mapping[str, object]:
    """A row's settings for one class, split as the mirror does it."""
    declaration = class_of(console, flag).__windsock__.declaration
    return checking.part_of(settings, declaration, console.declarations)


def masked_settings(console: Console, settings: Mapping[str, object]) -> dict[str, object]:
    """A row's settings with secrets and passwords masked, for display."""
    declared = {each.flag: each for each in console.declarations}
    shown: dict[str, object] = {}
    for key, value in settings.items():
        owners = [each for each in declared.values() if key in each.fields]
        if len(declared) > 1 and key in declared and isinstance(value, Mapping):
            shown[key] = declared[key].shown(value)
        else:
            hidden = any(each.is_secret((key,)) for each in owners)
            shown[key] = MASK if hidden else masked(value)
    return shown


def analysis(console: Console, name: str, looks: int = _LOOKS) -> "Result":
    """A fresh analysis of an experiment.

    Raises:
        MissingExtraError: The extra that computes reports isn't installed.
        WindsockError: No report is available yet, or its data can't be read.
    """
    try:
        from windsock.experiments.result import analyze  # noqa: PLC0415 - an extra
    except ImportError as missing:
        raise MissingExtraError("the report of an experiment", "experiments") from missing
    environment = health().environment
    return analyze(name, console.database_url, flags=console.flags, environment=environment, looks=looks)


def pages(query: Mapping[str, str], size: int) -> tuple[int, int]:
    """The requested page number, from 1, and the number of rows before it."""
    text = query.get("page", "1")
    page = min(max(int(text), 1), 100_000) if text.isascii() and text.isdecimal() and len(text) < 7 else 1
    return page, (page - 1) * size
