"""Profiles as arms: assigns a profile to users without one, by a hash of their id."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from windsock.errors import ConfigurationError
from windsock.experiments.documents import Experiment
from windsock.experiments.running.audience import audience
from windsock.postgres.queries import load_queries
from windsock.usage.data import key_fingerprint, stored_user_id

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

QUERIES: Final = load_queries("windsock.experiments.running", "assigning.sql")


@dataclass(frozen=True, slots=True)
class Options:
    """Options for assigning users.

    Attributes:
        size: Number of users examined per transaction.
        user_id_key: The key that hashes user ids in our tables, if any.
        dry_run: Whether to only count.
    """

    size: int = 5_000
    user_id_key: bytes | None = None
    dry_run: bool = False


def arm_for(experiment: Experiment, unit: str) -> str | None:
    """The arm of a unit, the same in every run of this version; None outside the traffic.

    More traffic keeps everybody who is in, because the arm and participation are drawn separately.
    """
    salt = f"{experiment.name}.{experiment.version}.{unit}"
    if draw(f"traffic.{salt}") >= experiment.traffic:
        return None
    left = draw(salt)
    for arm, share in experiment.shares.items():
        left -= share
        if left < 0:
            return arm
    return next(reversed(experiment.shares))


def assign(
    connection: "Connection",
    experiment: Experiment,
    options: Options,
    on_batch: Callable[[Mapping[str, int]], None],
) -> Mapping[str, int]:
    """Assign their arm's profile to users who have none. A later run continues and adds new users.

    Args:
        connection: A connection of the role that assigns; in autocommit, since each batch is a transaction.
        experiment: The document; its arms are names of profiles.
        options: How to assign.
        on_batch: Called after each batch with the users by arm so far.

    Returns:
        Users by arm that this run assigned, or would have assigned.

    Raises:
        ConfigurationError: The arms aren't profiles, one is missing or inactive, or the audience doesn't fit.
    """
    ids, fields = _profiles(connection, experiment)
    within = audience(experiment, dict(connection.execute(QUERIES["columns"]).fetchall()))
    page_query = QUERIES["page"].replace(b"{attributes}", within.selected(connection))
    count: Counter[str] = Counter(dict.fromkeys(experiment.arms, 0))
    after: str | None = None
    while True:
        with connection.transaction():
            page = connection.execute(page_query, {"after": after, "size": options.size}).fetchall()
            users = [user for user, attributes in page if within.includes(user, attributes)]
            given = [
                {
                    "unit": stored_user_id(user, options.user_id_key),
                    "arm": arm,
                    "allocation": experiment.shares[arm],
                    "profile_id": user,
                    "config_id": ids[arm],
                }
                for user in users
                if (arm := arm_for(experiment, user)) is not None
            ]
            if options.dry_run:
                count.update(str(each["arm"]) for each in given)
            elif given:
                count.update(_enrol(connection, experiment, options, fields, given))
        if not page:
            return count
        after = page[-1][0]
        on_batch(count)


def undo(
    connection: "Connection", experiment: Experiment, options: Options, on_batch: Callable[[int], None]
) -> int:
    """Take this version's profiles from users who still have them; returns the number of users.

    With `Options.dry_run`, only count them. `on_batch` is called after each batch with the users so far.
    """
    freed = 0
    parameters = {"experiment": experiment.name, "version": experiment.version, "size": options.size}
    if options.dry_run:
        return sum(number for (number,) in connection.execute(QUERIES["still_assigned"], parameters))
    while True:
        row = connection.execute(QUERIES["undo"], parameters).fetchone()
        assert row is not None  # noqa: S101 - a row of two counts
        if not row[1]:
            return freed
        freed += int(row[0])
        on_batch(freed)


def _enrol(
    connection: "Connection",
    experiment: Experiment,
    options: Options,
    fields: Sequence[str],
    given: Sequence[Mapping[str, object]],
) -> dict[str, int]:
    key = options.user_id_key
    parameters = {
        "experiment": experiment.name,
        "version": experiment.version,
        "flag": experiment.flag,
        "fields": list(fields),
        "key_fingerprint": None if key is None else key_fingerprint(key),
        "given": json.dumps(given),
    }
    return dict(connection.execute(QUERIES["enrol"], parameters).fetchall())


def _profiles(connection: "Connection", experiment: Experiment) -> tuple[dict[str, str], list[str]]:
    """The configuration of each arm, and the fields that at least one of them sets."""
    names = {arm: value for arm, value in experiment.arms.items() if isinstance(value, str)}
    if len(names) < len(experiment.arms):
        raise ConfigurationError(
            f"{experiment.name}: its arms aren't profiles; run `windsock experiment start {experiment.name}`"
        )
    rows = connection.execute(
        QUERIES["profiles"], {"names": list(names.values()), "flag": experiment.flag}
    ).fetchall()
    ids = {name: str(config_id) for name, config_id, _ in rows}
    if missing := [name for name in names.values() if name not in ids]:
        raise ConfigurationError(
            f"{experiment.name}: no active profile {', '.join(missing)}; see `windsock profile list`"
        )
    return {arm: ids[name] for arm, name in names.items()}, sorted({f for *_, sets in rows for f in sets})


def draw(text: str) -> float:
    """A number from 0 to 1, 1 excluded, that depends only on the text: 48 bits of its SHA-256."""
    return int.from_bytes(sha256(text.encode()).digest()[:6], "big") / 2**48
