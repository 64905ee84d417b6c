"""docker-compose.yml keeps its promises about ports, secrets and sources; read as data, no engine needed."""

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from examples.ad_learning.settings import Learning
from pydantic import AliasChoices, BaseModel

REPOSITORY = Path(__file__).parents[2]
MIRROR_FILES = "/var/lib/windsock/mirror/"
LOGINS = {
    "mirror": "windsock_mirror",
    "console": "windsock_console",
    "hello": "windsock_writer",
    "ai-teacher": "ai_teacher",
    "aura": "windsock_writer",
    "ad-learning": "ad_learning_api",
    "ad-learning-worker": "ad_learning_learner",
    "ad-learning-indexer": "ad_learning_indexer",
    "ad-learning-executor": "ad_learning_executor",
    "ad-learning-celery": "ad_learning_celery",
}


def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return compose["services"]


def flagd_sources(compose: dict[str, Any]) -> list[dict[str, str]]:
    start, option, value = services(compose)["flagd"]["command"]
    assert (start, option) == ("start", "--sources")
    return json.loads(value)


def test_no_key_appears_twice():
    """PyYAML takes the last of two; Docker Compose refuses the file."""

    def each_once(node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value if key.value != "<<"]
            assert sorted(set(keys)) == sorted(keys), node.start_mark
            for _, value in node.value:
                each_once(value)

    each_once(yaml.compose((REPOSITORY / "docker-compose.yml").read_text()))


def test_nothing_is_published_beyond_loopback(compose):
    published = [port for service in services(compose).values() for port in service.get("ports", [])]
    assert len(published) >= 6
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_no_service_shares_a_namespace_with_the_host_or_is_privileged(compose):
    refused = {"privileged", "network_mode", "pid", "ipc", "cap_add"}
    assert [name for name, service in services(compose).items() if refused & service.keys()] == []


def test_flagd_is_pinned_to_a_release(compose):
    assert re.fullmatch(
        r"\$\{WINDSOCK_FLAGD_IMAGE:-ghcr\.io/open-feature/flagd:v\d+\.\d+\.\d+\}",
        services(compose)["flagd"]["image"],
    )


def test_every_password_comes_from_the_environment_or_is_the_one_for_loopback(compose):
    passwords = {
        (service, name): value
        for service, written in services(compose).items()
        for name, value in written.get("environment", {}).items()
        if "PASSWORD" in name
    }
    of_the_owner = {
        ("postgres", "POSTGRES_PASSWORD"),
        *((service, "PGPASSWORD") for service in ("migrate", "ad-learning-migrate", "roles")),
    }
    assert len(passwords) == len(of_the_owner) + len(["roles", *LOGINS])
    for place, value in passwords.items():
        needed = "${POSTGRES_PASSWORD:-loopback-only}"
        assert value == (needed if place in of_the_owner else f"${{SERVICES_PASSWORD:-{needed}}}"), place


def test_no_variable_is_needed(compose):
    assert re.findall(r"\$\{\w+:?\?", (REPOSITORY / "docker-compose.yml").read_text()) == []


def test_the_password_of_the_file_is_warned_of(compose):
    script = services(compose)["roles"]["entrypoint"][2]
    warn = script.partition("exec psql")[0].replace("$$", "$")
    for password, warned in (("loopback-only", True), ("mine", False)):
        done = subprocess.run(
            ["sh", "-c", warn], env={"PGPASSWORD": password}, capture_output=True, text=True, check=False
        )
        assert ("Set POSTGRES_PASSWORD" in done.stderr) == warned


def test_every_service_has_a_role_that_may_do_little(compose):
    urls = {
        service: written["environment"]["DATABASE_URL"]
        for service, written in services(compose).items()
        if "DATABASE_URL" in written.get("environment", {})
    }
    owner = dict.fromkeys(("migrate", "ad-learning-migrate", "roles"), "windsock")
    assert urls == {
        service: f"postgresql://{role}@postgres:5432/windsock" for service, role in (LOGINS | owner).items()
    }
    celery = services(compose)["ad-learning-celery"]["environment"]
    assert {celery[name].partition("://")[2].partition("@")[0] for name in celery if "CELERY" in name} == {
        "ad_learning_celery"
    }


def test_flagd_reads_every_file_of_git_and_then_the_mirrors(compose):
    uris = [source["uri"] for source in flagd_sources(compose)]
    of_git = [f"/etc/flagd/{path.name}" for path in sorted((REPOSITORY / "flagd").glob("*.flagd.json"))]
    assert [uri for uri in uris if not uri.startswith(MIRROR_FILES)] == of_git
    assert [uri for uri in uris if uri.startswith(MIRROR_FILES)] == uris[len(of_git) :] != []


def test_every_source_of_flagd_is_watched_by_fsnotify(compose):
    assert {source["provider"] for source in flagd_sources(compose)} == {"fsnotify"}


def test_folders_are_mounted_into_flagd_and_read_only(compose):
    mounts = [mount.split(":") for mount in services(compose)["flagd"]["volumes"]]
    targets = {target: mode for _, target, mode in mounts}
    assert set(targets.values()) == {"ro"}
    assert all(str(Path(source["uri"]).parent) in targets for source in flagd_sources(compose))


def test_flagd_waits_until_the_mirror_is_ready_which_it_is_once_it_has_written_its_file(compose):
    assert services(compose)["flagd"]["depends_on"]["mirror"]["condition"] == "service_healthy"
    mirror = services(compose)["mirror"]
    [port] = [each.partition("=")[2] for each in mirror["command"] if each.startswith("--health-port=")]
    assert f"http://127.0.0.1:{port}/readyz" in mirror["healthcheck"]["test"][-1]


