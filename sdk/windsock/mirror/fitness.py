"""Check whether a database can serve a mirror: what the connection supports and what it may read."""

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from windsock.errors import DatabaseUnfitError, MissingExtraError, UnreachableError
from windsock.logs import get_logger
from windsock.mirror.queries import QUERIES, deadline, one
from windsock.postgres import shapes
from windsock.postgres.urls import check_url
from windsock.text import one_line

try:
    import psycopg
except ImportError as missing:
    raise MissingExtraError("the mirror", "mirror") from missing

if TYPE_CHECKING:
    from psycopg import Connection

_log = get_logger("windsock.mirror")

_FIRST_NONCE_SECONDS = 5.0  # a server that's slow to wake up isn't a pooler
NONCE_SECONDS = 2.0


def open_connection(url: str) -> "Connection":
    """Open a session that can LISTEN and lock, with TCP keepalives to detect a dead server.

    Raises:
        ConfigurationError: `url` can't be parsed.
        UnreachableError: The database can't be reached now.
    """
    check_url(url)
    try:
        return psycopg.connect(
            url,
            autocommit=True,
            application_name="windsock mirror",
            client_encoding="utf8",
            target_session_attrs="read-write",  # a standby grants the leader's lock, but can't LISTEN
            connect_timeout=10,
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=10_000,
        )
    except psycopg.Error as error:
        raise UnreachableError(
            f"the database cannot be reached: {one_line(error)}; check DATABASE_URL or --database-url"
        ) from error


def refuse_transaction_pooler(url: str, connection: "Connection") -> None:
    """Reject transaction poolers: LISTEN succeeds but nothing arrives, and two clients get the same lock.

    Raises:
        DatabaseUnfitError: The URL points at one.
    """
    connection.execute(QUERIES["listen"])
    connection.execute(QUERIES["listen_to_self"])
    nonce = uuid.uuid4().hex
    one(connection, "hold_nonce", {"nonce": nonce})
    with open_connection(url) as other, deadline(other, _FIRST_NONCE_SECONDS):
        shared = bool(one(other, "hold_nonce", {"nonce": nonce})[0])
        if shared:
            one(other, "drop_nonce", {"nonce": nonce})
        can_tell = not shared and notify_self(other, nonce)
    is_fit = not shared and (not can_tell or hears(connection, nonce, _FIRST_NONCE_SECONDS))
    one(connection, "drop_nonce", {"nonce": nonce})
    if not is_fit:
        connection.execute(QUERIES["unlisten"])  # the session may soon be another client's
        raise DatabaseUnfitError(
            "this connection goes through a transaction pooler (or a proxy that drops notifications): "
            "LISTEN and advisory locks do not work through it. Use the direct connection or the session "
            "pooler: on Supabase that is port 5432 instead of 6543"
        )


def notify_self(connection: "Connection", nonce: str) -> bool:
    """Send a notification with this payload; False if the server's queue has no room for it."""
    try:
        connection.execute(QUERIES["notify_self"], {"nonce": nonce})
    except psycopg.errors.ProgramLimitExceeded:
        return False
    return True


def hears(connection: "Connection", nonce: str, seconds: float) -> bool:
    """Whether a notification with this payload arrives within some seconds."""
    ends_at = time.monotonic() + seconds
    while (left := ends_at - time.monotonic()) > 0:
        for notice in connection.notifies(timeout=left, stop_after=1):
            if notice.payload == nonce:
                return True
    return False


@dataclass(frozen=True, slots=True)
class Capability:
    """A database's capabilities: the type of `profiles.id`, what may be read, and whether triggers notify."""

    id_type: str
    has_log: bool
    has_withdrawals: bool
    is_never_woken: bool
    has_mirrors: bool


def read_capability(connection: "Connection") -> Capability:
    """Determine a database's capabilities.

    Raises:
        DatabaseUnfitError: A table or column that the mirror needs is missing.
    """
    id_type = shapes.id_type(connection)
    has_config_id, has_configurations, has_log, has_withdrawals, has_mirrors = one(
        connection, "read_capability"
    )
    missing_parts = [
        what
        for what, there in (
            ("table public.profiles with a column id", id_type),
            ("column config_id of public.profiles", has_config_id),
            ("table public.app_configurations", has_configurations),
        )
        if not there
    ]
    if missing_parts:
        raise DatabaseUnfitError(
            f"this database has no {', no '.join(missing_parts)}: run `windsock migrate`"
        )
    if wrong := shapes.differences(connection, shapes.CONFIGURATIONS):
        raise DatabaseUnfitError(
            f"{shapes.CONFIGURATIONS.table} is not the table that windsock makes ({wrong}): rename it, then "
            "run `windsock migrate`"
        )
    is_never_woken = bool(one(connection, "never_woken")[0])
    return Capability(str(id_type), bool(has_log), bool(has_withdrawals), is_never_woken, bool(has_mirrors))


def warn_without_log(capability: Capability) -> None:
    """Warn that finding changes takes a full read, and say how to fix that."""
    if not capability.has_log:
        _log.warning(
            "the change log cannot be read (no triggers, or no rights on schema windsock): everything is "
            "read again at each poll; run `windsock migrate`, or grant the role windsock_mirror, for "
            "changes in milliseconds"
        )
