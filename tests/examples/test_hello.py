"""The example service answers with and without flags, and says which of the two it is."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def app():
    """The application of examples/hello, loaded as uvicorn would."""
    spec = importlib.util.spec_from_file_location("hello_app", REPOSITORY / "examples/hello/app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The folder of flags that the service reads; empty so far."""
    for variable in ("DATABASE_URL", "FLAGD_RESOLVER", "FLAGD_HOST", "OPENAI_CHAT_MODEL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("FLAGD_OFFLINE_FLAG_SOURCE_PATH", str(tmp_path))
    monkeypatch.setenv("AURA_L1_MODEL", "google/gemma-7b-it")
    return tmp_path


@pytest.fixture
def client(app, folder) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.fixture
def flags_of_git(folder) -> None:
    (folder / "teacher.flagd.json").write_bytes((REPOSITORY / "flagd/teacher.flagd.json").read_bytes())


def test_a_user_is_shown_every_field_with_its_layer(flags_of_git, client):
    explained = client.get("/users/u1").json()
    assert {field["field"]: field["value"] for field in explained["fields"]} == {
        "retrieval_top_k": 10,
        "rerank_top_n": 3,
        "reasoning_model": "gpt-4o-mini",
        "temperature": 0.7,
    }
    assert {field["layer"] for field in explained["fields"]} == {"default"}
    assert (explained["user"], explained["flag"]) == ("u1", "teacher")


def test_health_shows_the_models_that_the_environment_chose(flags_of_git, client):
    models = client.get("/health").json()["models"]
    assert models["l1_model"] == "google/gemma-7b-it"
    assert models["l3_model"] == "deepseek/deepseek-chat"


def test_ready_once_the_sentinel_flag_evaluates(flags_of_git, client):
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)


def test_without_flags_it_is_not_ready_and_answers_all_the_same(client):
    assert client.get("/ready").status_code == 503
    assert client.get("/health").status_code == 200
    assert client.get("/users/u1").status_code == 200


def test_a_user_id_beyond_the_limit_is_refused_with_the_limit(client):
    answer = client.get(f"/users/{'x' * 257}")
    assert (answer.status_code, answer.json()["detail"][0]["ctx"]) == (422, {"max_length": 256})
