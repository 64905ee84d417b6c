"""Tuning and assigning profiles: each function tells what changes, and changes it unless it's a dry run."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from windsock.errors import ConfigurationError
from windsock.mirror import profiles
from windsock.mirror.checking import faults, strays
from windsock.mirror.profiles import ProfileChange, ProfileRow
from windsock.settings.settings import Settings

if TYPE_CHECKING:
    from windsock.mirror.profiles import Connection


@dataclass(frozen=True, slots=True)
class ProfileDetails:
    """A profile and its past.

    Attributes:
        row: The profile.
        users: How many users have it.
        changes: Its latest changes, newest first.
    """

    row: ProfileRow
    users: int
    changes: Sequence[ProfileChange]


@dataclass(frozen=True, slots=True)
class Tuned:
    """What became of a profile.

    Attributes:
        differences: The differences, one per line; none if it already was like this.
        users: How many users have it.
        change: The number for `profiles.undo`; None if nothing was written.
    """

    differences: Sequence[str]
    users: int
    change: int | None


@dataclass(frozen=True, slots=True)
class Reassigned:
    """What became of users' assignments.

    Attributes:
        users: How many users get another profile, or none.
        replaced: How many of them had a profile before.
        change: The number for `profiles.undo`; None if nothing was written.
    """

    users: int
    replaced: int
    change: int | None


def details(connection: "Connection", name: str) -> ProfileDetails:
    """A profile and its ten latest changes.

    Raises:
        ConfigurationError: The profile doesn't exist.
    """
    row, users = profiles.load(connection, name)
    return ProfileDetails(row, users, profiles.history(connection, name, 10))


def check(classes: Sequence[type[Settings]], name: str, settings: Mapping[str, object]) -> None:
    """Check a profile's fields and values against every class that it may set.

    Raises:
        ConfigurationError: A class doesn't have a field, or refuses its value; nothing was changed.
    """
    declarations = [each.__windsock__.declaration for each in classes]
    found = [*strays(declarations, settings), *faults(declarations, name, settings)]
    if found:
        raise ConfigurationError(
            "; ".join(f"{field}: {message}" if field else message for field, message in found)
            + "; nothing was changed"
        )


def create(connection: "Connection", name: str, after: ProfileRow, *, dry_run: bool) -> Tuned:
    """Create a profile.

    Raises:
        ConfigurationError: The profile exists.
    """
    if profiles.exists(connection, name):
        edit = f"windsock profile edit {shlex.quote(name)}"
        raise ConfigurationError(f"there is a profile {name!r} already: `{edit}`")
    change = None if dry_run else profiles.save(connection, name, None, after)
    return Tuned(tuple(profiles.differences(None, after)), 0, change)


def edit(
    connection: "Connection", name: str, edited: Callable[[ProfileRow], ProfileRow], *, dry_run: bool
) -> Tuned:
    """Change a profile for all its users.

    Args:
        connection: A connection of the tables' owner.
        name: The profile.
        edited: Makes the new content of the present one; see `ProfileRow.edited`.
        dry_run: Whether to leave it as it is.

    Raises:
        ConfigurationError: The profile doesn't exist.
    """
    before, users = profiles.load(connection, name)
    after = edited(before)
    found = tuple(profiles.differences(before, after))
    change = None if dry_run or not found else profiles.save(connection, name, before, after)
    return Tuned(found, users, change)


def assign(
    connection: "Connection", name: str | None, users: Sequence[str], *, new: bool, dry_run: bool
) -> Reassigned:
    """Assign a profile to users, or take theirs away; for the arguments and errors, see `profiles.moves`."""
    before, after = profiles.moves(connection, name, users, new=new)
    change = None
    if after and not dry_run:
        if new:
            profiles.add(connection, after)
        change = profiles.assign(connection, name, before, after)
    return Reassigned(len(after), sum(had is not None for had in before.values()), change)
