"""The manifests in deploy/kubernetes on a real engine: each container of each pod runs as its manifest says.

The images are the project's own, PostgreSQL is real and migrated, and the test asks the probes as kubelet does, at the pod's
address. What only a cluster adds isn't shown here: the API server's admission (tests/gitops/test_delivery.py validates the
manifests strictly), the scheduler and the disruption budget, Services and their DNS, a volume that nodes share over a
network, kubelet's own restarts and their back-off (a test kills a container and starts it again), and eviction.
"""

import json
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import docker
import psycopg
import pytest
import yaml
from psycopg import sql
from testcontainers.community.postgres import PostgresContainer
from tests.config_map import ConfigMap
from tests.containers.conftest import REPOSITORY
from tests.containers.pods import Cluster, Pod, address, mount, pod
from tests.waiting import eventually

pytestmark = [pytest.mark.containers, pytest.mark.xdist_group("containers")]

MANIFESTS = REPOSITORY / "deploy" / "kubernetes"
PASSWORD = "it's $another"
OWNERS_URL, MIRRORS_URL = ("windsock-owner", "url"), ("windsock-mirror", "url")
CLAIM = "windsock-profiles"
DOCUMENT = "profiles.flagd.json"
LEADS, STANDS_BY = "the documents are right\n", "standing by\n"
# The manifest's `teacher:1` is anybody's service. Here it is examples/hello.
TEACHER = """
FROM {image}
COPY app.py /srv/
ENTRYPOINT ["uvicorn", "--app-dir", "/srv", "--host", "0.0.0.0", "--port", "8080", "app:app"]
"""


def spec_of(kind: str, name: str) -> dict[str, Any]:
    found = yaml.safe_load_all((MANIFESTS / name).read_text())
    [spec] = [each["spec"] for each in found if each["kind"] == kind]
    return spec


MIGRATE = spec_of("Job", "migrate.yaml")
MIRROR = spec_of("Deployment", "mirror.yaml")
SERVICE = spec_of("Deployment", "service-with-flagd.yaml")
[THE_MIRROR] = MIRROR["template"]["spec"]["containers"]
[THE_TEACHER] = SERVICE["template"]["spec"]["containers"]
[THE_FLAGD] = SERVICE["template"]["spec"]["initContainers"]
HEALTH = THE_MIRROR["ports"][0]["containerPort"]


@dataclass(frozen=True, slots=True)
class World:
    """A cluster, and the database that its mirrors read."""

    cluster: Cluster
    database: psycopg.Connection

    def user(self, configuration: str | None = "experimental_v1") -> str:
        """A new user with a configuration."""
        user = str(uuid4())
        self.database.execute("insert into profiles (id) values (%s)", (user,))
        self.assign(user, configuration)
        return user

    def assign(self, user: str, configuration: str | None) -> None:
        """Give a user another configuration, or none."""
        self.database.execute(
            "update profiles set config_id = (select id from app_configurations where name = %s) where id = %s",
            (configuration, user),
        )


@pytest.fixture(scope="module")
def world(
    engine: docker.DockerClient, examples_image: str, postgres_container: PostgresContainer
) -> Iterator[World]:
    """A database migrated by the Job, a login for the mirror, and the claim's volume as a new file system is."""
    if engine.info()["Name"] != socket.gethostname():
        pytest.skip("the engine runs on another machine: the addresses of its pods can't be asked from here")
    server = address(engine.containers.get(postgres_container.get_container_id()))
    name = f"kubernetes_{uuid4().hex[:8]}"
    volume = engine.volumes.create()
    cluster = Cluster(
        engine,
        sandbox=examples_image,
        images={THE_MIRROR["image"]: examples_image},
        secrets={
            OWNERS_URL: f"postgresql://windsock:windsock@{server}/{name}",
            MIRRORS_URL: f"postgresql://windsock_mirror:{quote(PASSWORD)}@{server}/{name}",
        },
        claims={CLAIM: volume.name},
    )
    with ExitStack() as until_the_end:
        until_the_end.callback(volume.remove, force=True)
        engine.containers.run(
            examples_image, ["-m", "700", "/volume/lost+found"], entrypoint="mkdir", user="0:0", remove=True,
            mounts=[mount("/volume", volume.name)],
        )  # fmt: skip
        owner = postgres_container.get_connection_url()
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(f"create database {name}")
        with pod(cluster, MIGRATE["template"]) as job:
            ended = job.containers["migrate"].wait(timeout=120)
            assert ended["StatusCode"] == 0, job.logs()
        database = until_the_end.enter_context(psycopg.connect(owner, dbname=name, autocommit=True))
        database.execute(sql.SQL("alter role windsock_mirror login password {}").format(PASSWORD))
        yield World(cluster, database)


