"""docker-compose.yml for real: the three examples answer in containers, and follow a change made while they run.

The models are a sidecar that shares the loopback of the service which asks it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
import httpx
import psycopg
import pytest
import yaml
from tests.containers.conftest import REPOSITORY, missing_image
from tests.ports import free_ports
from tests.waiting import eventually

pytestmark = [pytest.mark.containers, pytest.mark.xdist_group("containers"), pytest.mark.timeout(900)]

PORTS = (
    "POSTGRES_PORT", "FLAGD_RPC_PORT", "FLAGD_MANAGEMENT_PORT", "FLAGD_SYNC_PORT", "FLAGD_OFREP_PORT",
    "AURA_PORT", "AI_TEACHER_PORT", "HELLO_PORT", "AD_LEARNING_PORT", "CONSOLE_PORT",
)  # fmt: skip
MODELS = """
import signal
from windsock.demo.endpoint import LlmEndpoint
from examples.vendors import openrouter
endpoint = {endpoint}
endpoint.port = 9000
with endpoint:
    signal.pause()
"""
EVALUATE = """
from examples.ad_learning.tasks import auto_evaluate_models_after_training as task
print(task.delay("new.joblib", "winner").get(timeout=120)["status"])
"""
TWO_ADS = """
insert into ads (ad_id, campaign_id, ctr, impressions, created_at)
values ('below', 'c', 0.04, 1000, now() - interval '2 days'), ('above', 'c', 0.06, 1000, now() - interval '2 days')
"""
LEARNING = "/api/config/learning"
TRY = """
import psycopg
with psycopg.connect({url}) as connection:
    try:
        connection.execute({statement})
    except psycopg.errors.InsufficientPrivilege:
        print("refused")
"""
REFUSED = {
    "mirror": "update profiles set config_id = null",
    "hello": "delete from usage_logs",
    "ai-teacher": "update wallets set tier = 'school'",
    "aura": "select * from wallets",
    "ad-learning": "delete from windsock.configuration_audit",
    "ad-learning-executor": "update executor_actions set executed_at = 'epoch'",
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """What `docker compose up` has started, from a copy of the repository's files."""

    folder: Path
    variables: dict[str, str]

    def compose(self, *arguments: str) -> str:
        done = subprocess.run(
            ["docker", "compose", "-f", "docker-compose.yml", "-f", "beside.yml", *arguments],
            cwd=self.folder,
            env=os.environ | self.variables,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"docker compose {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def token(self, name: str) -> str:
        """Make an admin's token, as docs/containers.md says."""
        made = self.compose(
            "run", "--rm", "--no-deps", "-T", "migrate", "token", "make", name, "--role", "admin"
        )
        return made.strip()

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.variables[port]}"

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        url = f"postgresql://windsock:secret@127.0.0.1:{self.variables['POSTGRES_PORT']}/windsock"
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []


wait = partial(eventually, not_yet=(httpx.TransportError,))


