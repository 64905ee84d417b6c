"""Aura's memory and embeddings: what is stored stays comparable, and what does not fit is refused."""

import socket
from pathlib import Path

import pytest
from aura.config import settings
from tests.waiting import eventually

import windsock
from windsock.demo.endpoint import LlmEndpoint


def test_the_memory_recalls_what_is_most_similar_and_of_that_user_only(start):
    aura = start()
    aura.answered("My dog is called Rex.")
    aura.answered("I like green tea.")
    assert aura.answered("Is my dog called Rex?", user="ben")["memories"] == []
    assert aura.answered("What was my dog called?")["memories"] == [
        "My dog is called Rex.",
        "I like green tea.",
    ]


def test_model_and_dimension_of_the_embeddings_by_the_environment(start, monkeypatch):
    monkeypatch.setenv("AURA_EMBEDDING_MODEL", "openai/text-embedding-3-large")
    monkeypatch.setenv("AURA_EMBEDDING_DIMENSION", "3072")
    aura = start()
    aura.answered()
    asked = next(each.request for each in aura.cloud.served if "input" in each.request)
    assert (asked["model"], asked["dimensions"]) == ("openai/text-embedding-3-large", 3072)
    assert aura.health()["memory_refuses"] == ""


def test_a_dimension_that_does_not_fit_the_stored_vectors_is_refused_with_the_reason(start, caplog):
    aura = start()
    aura.answered()
    aura.serve("default", embeddings_dimension=768)
    eventually(lambda: settings.embeddings_dimension == 768)
    assert "embeddings_dimension 768 does not fit the vectors" in aura.health()["memory_refuses"]
    assert "with 1536 dimensions" in aura.health()["memory_refuses"]
    aura.answered()  # the layer below fits
    assert "AuraSettings.embeddings_dimension=768" in caplog.text


def test_where_no_layer_fits_the_answer_is_a_409_with_the_reason(start, monkeypatch):
    monkeypatch.setenv("AURA_EMBEDDING_DIMENSION", "256")
    aura = start()
    aura.answered()
    monkeypatch.delenv("AURA_EMBEDDING_DIMENSION")
    windsock.reload()
    refused = aura.say()
    assert refused.status_code == 409
    assert "embeddings_dimension 1536 does not fit" in refused.json()["detail"]


def test_another_embedding_model_of_the_same_dimension_is_refused_too(start):
    aura = start()
    aura.answered()
    aura.serve("default", embeddings_model="openai/text-embedding-3-large")
    eventually(
        lambda: aura.health()["memory_refuses"].startswith("embeddings_model openai/text-embedding-3-large")
    )


class OneSize(LlmEndpoint):
    """Gives vectors of one size whatever is asked for, as most embedding models on Ollama do."""

    def embed(self, request):
        return super().embed(request | {"dimensions": 768})


def test_a_model_that_gives_another_dimension_is_refused_with_what_to_set(start, monkeypatch, caplog):
    with OneSize(embeddings={"nomic-embed-text": 768}) as local:
        monkeypatch.setenv("OLLAMA_BASE_URL", local.url)
        monkeypatch.setenv("AURA_EMBEDDING_MODEL", "local/nomic-embed-text")
        aura = start()
        aura.answered()  # the layer below fits
    assert (
        "local/nomic-embed-text gives 768 dimensions, not 1536: set embeddings_dimension to 768"
        in caplog.text
    )
    assert "of openai/text-embedding-3-small with 1536 dimensions" in aura.health()["memory_refuses"]


def test_an_outage_of_the_embeddings_does_not_cost_the_answer(start, caplog):
    aura = start()
    aura.answered("My dog is called Rex.")
    kept, aura.cloud.embeddings = aura.cloud.embeddings, {}
    reply = aura.answered("What is my dog called?")
    assert (reply["model"], reply["memories"]) == (settings.l3_model, [])
    assert "there are no memories for this message" in caplog.text
    aura.cloud.embeddings = kept
    assert aura.answered("Is my dog called Rex?")["memories"] == ["My dog is called Rex."]


def test_embeddings_that_never_answer_are_not_waited_for(start, monkeypatch, caplog):
    monkeypatch.setenv("AURA_EMBEDDING_SECONDS", "0.2")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and says nothing
        port = silent.getsockname()[1]
        monkeypatch.setenv("OLLAMA_BASE_URL", f"http://127.0.0.1:{port}/v1")
        monkeypatch.setenv("AURA_EMBEDDING_MODEL", "local/silent")
        aura = start()
        assert aura.answered()["memories"] == []
    assert "slower than 0.2 s" in caplog.text


def test_a_path_that_cannot_be_used_is_named_with_its_variable(start, monkeypatch):
    Path("notes.txt").write_text("This is no database, and shall stay what it is.")
    monkeypatch.setenv("AURA_MEMORY_PATH", "notes.txt")
    with pytest.raises(ValueError, match=r"AURA_MEMORY_PATH=notes\.txt cannot be used: .*not a database"):
        start()