@pytest.fixture(scope="module")
def mirrors(world: World) -> Iterator[list[Pod]]:
    """The pods of the mirror's Deployment."""
    with ExitStack() as until_the_end:
        yield [
            until_the_end.enter_context(pod(world.cluster, MIRROR["template"]))
            for _ in range(MIRROR["replicas"])
        ]


def says(mirror: Pod) -> str:
    return mirror.ask(HEALTH, "/readyz").text


def the_leader(mirrors: list[Pod]) -> Pod:
    """The mirror that leads, once all are ready."""
    eventually(lambda: all(each.is_ready() for each in mirrors))
    eventually(lambda: sorted(map(says, mirrors)) == [STANDS_BY] * (len(mirrors) - 1) + [LEADS])
    [leader] = [each for each in mirrors if says(each) == LEADS]
    return leader


def assert_locked_down(pod: Pod, spec: dict[str, Any]) -> None:
    """The kernel holds each container to the manifest."""
    engine = pod.sandbox.client.api
    for container in pod.containers.values():
        process = Path("/proc", str(engine.inspect_container(container.id)["State"]["Pid"]))
        status = dict(re.findall(r"^(\w+):\s*(.*)$", (process / "status").read_text(), re.MULTILINE))
        assert status["Uid"].split() == [str(spec["securityContext"]["runAsUser"])] * 4
        rights = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
        assert {int(status[each], 16) for each in rights} == {0}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        mounts = [line.split() for line in (process / "mounts").read_text().splitlines()]
        [root] = [options.split(",") for _, path, _, options, *_ in mounts if path == "/"]
        assert "ro" in root


def test_of_two_mirrors_one_leads_and_both_are_ready(mirrors):
    assert len(mirrors) == 2
    leader = the_leader(mirrors)
    for each in mirrors:
        assert each.is_alive()
        scraped = each.ask(MIRROR["template"]["metadata"]["annotations"]["prometheus.io/port"], "/metrics")
        assert f"windsock_mirror_leading {float(each is leader)}" in scraped.text.splitlines()


def test_the_kernel_holds_the_mirrors_to_their_manifest(mirrors):
    for each in mirrors:
        assert_locked_down(each, MIRROR["template"]["spec"])


def test_a_changed_assignment_arrives_in_the_volume(world, mirrors):
    the_leader(mirrors)
    ann, ben = world.user(), world.user(None)

    def served() -> list[bool]:
        text = mirrors[0].read("profiles", DOCUMENT)
        return [user in text for user in (ann, ben)]

    eventually(lambda: served() == [True, False])
    world.assign(ann, None)
    eventually(lambda: served() == [False, False])


@pytest.mark.parametrize(("signal", "code"), [("SIGKILL", 137), ("SIGTERM", 0)])
def test_the_mirror_that_stood_by_takes_over(world, mirrors, signal, code):
    leader = the_leader(mirrors)
    [other] = [each for each in mirrors if each is not leader]
    assert leader.kill("mirror", signal) == code
    assert not leader.is_ready()
    eventually(lambda: says(other) == LEADS)
    ann = world.user()
    eventually(lambda: ann in other.read("profiles", DOCUMENT))
    leader.start("mirror")
    assert the_leader(mirrors) is other