@pytest.fixture(scope="module")
def deployment(
    engine: docker.DockerClient,
    image_of: Callable[[str], str],
    require_image: Callable[[str], str],
    examples_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """Everything in docker-compose.yml, healthy; flagd only where its image can be had."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker has no `compose` here")
    require_image("postgres")
    folder = tmp_path_factory.mktemp("deployment")
    shutil.copy(REPOSITORY / "docker-compose.yml", folder)
    for name in ("flagd", "examples"):
        shutil.copytree(
            REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "mirror")
        )
    services = dict(_models(examples_image))
    if missing_image(engine, image_of("flagd")):
        (folder / "flagd/mirror").mkdir()
        services |= _without_flagd(examples_image)
    (folder / "beside.yml").write_text(yaml.safe_dump({"services": services}))
    variables = {name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)} | {
        "COMPOSE_PROJECT_NAME": f"windsock-{uuid4().hex[:8]}",
        "POSTGRES_PASSWORD": "secret",
        "SERVICES_PASSWORD": "it's $another",
        "WINDSOCK_IMAGE": examples_image,  # the examples' image has all that the other one has
        "OPENAI_BASE_URL": "http://127.0.0.1:9000/v1",
        "OPENAI_API_KEY": "sk-loopback",
        "OPENROUTER_BASE_URL": "http://127.0.0.1:9000/v1",
        "OPENROUTER_API_KEY": "sk-or-loopback",
        "AURA_L1_SECONDS": "30",
        "AURA_EMBEDDING_SECONDS": "30",
        "CONFIGURATION_API_WRITABLE": "true",
        "AD_LEARNING_USER": str(os.getuid()),
        "AD_LEARNING_FLAGS": "rw",
    }
    deployment = Deployment(folder, variables)
    try:
        deployment.compose("up", "--no-build", "--wait", "--wait-timeout", "300")
        for port in ("AI_TEACHER_PORT", "AURA_PORT", "AD_LEARNING_PORT", "CONSOLE_PORT"):
            wait(lambda port=port: httpx.get(f"{deployment.url(port)}/health").is_success, 120)
        yield deployment
    finally:
        deployment.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


@pytest.fixture(autouse=True)
def said(deployment: Deployment) -> Iterator[None]:
    """Beside the failure of a test stands what the services said until then."""
    yield
    sys.stdout.write(deployment.compose("logs", "--no-color", "--tail", "15"))


def _models(image: str) -> Iterator[tuple[str, dict[str, object]]]:
    openai, openrouter = "LlmEndpoint()", "openrouter()"
    for service, endpoint in (("ai-teacher", openai), ("aura", openrouter), ("ad-learning-indexer", openai)):
        yield (
            f"models-of-{service}",
            {
                "image": image,
                "entrypoint": ["python", "-c", MODELS.format(endpoint=endpoint)],
                "network_mode": f"service:{service}",
                "working_dir": "/srv",  # where `examples` can be imported from
                "volumes": ["./examples:/srv/examples:ro"],
                "init": True,
            },
        )


def _without_flagd(image: str) -> dict[str, dict[str, object]]:
    """Without flagd's image, services read the files that flagd would send them, and nothing runs in its place."""
    reads_files = {
        "environment": {"FLAGD_RESOLVER": "file", "FLAGD_OFFLINE_FLAG_SOURCE_PATH": "/etc/flagd"},
        "volumes": ["./flagd:/etc/flagd:ro", "mirror-files:/etc/flagd/mirror:ro"],
    }
    nothing = {"image": image, "entrypoint": ["sleep", "infinity"], "command": [], "init": True}
    return {"flagd": nothing} | dict.fromkeys(("hello", "ai-teacher", "aura", "console"), reads_files)


def test_ai_teacher_answers_with_a_profile_from_the_next_message_on(deployment):
    ada, ben = str(uuid4()), str(uuid4())
    for user in (ada, ben):
        deployment.sql("insert into profiles (id) values (%s)", user)
        deployment.sql("insert into wallets (user_id, balance) values (%s, 100)", user)

    def ask(user):
        body = {"user_id": user, "message": "Why is the sky blue?"}
        answer = httpx.post(f"{deployment.url('AI_TEACHER_PORT')}/chat", json=body, timeout=30)
        return (found := answer.json()).get("model"), found.get("passages_found")

    wait(lambda: ask(ada) == ("gpt-4o-mini", 10))
    deployment.sql(
        "update profiles set config_id = (select id from app_configurations where name = 'experimental_v1') where id = %s",
        ada,
    )
    wait(lambda: ask(ada) == ("gpt-4o", 25))
    assert ask(ben) == ("gpt-4o-mini", 10)
    wait(lambda: deployment.sql("select count(*) > 0 from usage_logs where config_id is not null")[0][0])


def test_aura_swaps_its_models_while_it_runs(deployment):
    def models():
        health = httpx.get(f"{deployment.url('AURA_PORT')}/health", timeout=30).json()
        return {name: each["value"] for name, each in health["models"].items()}

    def answered_by(user="ada"):
        body = {"user_id": user, "message": "I cannot sleep."}
        return httpx.post(f"{deployment.url('AURA_PORT')}/chat", json=body, timeout=60).json().get("model")

    assert models()["l1_model"] == "mistralai/mistral-7b-instruct"
    wait(lambda: answered_by() == "deepseek/deepseek-chat")
    path = deployment.folder / "flagd/aura.flagd.json"
    document = json.loads(path.read_text())
    document["flags"]["aura"]["defaultVariant"] = "budget"
    new = path.with_suffix(".new")
    new.write_text(json.dumps(document))
    new.replace(path)
    wait(lambda: models()["l3_model"] == "google/gemini-flash-1.5")
    assert answered_by() == "google/gemini-flash-1.5"
    wait(lambda: "Using model: google/gemini-flash-1.5" in deployment.compose("logs", "aura"))
    carl = str(uuid4())
    deployment.sql((deployment.folder / "examples/aura/db/presets.sql").read_text())
    deployment.sql(
        "insert into profiles (id, config_id) select %s, id from app_configurations where name = 'performance'",
        carl,
    )
    wait(lambda: answered_by(carl) == "anthropic/claude-3.5-sonnet")
    assert answered_by() == "google/gemini-flash-1.5"


def test_ad_learning_takes_a_change_through_its_api_in_every_part_and_keeps_it(deployment):
    ad = {"ctr": 0.04, "roas": 1.0, "hours_live": 24, "impressions": 1000}
    in_sql = "select is_winner(%s, %s, %s, %s)"
    service = deployment.url("AD_LEARNING_PORT")

    def winner():
        return (
            httpx.get(f"{service}/winner", params=ad).json()["winner"],
            deployment.sql(in_sql, *ad.values())[0][0],
        )

    as_ann = {"Authorization": f"Bearer {deployment.token('ann')}"}
    wait(lambda: winner() == (True, True))
    change = {"winner_detection": {"ctr_threshold": 0.05}}
    answer = httpx.put(f"{service}{LEARNING}", json=change, headers=as_ann, timeout=30)
    assert (answer.status_code, answer.json().get("status")) == (200, "updated"), answer.text
    wait(lambda: winner() == (False, False))
    deployment.sql(TWO_ADS)
    wait(lambda: deployment.sql("select ad_id from winner_index") == [("above",)], 60)
    deployment.compose("restart", "--timeout", "5", "ad-learning")
    wait(lambda: httpx.get(f"{service}/winner", params=ad).json() == {"winner": False}, 60)
    for program in (["-m", "examples.ad_learning.train"], ["-c", EVALUATE]):
        said = deployment.compose("exec", "-T", "ad-learning-celery", "python", *program)
    assert said.strip() == "promoted"
    running = deployment.compose("ps", "--services", "--status", "running").split()
    assert {f"ad-learning-{part}" for part in ("worker", "indexer", "executor", "celery")} <= set(running)


def test_a_person_signs_in_to_the_console_and_sees_the_settings_of_all_three(deployment):
    with httpx.Client(base_url=deployment.url("CONSOLE_PORT"), follow_redirects=True, timeout=60) as person:
        assert "Sign in" in person.get("/").text
        home = person.post("/sign-in", data={"token": deployment.token("bea")})
        assert home.is_success
        settings = person.get("/settings").text
    assert all(f'flag={flag}"' in settings for flag in ("teacher", "aura", "learning"))


@pytest.mark.parametrize(("service", "statement"), REFUSED.items())
def test_a_service_is_refused_what_it_need_not_do(deployment, service, statement):
    own = deployment.compose("exec", "-T", service, "printenv", "DATABASE_URL").strip()

    def said(url):
        program = TRY.format(url=repr(url), statement=repr(statement))
        return deployment.compose("exec", "-T", service, "python", "-c", program).strip()

    assert said(own) == "refused"
    with pytest.raises(AssertionError, match="password authentication failed"):
        said(own.replace(own.partition("://")[2].partition("@")[0], "windsock", 1))
