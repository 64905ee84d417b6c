"""Withdrawn values: read, restored, or removed for good by a patch of the file or an edit of the profile."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from windsock.errors import ConfigurationError
from windsock.flag_names import MIRROR_FOLDER, is_profile
from windsock.flagfiles.files import DEFAULT_FOLDER, FlagFile, read_files
from windsock.flagfiles.formatting import formatted, parsed, written
from windsock.flagfiles.sets import flag_set
from windsock.gitops.patches import patch_lines
from windsock.healing.boards import Board, FileBoard
from windsock.healing.postgres_board import PostgresBoard
from windsock.healing.quarantine import Outbox, Withdrawal
from windsock.postgres.migrations import connect
from windsock.settings.place import fingerprint
from windsock.text import escaped, one_line
from windsock.usage.reading import profile_names


def permanent(
    withdrawals: Sequence[Withdrawal], files: Sequence[FlagFile], names: Mapping[str, str]
) -> Iterator[str]:
    """Yield, line by line, the change that removes the withdrawn values from their files and profiles.

    A value in a flag file becomes a patch that ``git apply`` takes; a value of a profile becomes a command
    in a comment. The withdrawals come from a database that services write, so the patch contains none of
    their text: it is built from the parsed file, and their text appears escaped in comment lines.

    Args:
        withdrawals: What is withdrawn.
        files: The flag files in Git; YAML is skipped.
        names: Profiles' names by id.

    Raises:
        FlagFileError: A file cannot be read.
    """
    left = list(withdrawals)
    for file in files:
        if not file.path.endswith(".json"):
            continue
        form = formatted(file.data, file.path)  # refuses a file that can't be read or would lose a key
        values, content = json.loads(form), parsed(form)
        done = [each for each in left if _take_out(each, values, content)]
        if done:
            left = [each for each in left if each not in done]
            yield from patch_lines(file.path, file.data.decode(), written(content, file.path).decode())
    yield from (_comment(each, names) for each in left)


def _take_out(each: Withdrawal, values: Mapping[str, Any], content: Mapping[str, Any]) -> bool:
    """Remove a withdrawn value from a document, if it is there."""
    variant = _variant(values, each)
    if variant is None or each.field not in variant or fingerprint(variant[each.field]) != each.fingerprint:
        return False
    twin = _variant(content, each)
    return twin is not None and twin.pop(each.field, None) is not None


def _variant(document: Mapping[str, Any], each: Withdrawal) -> dict[str, Any] | None:
    found: Any = document
    for name in ("flags", each.flag, "variants", each.variant):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _comment(each: Withdrawal, names: Mapping[str, str]) -> str:
    flag, variant, field = escaped(each.flag), escaped(each.variant), escaped(each.field)
    if is_profile(each.flag) and each.variant in names:
        edit = ("windsock", "profile", "edit", f"--unset={field}", "--", escaped(names[each.variant]))
        return f"# {shlex.join(edit)}\n"
    return f"# {field} of flag {flag!r} variant {variant!r} is in none of these files\n"


def withdrawals(database_url: str | None) -> list[Withdrawal]:
    """Return the current withdrawals, from the database, or else from this host's file.

    Raises:
        ConfigurationError: They cannot be read.
    """
    return _exchange(database_url, Outbox())


def lift_withdrawal(database_url: str | None, flag: str, variant: str, field: str) -> None:
    """Serve a value again, in every process within seconds.

    Args:
        database_url: The database; None for this host's file.
        flag: The flag's key.
        variant: The variant; for a profile, its name or id.
        field: The settings field.

    Raises:
        ConfigurationError: It isn't withdrawn, or the withdrawals can't be read.
    """
    names = names_of_profiles(database_url, DEFAULT_FOLDER)
    found = [
        each
        for each in withdrawals(database_url)
        if (each.flag, each.field) == (flag, field) and variant in (each.variant, names.get(each.variant))
    ]
    if not found:
        raise ConfigurationError(
            f"{field} of flag {flag!r} variant {variant!r} is not withdrawn; see `windsock quarantine list`"
        )
    _exchange(database_url, Outbox(lifted=tuple(found)))


def names_of_profiles(database_url: str | None, folder: Path) -> dict[str, str]:
    """Profiles' names by id, from the database, or else from a mirror's documents in the folder."""
    if database_url:
        with connect(database_url) as connection:
            return profile_names(connection)
    mirrored = folder / MIRROR_FOLDER
    flags = flag_set(read_files([mirrored])).flags.values() if mirrored.is_dir() else ()
    return {
        key.removeprefix("config."): str(name)
        for flag in flags
        for key, name in flag.metadata.items()
        if key.startswith("config.")
    }


def _exchange(database_url: str | None, outbox: Outbox) -> list[Withdrawal]:
    board: Board = PostgresBoard(database_url) if database_url else FileBoard()
    try:
        return list(board.exchange(outbox))
    except Exception as error:
        advice = ". Check DATABASE_URL, and run `windsock migrate`" if database_url else ""
        raise ConfigurationError(f"the withdrawals cannot be read: {one_line(error)}{advice}") from error
    finally:
        board.close()
