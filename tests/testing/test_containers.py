"""Which images the container fixtures take, without an engine; tests/containers runs them."""

import pytest
from tests.docs.blocks import REPOSITORY

from windsock.errors import ConfigurationError, UnreachableError


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


@pytest.mark.parametrize("service", ["postgres", "flagd"])
def test_without_an_engine_it_is_one_sentence(containers, tmp_path, monkeypatch, service):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")
    (tmp_path / "a.flagd.json").write_text("{}")
    arguments = (REPOSITORY, tmp_path) if service == "flagd" else (REPOSITORY,)
    with (
        pytest.raises(UnreachableError, match=r"can't run in a container: .*; is a Docker engine") as told,
        getattr(containers, service)(*arguments),
    ):
        pass
    assert containers.image(service, REPOSITORY) in str(told.value)
    assert "\n" not in str(told.value)


def test_flagd_is_not_started_without_a_file(containers, tmp_path):
    with (
        pytest.raises(ConfigurationError, match=r"no \*\.flagd\.json here"),
        containers.flagd(REPOSITORY, tmp_path),
    ):
        pass
