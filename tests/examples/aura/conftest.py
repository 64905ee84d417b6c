"""What the tests of Aura share: the service, its two kinds of provider, and the presets of its document."""

import json
from pathlib import Path

import pytest
from aura.config import settings
from aura.main import app
from examples.vendors import OPENROUTER_KEY, ollama, openrouter
from fastapi.testclient import TestClient
from tests.waiting import eventually

import windsock

REPOSITORY = Path(__file__).parents[3]
EXAMPLE = REPOSITORY / "examples/aura"
DEFAULT = ("mistralai/mistral-7b-instruct", "anthropic/claude-3.5-sonnet", "deepseek/deepseek-chat")
PRESETS = {
    "default": DEFAULT,
    "budget": ("google/gemma-7b-it", "anthropic/claude-3-haiku", "google/gemini-flash-1.5"),
    "performance": (
        "mistralai/mistral-7b-instruct",
        "anthropic/claude-3-opus",
        "anthropic/claude-3.5-sonnet",
    ),
    "all-deepseek": ("deepseek/deepseek-chat",) * 3,
    "hybrid": ("local/phi-3-mini-4k", "anthropic/claude-3.5-sonnet", "deepseek/deepseek-chat"),
}
LAYERS = ("l1_model", "l2_model", "l3_model")


class Aura:
    """The service and its providers, with hands for what people do."""

    def __init__(self, client, cloud, local, flags):
        self.client, self.cloud, self.local, self.flags = client, cloud, local, flags

    def say(self, message="I cannot sleep.", user="ada"):
        return self.client.post("/chat", json={"user_id": user, "message": message})

    def answered(self, message="I cannot sleep.", user="ada"):
        reply = self.say(message, user)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def health(self):
        return self.client.get("/health").json()

    def serve(self, variant, **changes):
        """Let the flag file of Git serve another preset, with fields changed."""
        document = json.loads((REPOSITORY / "flagd/aura.flagd.json").read_text())
        flag = document["flags"]["aura"]
        flag["defaultVariant"] = variant
        flag["variants"][variant] |= changes
        (self.flags / "new").write_text(json.dumps(document))
        (self.flags / "new").replace(self.flags / "aura.flagd.json")
        revision = windsock.health().revision
        eventually(lambda: windsock.health().revision != revision or self.current() == variant)

    def current(self):
        return windsock.explain(settings).fields[0].variant

    def analysis(self, user="ada"):
        return self.client.get(f"/users/{user}/analysis").json()["analysis"]

    def thought(self):
        """Which models were asked since the last look, by provider; L2's analysis included."""
        eventually(self.analysis)
        asked = [f"local/{each.model}" for each in self.local.served] + [
            each.model for each in self.cloud.served
        ]
        return [model for model in asked if "embedding" not in model]


@pytest.fixture
def variables(monkeypatch, flags):
    """What a deployment sets; the flags are those of Git."""
    (flags / "aura.flagd.json").write_bytes((REPOSITORY / "flagd/aura.flagd.json").read_bytes())
    with openrouter() as cloud, ollama("phi-3-mini-4k") as local:
        monkeypatch.setenv("OPENROUTER_BASE_URL", cloud.url)
        monkeypatch.setenv("OPENROUTER_API_KEY", OPENROUTER_KEY)
        monkeypatch.setenv("OLLAMA_BASE_URL", local.url)
        monkeypatch.setenv("AURA_EMBEDDING_SECONDS", "60")
        monkeypatch.setenv("AURA_L1_SECONDS", "20")  # the machine is busy, and this is not what is tested
        yield cloud, local


@pytest.fixture
def start(variables, flags):
    """Start the service, once the test has set its variables."""
    clients = []

    def run():
        client = TestClient(app)
        client.__enter__()
        clients.append(client)
        return Aura(client, *variables, flags)

    yield run
    for client in clients:
        client.__exit__(None, None, None)


def in_force():
    """The models of the three layers that the live object gives."""
    return tuple(getattr(settings, name) for name in LAYERS)