@pytest.mark.parametrize("more", [[], ["--group=alone"]], ids=["standing by", "leading"])
def test_a_mirror_whose_folder_is_not_there_is_alive_and_not_ready(world, mirrors, more):
    the_leader(mirrors)
    template = deepcopy(MIRROR["template"])
    [container] = template["spec"]["containers"]
    folder = next(each for each in container["args"] if each.startswith("--folder="))
    container["args"][container["args"].index(folder)] = "--folder=/var/lib/windsock/nowhere"
    container["args"] += more
    assert_not_ready(world.cluster, template, "/var/lib/windsock/nowhere")


def test_a_mirror_whose_database_is_away_is_alive_and_not_ready(world):
    url = re.sub(r"@[^/]+", "@127.0.0.1:1", world.cluster.secrets[MIRRORS_URL])
    assert_not_ready(
        replace(world.cluster, secrets={MIRRORS_URL: url}), MIRROR["template"], "cannot be reached"
    )


def test_a_mirror_without_the_migrations_ends_and_says_what_to_do(world):
    url = re.sub(r"/\w+$", "/postgres", world.cluster.secrets[MIRRORS_URL])
    template = deepcopy(MIRROR["template"])
    del template["spec"]["containers"][0]["startupProbe"]  # it may end before or after the first
    with pod(replace(world.cluster, secrets={MIRRORS_URL: url}), template) as mirror:
        assert mirror.containers["mirror"].wait(timeout=60)["StatusCode"] == 1
        assert "run `windsock migrate`" in mirror.logs()


def assert_not_ready(cluster: Cluster, template: dict[str, Any], reason: str) -> None:
    with pod(cluster, template) as mirror:
        eventually(lambda: reason in says(mirror))
        assert not mirror.is_ready()
        assert mirror.is_alive()


@pytest.fixture(scope="module")
def teacher_image(engine: docker.DockerClient, examples_image: str, tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("teacher")
    shutil.copy(REPOSITORY / "examples/hello/app.py", folder)
    (folder / "Dockerfile").write_text(TEACHER.format(image=examples_image))
    image, _ = engine.images.build(path=str(folder), rm=True)
    yield image.id
    engine.images.remove(image.id, force=True)


def test_a_service_beside_flagd_follows_the_mirror_and_the_config_map(
    world, mirrors, teacher_image, require_image, tmp_path
):
    flags = ConfigMap(tmp_path / "flags", "teacher.flagd.json")
    document = json.loads((REPOSITORY / "flagd/teacher.flagd.json").read_text())
    flags.publish(document)
    cluster = replace(
        world.cluster,
        images={THE_TEACHER["image"]: teacher_image, THE_FLAGD["image"]: require_image("flagd")},
        config_maps={"flags": flags.folder},
    )
    the_leader(mirrors)
    ann = world.user()
    eventually(lambda: ann in mirrors[0].read("profiles", DOCUMENT))
    with pod(cluster, SERVICE["template"]) as service:

        def top_k(user: str) -> int:
            fields = service.ask(THE_TEACHER["ports"][0]["containerPort"], f"/users/{user}").json()["fields"]
            return next(each["value"] for each in fields if each["field"] == "retrieval_top_k")

        eventually(service.is_ready)
        assert_locked_down(service, SERVICE["template"]["spec"])
        assert service.is_alive()
        ben = world.user(None)
        eventually(lambda: (top_k(ann), top_k(ben)) == (25, 10))
        world.assign(ann, None)
        world.assign(ben, "experimental_v1")
        eventually(lambda: (top_k(ann), top_k(ben)) == (10, 25))
        document["flags"]["teacher"]["variants"]["production"] = {"retrieval_top_k": 7}
        flags.publish(document)
        eventually(lambda: (top_k(ann), top_k(ben)) == (7, 25))
