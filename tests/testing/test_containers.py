"""Which images the container fixtures take, without an engine; tests/containers runs them."""

import os
import subprocess
import sys

import pytest
from tests.docs.blocks import REPOSITORY

from windsock.errors import ConfigurationError


@pytest.fixture(scope="module")
def containers():
    from windsock.testing import containers  # Docker's clients take a while to load

    return containers


@pytest.mark.parametrize(
    ("variable", "expected"), [("", "postgres:17.6"), ("mirror.test/postgres:1", "mirror.test/postgres:1")]
)
def test_the_image_is_that_of_docker_compose(containers, monkeypatch, variable, expected):
    monkeypatch.setenv("WINDSOCK_POSTGRES_IMAGE", variable)
    assert containers.image("postgres", REPOSITORY) == expected


@pytest.mark.parametrize(
    "text",
    ["services: {flagd: {build: .}}", "services: {}", "[]", ""],
    ids=["no image", "no service", "a list", "empty"],
)
def test_a_compose_file_without_the_image_is_named(containers, tmp_path, text):
    (tmp_path / "compose.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"compose\.yaml: no service 'flagd' with an image"):
        containers.image("flagd", tmp_path)


def test_no_compose_file_is_an_error(containers, tmp_path):
    with pytest.raises(ConfigurationError, match=r"no docker-compose\.yml here"):
        containers.image("flagd", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("service", ["postgres", "flagd"])
def test_without_an_engine_it_is_one_sentence(tmp_path, service):
    (tmp_path / "a.flagd.json").write_text("{}")
    arguments = "here, flags" if service == "flagd" else "here"
    program = f"""
from pathlib import Path
from windsock.testing import containers
here, flags = Path({str(REPOSITORY)!r}), Path({str(tmp_path)!r})
with containers.{service}({arguments}):
    pass
"""  # a process of its own: Docker's client leaves a socket that did not connect to the garbage collector
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"DOCKER_HOST": f"unix://{tmp_path}/nowhere.sock"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    *_, told = done.stderr.splitlines()
    assert told.startswith(
        f"windsock.errors.UnreachableError: {'ghcr.io' if service == 'flagd' else 'postgres'}"
    )
    assert "can't run in a container: " in told
    assert told.endswith("is a Docker engine running, is DOCKER_HOST right, and can it pull the image?")
    assert "During handling" not in done.stderr


def test_flagd_is_not_started_without_a_file(containers, tmp_path):
    with (
        pytest.raises(ConfigurationError, match=r"no \*\.flagd\.json here"),
        containers.flagd(REPOSITORY, tmp_path),
    ):
        pass
