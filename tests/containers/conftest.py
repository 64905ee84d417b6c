"""PostgreSQL and flagd as containers, with the images that docker-compose.yml names.

Where no Docker engine answers or an image cannot be had, the test is skipped and says why.
"""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
import yaml
from docker.errors import APIError, DockerException, ImageNotFound
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import ConnectionMode, testcontainers_config
from testcontainers.core.container import DockerContainer

from windsock.testing.containers import image

REPOSITORY = Path(__file__).parents[2]
IN_CONTAINER = "/flags"
STARTS_WITHIN = 30.0  # seconds; flagd took 1.5 where it was measured


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    """docker-compose.yml as data, its variables not yet replaced."""
    return yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())


@pytest.fixture(scope="session")
def image_of() -> Callable[[str], str]:
    """The image that docker-compose.yml would run for a service: `${VARIABLE:-default}`, variable first."""
    return partial(image, project=REPOSITORY)


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The Docker engine that the environment points to."""
    try:
        _knock()
        client = docker.from_env(timeout=180)
        client.ping()
    except (OSError, DockerException) as error:
        pytest.skip(f'no Docker engine answers ({error}); eval "$(tests/containers/engine.sh up)" starts one')
    with client.api:
        _suit_testcontainers(client)
        yield client


def _knock() -> None:
    """Raise OSError where nobody listens; the docker client would then leave a socket open, which is a warning."""
    kind, _, path = (
        docker.utils.kwargs_from_env().get("base_url", "unix:///var/run/docker.sock").partition("://")
    )
    if kind.endswith("unix"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)


def _suit_testcontainers(client: docker.DockerClient) -> None:
    # An engine on this very host, host being a container itself, publishes on our own loopback; testcontainers
    # would try the address of its bridge, and is refused.
    if client.info()["Name"] == socket.gethostname():
        testcontainers_config.connection_mode_override = ConnectionMode.docker_host
        testcontainers_config.tc_host_override = "127.0.0.1"
    # Every container here is removed by a `with`; the reaper is a second net, where its image can be had.
    if not testcontainers_config.ryuk_disabled and missing_image(client, testcontainers_config.ryuk_image):
        testcontainers_config.ryuk_disabled = True


def missing_image(client: docker.DockerClient, image: str) -> str | None:
    """Pull an image unless it is there; give the reason if that fails."""
    try:
        client.images.get(image)
    except ImageNotFound:
        try:
            client.images.pull(image)
        except APIError as error:
            return f"the image {image} is not here and cannot be pulled: {error.explanation}"
    return None


@pytest.fixture(scope="session")
def require_image(engine: docker.DockerClient, image_of: Callable[[str], str]) -> Callable[[str], str]:
    """Name the image of a service of docker-compose.yml, once it is here; the test is skipped if it cannot be had."""

    def require(service: str) -> str:
        if reason := missing_image(engine, image_of(service)):
            pytest.skip(reason)
        return image_of(service)

    return require


def _publish(container: DockerContainer, *ports: int) -> None:
    """Publish ports on loopback only, each on a free port of the host."""
    for port in ports:
        container.ports[f"{port}/tcp"] = ("127.0.0.1", None)


@pytest.fixture(scope="session")
def examples_image(engine: docker.DockerClient, image_of: Callable[[str], str]) -> str:
    """The project's image with what the examples need: built here, or the one that is there."""
    image = image_of("ai-teacher")
    built = subprocess.run(
        ["docker", "compose", "build", "--quiet", "ai-teacher"],
        cwd=REPOSITORY,
        env=os.environ | {"POSTGRES_PASSWORD": "secret"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if built.returncode and not any(image in each.tags for each in engine.images.list()):
        pytest.skip(f"the image {image} is not here and cannot be built: {built.stderr.strip()[-300:]}")
    return image


@pytest.fixture(scope="session")
def postgres_container(require_image: Callable[[str], str]) -> Iterator[PostgresContainer]:
    """A PostgreSQL server in a container, published on loopback."""
    container = PostgresContainer(
        require_image("postgres"),
        username="windsock",
        password="windsock",
        dbname="windsock",
        driver=None,
    )
    container.ports.clear()
    _publish(container, 5432)
    with container:
        yield container


@pytest.fixture(scope="session")
def postgres_url(postgres_container: PostgresContainer) -> str:
    """An empty database `windsock` on that server."""
    return postgres_container.get_connection_url()


@dataclass(frozen=True, slots=True)
class Flagd:
    """A flagd server in a container, and where its services are published."""

    container: DockerContainer
    host: str
    rpc_port: int
    sync_port: int
    ofrep_url: str

    def evaluate(self, flag: str, user: str) -> httpx.Response:
        """Ask flagd itself, over OFREP."""
        return httpx.post(
            f"{self.ofrep_url}/ofrep/v1/evaluate/flags/{flag}",
            json={"context": {"targetingKey": user}},
            timeout=2,
        )


StartFlagd = Callable[[Path, list[str], str], AbstractContextManager[Flagd]]


@pytest.fixture(scope="session")
def start_flagd(require_image: Callable[[str], str]) -> StartFlagd:
    """Run flagd over files of a folder, weakest first, until a sentinel flag evaluates."""
    flagd_image = require_image("flagd")

    @contextmanager
    def start(folder: Path, files: list[str], sentinel: str) -> Iterator[Flagd]:
        sources = [f'{{"uri":"{IN_CONTAINER}/{name}","provider":"fsnotify"}}' for name in files]
        container = (
            DockerContainer(flagd_image)
            .with_command(["start", "--sources", f"[{','.join(sources)}]"])
            # The folder: a rename does not cross the mount of a single file.
            .with_volume_mapping(str(folder), IN_CONTAINER, "ro")
            # pytest's temporary folders are readable by nobody else.
            .with_kwargs(user=f"{os.getuid()}:{os.getgid()}")
        )
        _publish(container, 8013, 8015, 8016)
        with container:
            host = container.get_container_host_ip()
            flagd = Flagd(
                container,
                host,
                rpc_port=container.get_exposed_port(8013),
                sync_port=container.get_exposed_port(8015),
                ofrep_url=f"http://{host}:{container.get_exposed_port(8016)}",
            )
            _await_sentinel(flagd, sentinel)
            yield flagd

    return start


def _await_sentinel(flagd: Flagd, sentinel: str) -> None:
    # /readyz answers 200 before the flags are loaded, so readiness is a flag that evaluates.
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            response = flagd.evaluate(sentinel, "nobody")
            if response.is_success:
                return
            answer = response.text
        except httpx.TransportError as error:
            answer = repr(error)
        if time.monotonic() > deadline:
            stdout, stderr = flagd.container.get_logs()
            pytest.fail(f"flagd does not evaluate {sentinel!r}: {answer}\n{stdout.decode()}{stderr.decode()}")
        time.sleep(0.05)
