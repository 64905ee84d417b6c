"""The console on a real PostgreSQL, over real HTTP, and people who are signed in there."""

import json
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import Annotated, Literal
from uuid import UUID

import psycopg
import pytest
import uvicorn
from openfeature import api as openfeature
from pydantic import BaseModel, Field, SecretStr
from tests import loopback
from tests.console.browser import CHROMIUM

import windsock
from windsock.api import Role, create_token
from windsock.console import Console, application
from windsock.mirror import profiles
from windsock.mirror.profiles import ProfileRow

ADA = UUID(int=1)
BOB = UUID(int=2)
WARM = UUID(int=100)


class Retrieval(BaseModel):
    top_k: int = Field(10, ge=1, le=200, description="Documents that are looked up.")
    rerank: bool = False


class Teacher(windsock.Settings, flag="teacher"):
    """How the teacher answers."""

    temperature: float = Field(0.7, ge=0, le=2, description="How freely it speaks.")
    model: Literal["small", "large"] = "small"
    greeting: str = Field("Hello", max_length=2_000)
    retrieval: Retrieval = Retrieval()
    channels: list[str] = ["web"]
    api_key: SecretStr = SecretStr("hunter2")
    endpoint: Annotated[str, windsock.Fixed] = "https://ann:pa55word@models.example"


def document():
    return {
        "flags": {
            "teacher": {
                "state": "ENABLED",
                "variants": {"production": {"temperature": 0.5}, "development": {"temperature": 0.1}},
                "defaultVariant": "production",
                "targeting": {"if": [{"==": [{"var": "environment"}, "development"]}, "development"]},
                "metadata": {"owner": "teaching"},
            },
            "new_editor": {
                "state": "ENABLED",
                "variants": {"on": True, "off": False},
                "defaultVariant": "off",
                "targeting": {
                    "if": [{"==": [{"var": "tier"}, "pro"]}, {"fractional": [["on", 10], ["off", 90]]}, "off"]
                },
                "metadata": {"owner": "editors", "expires": "2020-01-01"},
            },
        },
        "metadata": {"bucketing": "v2"},
    }


EXPERIMENT = """\
name: cheaper
hypothesis: The small model is as good as the large one.
owner: teaching
settings: teacher
arms:
  control: {}
  small: {temperature: 0.3}
metrics:
  goal: [cost_per_request]
minimum_effect: 0.05
"""


def mirrored(config_id=str(WARM), settings=None, users=(str(ADA),)):
    rule = {"if": [{"in": [{"var": "targetingKey"}, list(users)]}, config_id]}
    variants = {"none": {}, config_id: settings or {"temperature": 1.1}}
    flag = {"state": "ENABLED", "variants": variants, "defaultVariant": "none", "targeting": rule}
    return {"flags": {"teacher.profile": flag}, "metadata": {"owner": "windsock mirror"}}


def git(folder, *arguments):
    subprocess.run(
        ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", *arguments],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture(scope="session")
def shared_console_database(postgres, migrated_template):
    """One database for all tests of the console: making one takes longer than most of them."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"create database console_tests template {migrated_template}")
    url = postgres.database_url("console_tests")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create role console_service login in role windsock_console")
    return url


@pytest.fixture
def database(shared_console_database):
    with psycopg.connect(shared_console_database, autocommit=True) as connection:
        connection.execute(
            "truncate windsock.api_tokens, windsock.configuration_audit, windsock.console_sessions,"
            " windsock.profile_changes, windsock.withdrawals, windsock.faults, usage_logs, windsock.mirrors,"
            " windsock.analysis_snapshots, windsock.exposures, windsock.metric_events, windsock.assignment_history, windsock.configuration_history, profiles, app_configurations cascade"
        )
    return shared_console_database


@pytest.fixture
def connection(database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("insert into profiles (id) values (%s), (%s)", [ADA, BOB])
        profiles.save(connection, "warm", None, ProfileRow({"temperature": 1.1}, "Speaks freely"))
        connection.execute("update app_configurations set id = %s", [WARM])
        connection.execute("update profiles set config_id = %s where id = %s", [WARM, ADA])
        yield connection


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A repository of flags, to be copied."""
    root = tmp_path_factory.mktemp("repository")
    flags = root / "flagd"
    (flags / "mirror").mkdir(parents=True)
    (flags / "teacher.flagd.json").write_text(json.dumps(document(), indent=2) + "\n")
    (flags / "mirror" / "profiles.flagd.json").write_text(json.dumps(mirrored()))
    (flags / "experiments").mkdir()
    (flags / "experiments" / "cheaper.yaml").write_text(EXPERIMENT)
    (root / ".gitignore").write_text("flagd/mirror\n")
    git(root, "init", "-q", "-b", "main", "--template=")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "Flags of the teacher")
    later = document()
    later["flags"]["new_editor"]["targeting"]["if"][1] = {"fractional": [["on", 25], ["off", 75]]}
    flag_file = flags / "teacher.flagd.json"
    for content, message in ((later, "More users get the new editor"), (document(), "Fewer again")):
        flag_file.write_text(json.dumps(content, indent=2) + "\n")
        git(root, "commit", "-q", "-a", "-m", message)
    return root


@pytest.fixture
def folder(repository, tmp_path, monkeypatch):
    """A repository of flags, which is the working directory."""
    shutil.copytree(repository, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in ("ENVIRONMENT", "DATABASE_URL", "TEACHER_TEMPERATURE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "flagd"


@contextmanager
def serving(app, **options):
    """Serve an application on loopback; gives its address."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", **options))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def console(folder, database):
    return Console((Teacher,), folder.relative_to(folder.parent), f"{database}&user=console_service")


@pytest.fixture
def address(console, connection):
    """Where the console answers."""
    with windsock.start(flags=console.flags, usage=False), serving(application(console)) as address:
        yield address
    openfeature.shutdown()


@pytest.fixture
def tokens(connection):
    return {role: create_token(connection, f"the {role}", role) for role in Role}


class Person:
    """Somebody at a browser without scripts."""

    def __init__(self, address, token=None):
        self.http = loopback.Client(base_url=address, follow_redirects=True, timeout=120)
        if token:
            self.http.post("/sign-in", data={"token": token})

    def get(self, path, **asked):
        answer = self.http.get(path, params=asked)
        while "Refresh" in answer.headers:  # as browsers do, without the pause
            answer = self.http.get(path, params=asked)
        return answer

    def key(self, path="/"):
        """The key of this person's forms."""
        page = self.http.get(path).text
        return page.partition('name="form_key" value="')[2].partition('"')[0]

    def send(self, path, **form):
        return self.http.post(path, data={"form_key": self.key(), **form})


@pytest.fixture
def as_role(address, tokens):
    """Somebody of a role, signed in."""
    people = []

    def made(role):
        people.append(Person(address, tokens[role]))
        return people[-1]

    yield made
    for each in people:
        each.http.close()


@pytest.fixture
def admin(as_role):
    return as_role(Role.ADMIN)


@pytest.fixture
def reader(as_role):
    return as_role(Role.READER)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visitor(browser, address, tokens):
    """Make a page of an admin's browser."""
    contexts = []

    def made(width=1440, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, base_url=address
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)  # a report's first computation takes long on a busy machine
        page.goto("/sign-in")
        page.get_by_label("Token").fill(tokens[Role.ADMIN])
        page.keyboard.press("Enter")
        page.locator("main#main").wait_for()
        return page

    yield made
    for context in contexts:
        context.close()
