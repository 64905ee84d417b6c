"""One database, one mirror, one flagd: the stock flagd provider and windsock give every user the same, in every mode."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider.no_op_provider import NoOpProvider
from pydantic import Field
from tests.waiting import eventually

import windsock

pytestmark = [pytest.mark.containers, pytest.mark.xdist_group("containers")]

REPOSITORY = Path(__file__).parents[2]
MODES = ["file", "rpc", "in-process"]
FLAG = "teacher.profile"
SEEN_WITHIN = 10.0  # seconds; the stock file provider looks twice a second

TUNED = {"retrieval_top_k": 25, "rerank_top_n": 5, "reasoning_model": "gpt-4o", "temperature": 0.2}
CHEAP = {"reasoning_model": "gpt-4o-mini", "temperature": 0.0}
ASSIGNED = {
    "11111111-0000-4000-8000-000000000001": "experimental_v1",
    "11111111-0000-4000-8000-000000000002": "cheap",
    "11111111-0000-4000-8000-000000000003": "switched off",
    "11111111-0000-4000-8000-000000000004": None,
}
STRANGERS = ["11111111-0000-4000-8000-00000000dead", 'Zoë "o\'clock" \\ 你好', ""]


class Teacher(windsock.Settings, flag="teacher"):
    retrieval_top_k: int = Field(10, ge=1, le=200)
    rerank_top_n: int = Field(3, ge=1)
    reasoning_model: str = Field("gpt-4o-mini", validation_alias="OPENAI_CHAT_MODEL")
    temperature: float = Field(0.7, ge=0, le=2)


@dataclass(frozen=True, slots=True)
class System:
    """A migrated database, the folder that Git's files and the mirror share, and a flagd that reads it."""

    database: psycopg.Connection
    folder: Path
    rpc_port: int
    sync_port: int

    def mirror(self) -> None:
        """Publish what the database says."""
        run(
            "mirror",
            "once",
            "--flag",
            "teacher",
            "--folder",
            str(self.folder / "mirror"),
            url=self.database_url(),
        )

    def database_url(self) -> str:
        info = self.database.info
        return f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"

    def config_id(self, name: str) -> str:
        [config_id] = self.database.execute(
            "select id::text from app_configurations where name = %s", (name,)
        ).fetchone()
        return config_id


def run(*arguments: str, url: str) -> str:
    """Run a windsock command against the database in the container."""
    done = subprocess.run(
        [Path(sys.executable).parent / "windsock", *arguments],
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"windsock {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def fill(connection: psycopg.Connection) -> None:
    connection.execute(
        "insert into app_configurations (name, settings, is_active) values ('cheap', %s, true), ('switched off', %s, false)",
        (json.dumps(CHEAP), json.dumps(CHEAP)),
    )
    for user, name in ASSIGNED.items():
        connection.execute(
            "insert into profiles (id, config_id) select %s, (select id from app_configurations where name = %s)",
            (user, name),
        )


@pytest.fixture(scope="module")
def system(postgres_url, start_flagd, tmp_path_factory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("flagd")
    for file in (REPOSITORY / "flagd").glob("*.flagd.json"):
        shutil.copy(file, folder)
    run("migrate", url=postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        fill(connection)
        run("mirror", "once", "--flag", "teacher", "--folder", str(folder / "mirror"), url=postgres_url)
        # flagd gets its sources from windsock's own command, so the test covers that too.
        printed = run(
            "mirror", "flagd-config", "--git-folder", str(folder), "--folder", str(folder / "mirror"), url=""
        )
        files = [str(Path(source["uri"]).relative_to(folder)) for source in json.loads(printed)]
        with start_flagd(folder, files, FLAG) as flagd:
            yield System(connection, folder, flagd.rpc_port, flagd.sync_port)


@pytest.fixture(params=MODES)
def mode(request, system, monkeypatch) -> str:
    """Point the FLAGD_* variables at the files or at the server; no code differs between the modes."""
    monkeypatch.setenv("FLAGD_RESOLVER", request.param)
    monkeypatch.setenv("FLAGD_HOST", "127.0.0.1")
    monkeypatch.setenv("FLAGD_PORT", str(system.rpc_port if request.param == "rpc" else system.sync_port))
    return request.param


@pytest.fixture
def stock(mode, system) -> Iterator[OpenFeatureClient]:
    """The stock flagd provider behind a client of its own."""
    file = (
        {"offline_flag_source_path": str(system.folder / "mirror/profiles.flagd.json")}
        if mode == "file"
        else {}
    )
    provider = FlagdProvider(resolver_type=ResolverType(mode), **file)
    api.set_provider_and_wait(provider, "stock")
    yield api.get_client("stock")
    api.set_provider_and_wait(NoOpProvider(), "stock")  # shuts the provider down


@pytest.fixture
def served(mode, system, monkeypatch) -> Iterator[None]:
    """windsock, started by the environment alone."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    if mode == "file":
        monkeypatch.setenv("FLAGD_OFFLINE_FLAG_SOURCE_PATH", str(system.folder))
    windsock.start()
    yield
    windsock.stop()


def profile_of(teacher: Teacher) -> tuple[str | None, dict[str, object]]:
    """The configuration that windsock says the user has, and the fields that it decides."""
    fields = [field for field in windsock.explain(teacher).fields if field.layer == "profile"]
    [config_id] = {field.config_id for field in fields} or {None}
    return config_id, {field.field: field.value for field in fields}


def assert_same(stock: OpenFeatureClient, user: str) -> tuple[str | None, dict[str, object]]:
    details = stock.get_object_details(FLAG, {}, EvaluationContext(targeting_key=user))
    config_id, fields = profile_of(Teacher.for_user(user))
    assert (details.error_code, details.value, details.variant) == (None, fields, config_id or "none")
    return config_id, fields


def test_every_user_has_the_same_profile_in_both(system, stock, served):
    expected = {user: (None, {}) for user in [*ASSIGNED, *STRANGERS]}
    first, second = list(ASSIGNED)[:2]
    expected[first] = (system.config_id("experimental_v1"), TUNED)
    expected[second] = (system.config_id("cheap"), CHEAP)

    def all_agree() -> bool:
        return {user: assert_same(stock, user) for user in expected} == expected

    eventually(all_agree, SEEN_WITHIN)  # the test before may have changed something


def test_a_change_in_the_database_reaches_both(system, stock, served):
    user = next(iter(ASSIGNED))
    change = "update app_configurations set settings = jsonb_set(settings, '{retrieval_top_k}', %s) where name = %s"
    try:
        system.database.execute(change, ("50", "experimental_v1"))
        system.mirror()

        def both_see_it() -> bool:
            return assert_same(stock, user)[1] == {**TUNED, "retrieval_top_k": 50}

        eventually(both_see_it, SEEN_WITHIN)
        assert Teacher.for_user(user).retrieval_top_k == 50
    finally:
        system.database.execute(change, ("25", "experimental_v1"))
        system.mirror()


def test_a_user_taken_off_the_profile_has_the_defaults_in_both(system, stock, served):
    user = next(iter(ASSIGNED))
    assign = "update profiles set config_id = %s where id = %s"
    try:
        system.database.execute(assign, (None, user))
        system.mirror()

        def both_see_it() -> bool:
            return assert_same(stock, user) == (None, {})

        eventually(both_see_it, SEEN_WITHIN)
        assert Teacher.for_user(user).retrieval_top_k == 10
    finally:
        system.database.execute(assign, (system.config_id("experimental_v1"), user))
        system.mirror()