@pytest.mark.parametrize(
    "service",
    [
        *("migrate", "roles", "mirror", "hello", "ai-teacher", "aura", "flagd"),
        *(f"ad-learning{part}" for part in ("", "-migrate", "-worker", "-indexer", "-executor", "-celery")),
    ],
)
def test_what_needs_no_privilege_has_none(compose, service):
    written = services(compose)[service]
    assert written["read_only"] is True
    assert written["cap_drop"] == ["ALL"]
    assert written["security_opt"] == ["no-new-privileges:true"]


def test_postgres_needs_no_capability_either(compose):
    written = services(compose)["postgres"]
    assert written["user"] == "postgres"
    assert written["cap_drop"] == ["ALL"]
    assert written["security_opt"] == ["no-new-privileges:true"]


def test_no_check_is_switched_off_which_would_fail_up_wait(compose):
    """`docker compose up --wait` takes a container whose check is disabled for one that can't become healthy."""
    checks = [written.get("healthcheck", {}) for written in services(compose).values()]
    assert sum(bool(check) for check in checks) >= 6
    assert [check for check in checks if check.get("disable")] == []


def test_every_service_has_limits(compose):
    for name, written in services(compose).items():
        assert written["mem_limit"] in {"512m", "1g"}, name
        assert (written["cpus"], written["pids_limit"]) == (1.0, 256), name


def test_flags_are_mounted_read_only_but_where_the_api_writes_and_was_asked_to(compose):
    mounts = {
        name: mount.rpartition("/etc/flagd")[2]
        for name, written in services(compose).items()
        for mount in written.get("volumes", [])
        if mount.startswith("./flagd:")
    }
    assert mounts.pop("ad-learning") == ":${AD_LEARNING_FLAGS:-ro}"
    assert len(mounts) >= 5
    assert set(mounts.values()) == {":ro"}


def test_variables_of_the_settings_are_passed_through_and_may_be_unset(compose):
    environment = services(compose)["hello"]["environment"]
    for name in ("AURA_L1_MODEL", "AURA_L2_MODEL", "AURA_L3_MODEL", "OPENAI_CHAT_MODEL", "ENVIRONMENT"):
        assert environment[name] == f"${{{name}:-}}"


def test_every_variable_of_the_examples_is_passed_through(compose):
    learning = [
        *_aliases(Learning),
        *(f"AD_PLATFORM_{name.upper()}" for name in ("base_url", "access_token")),
    ]
    assert "WINNER_CTR_THRESHOLD" in learning
    for service, variables in {
        "ai-teacher": ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_CHAT_MODEL", "TEACHER_RETRIEVAL_TOP_K"),
        "aura": (
            *(
                f"AURA_{name}"
                for name in ("L1_MODEL", "L2_MODEL", "L3_MODEL", "EMBEDDING_MODEL", "EMBEDDING_DIMENSION")
            ),
            *("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "OLLAMA_BASE_URL"),
        ),
        "ad-learning": ("CONFIGURATION_API_WRITABLE", *learning),
        **{f"ad-learning-{part}": tuple(learning) for part in ("worker", "indexer", "executor", "celery")},
    }.items():
        environment = services(compose)[service]["environment"]
        assert all(environment[name].startswith(f"${{{name}:-") for name in variables)


def _aliases(settings: type[BaseModel]) -> Iterator[str]:
    """The variables that the document names; the others are `LEARNING_<FIELD>`."""
    for field in settings.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _aliases(field.annotation)
        elif isinstance(field.validation_alias, AliasChoices):
            yield str(field.validation_alias.choices[0])
        elif field.validation_alias:
            yield str(field.validation_alias)


def test_health_of_aura_is_published_on_the_port_of_its_document(compose):
    assert services(compose)["aura"]["ports"] == ["127.0.0.1:${AURA_PORT:-8080}:8080"]


def test_what_the_dockerfile_copies_is_in_the_build_context():
    copied = [
        source
        for line in (REPOSITORY / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from=" not in line
        for source in line.split()[1:-1]
    ]
    kept = [
        line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")
    ]
    assert len(copied) >= 6
    assert set(copied) <= set(kept)
    assert [source for source in copied if not (REPOSITORY / source).exists()] == []


def test_images_that_others_publish_have_a_full_tag():
    names = re.findall(
        r"\$\{WINDSOCK_(?:POSTGRES|FLAGD)_IMAGE:-([^}]+)\}", (REPOSITORY / "docker-compose.yml").read_text()
    )
    names += re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    assert len(names) == 3
    assert [name for name in names if not re.fullmatch(r"[^:]+:v?\d+\.\d+(\.\d+)?(-slim)?", name)] == []


def test_what_is_built_here_is_built_on_the_image_whose_digest_a_release_names(compose):
    [default] = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    built = [written["build"] for written in services(compose).values() if "build" in written]
    assert len(built) >= 5
    assert {build["args"]["PYTHON_IMAGE"] for build in built} == {f"${{PYTHON_IMAGE:-{default}}}"}


def test_a_release_prints_dockers_digests_and_none_without_it(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "deploy"))
    image_digests = importlib.import_module("image_digests")
    assert set(image_digests.images()) == {"WINDSOCK_POSTGRES_IMAGE", "WINDSOCK_FLAGD_IMAGE", "PYTHON_IMAGE"}
    done = subprocess.run(
        [sys.executable, REPOSITORY / "deploy" / "image_digests.py"],
        capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"DOCKER_HOST": "unix:///nonexistent/docker.sock"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "docker" in done.stderr
    assert len(done.stderr.splitlines()) == 1
