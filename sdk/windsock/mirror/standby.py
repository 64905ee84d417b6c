"""Checks by a standby mirror: its group's leader is working and writes to the same folder."""

from pathlib import Path

from windsock.mirror import health
from windsock.mirror.postgres import Leader

_PATIENCE_SECONDS = 10.0
"""How long to wait for the first report of a leader that starts at the same time."""

_MISSED_SECONDS = 15.0
"""After how long without a report, one is due every five seconds, a leader may be frozen."""


def trouble(leader: Leader, group: str, path: Path, folder: str, waited: float) -> str | None:
    """Describe the leader's problem, if any.

    Args:
        leader: Its last report.
        group: Their group.
        path: The standby mirror's folder.
        folder: That folder's identifier; empty if it doesn't exist or nothing was published to it.
        waited: Seconds since standby began.

    Returns:
        A message; empty if all is well, None if it's too early to tell.
    """
    stale = health.STALE_SECONDS
    if leader.reported is None or leader.reported > stale:
        return _silence(leader, group, stale, waited)
    if leader.trouble:
        return f"the mirror that leads the group {group!r} reports: {leader.trouble}"
    if leader.right is None or (leader.reported > _MISSED_SECONDS and leader.right <= stale):
        return None
    if leader.right > stale:
        return f"the mirror that leads the group {group!r} hasn't published for more than {stale:.0f} s"
    if leader.folder == folder:
        return ""
    return (
        f"the mirror that leads the group {group!r} writes another folder than {path.resolve()}: mirrors of "
        "one group share a folder; pass its --folder, or a --group for this one"
    )


def _silence(leader: Leader, group: str, stale: float, waited: float) -> str | None:
    if leader.reported is None and waited < _PATIENCE_SECONDS:
        return None
    since = "yet" if leader.reported is None else f"for more than {stale:.0f} s"
    return (
        f"{leader.holder or 'another session'} holds the lock of the group {group!r}, and no mirror of that "
        f"group has reported {since}: if it is a mirror, it is frozen; end that session"
    )
