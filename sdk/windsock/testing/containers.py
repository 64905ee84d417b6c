"""PostgreSQL and flagd in containers, with the images from the project's Compose file."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from windsock.errors import ConfigurationError, MissingExtraError, UnreachableError
from windsock.plain_files import read_plain
from windsock.text import one_line

try:
    import yaml
    from docker.errors import DockerException
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.core.config import ConnectionMode
    from testcontainers.core.container import DockerContainer
except ImportError as missing:
    raise MissingExtraError("PostgreSQL and flagd in containers", "containers") from missing

COMPOSE_FILES: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""In Compose's order of precedence."""

_INSIDE: Final = "/flags"
_SYNC_PORT: Final = 8015
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1"})
_DEFAULT: Final = re.compile(r"\$\{(\w+):-(.+)\}")


@dataclass(frozen=True, slots=True)
class ContainerPostgres:
    """A PostgreSQL server in a container.

    Attributes:
        url: The connection string of its database ``postgres``.
    """

    url: str

    def database_url(self, name: str) -> str:
        """The connection string for another database."""
        return f"{self.url.rpartition('/')[0]}/{name}"


def image(service: str, project: Path) -> str:
    """The image of a service in the project's Compose file; ``${VARIABLE:-default}`` is resolved.

    Raises:
        ConfigurationError: The Compose file is missing or has no image for the service.
    """
    found = next((project / name for name in COMPOSE_FILES if (project / name).is_file()), None)
    if found is None:
        raise ConfigurationError(f"{project}: no docker-compose.yml here that names the image of {service!r}")
    document = yaml.safe_load(read_plain(found))
    services = document.get("services") if isinstance(document, dict) else None
    named = services.get(service) if isinstance(services, dict) else None
    written = named.get("image") if isinstance(named, dict) else None
    if not isinstance(written, str):
        raise ConfigurationError(
            f"{found}: no service {service!r} with an image; the tests run what it names"
        )
    variable = _DEFAULT.fullmatch(written)
    return (os.environ.get(variable[1]) or variable[2]) if variable else written


@contextmanager
def postgres(project: Path) -> Iterator[ContainerPostgres]:
    """Run the Compose file's ``postgres`` service for the duration of the block.

    Raises:
        ConfigurationError: The Compose file is missing or has no image for the service.
        UnreachableError: There is no Docker engine, or it can't run the image.
    """
    named = image("postgres", project)
    with _one_sentence(named):
        container = PostgresContainer(named, dbname="postgres", driver=None)
        container.ports.clear()
        _publish(container, 5432)
        container.start()
    try:
        yield ContainerPostgres(container.get_connection_url())
    finally:
        container.stop()


@contextmanager
def flagd(project: Path, folder: Path) -> Iterator[dict[str, str]]:
    """Run the Compose file's ``flagd`` service on a folder's flag files; later names win.

    Yields:
        The environment variables that make `windsock.start` use it; `start` waits for flagd's flags.

    Raises:
        ConfigurationError: The folder contains no flag file, without which flagd doesn't start; or the
            Compose file is missing or has no image for the service.
        UnreachableError: There is no Docker engine, or it can't run the image.
    """
    names = sorted(path.name for path in folder.glob("*.flagd.json"))
    if not names:
        raise ConfigurationError(f"{folder}: no *.flagd.json here; flagd doesn't start without a file")
    sources = [{"uri": f"{_INSIDE}/{name}", "provider": "fsnotify"} for name in names]
    named = image("flagd", project)
    with _one_sentence(named):
        container = (
            DockerContainer(named)
            .with_command(["start", "--sources", json.dumps(sources)])
            .with_volume_mapping(str(folder), _INSIDE, "ro")  # a rename doesn't reach a mounted file
            .with_kwargs(user=f"{os.getuid()}:{os.getgid()}")  # only this user can read pytest's folders
        )
        _publish(container, _SYNC_PORT)
        container.start()
    try:
        yield {
            "FLAGD_RESOLVER": "in-process",
            "FLAGD_HOST": container.get_container_host_ip(),
            "FLAGD_PORT": str(container.get_exposed_port(_SYNC_PORT)),
        }
    finally:
        container.stop()


@contextmanager
def _one_sentence(named: str) -> Iterator[None]:
    """Make what Docker's client raises one sentence, without the hundred lines of its tracebacks."""
    try:
        yield
    except DockerException as error:
        raise UnreachableError(
            f"{named} can't run in a container: {one_line(error)}; is a Docker engine running, is DOCKER_HOST"
            " right, and can it pull the image?"
        ) from None


def _publish(container: DockerContainer, port: int) -> None:
    """Publish a port on loopback or, if the engine runs on another machine, on that machine's addresses."""
    client = container.get_docker_client()
    here = client.get_connection_mode() is ConnectionMode.docker_host and client.host() in _LOOPBACK
    container.ports[f"{port}/tcp"] = ("127.0.0.1", None) if here else None  # type: ignore[assignment]  # docker-py's
