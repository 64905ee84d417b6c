"""Aura: what its document asks for, over HTTP, with the openai client against both kinds of provider."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aura.config import AuraSettings, settings
from aura.main import app
from fastapi.testclient import TestClient
from tests.examples.conftest import eventually

import windsock
from windsock.cli._llm_vendors import DOLLARS_A_TOKEN, OPENROUTER_KEY, ollama, openrouter

REPOSITORY = Path(__file__).parents[2]
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
VARIABLES = ("AURA_L1_MODEL", "AURA_L2_MODEL", "AURA_L3_MODEL")


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

    def thought(self):
        """Which models were asked since the last look, by provider; L2's analysis included."""
        eventually(lambda: self.client.get("/users/ada/analysis").json()["analysis"])
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
        monkeypatch.setenv("AURA_L1_SECONDS", "20")  # the machine is busy, and this is not what is tested
        yield cloud, local


@pytest.fixture
def start(variables, flags):
    """Start the service, once the test has set its variables."""
    clients = []

    def run():
        client = TestClient(app)
        clients.append(client)
        client.__enter__()
        return Aura(client, *variables, flags)

    yield run
    for client in clients:
        client.__exit__(None, None, None)


def in_force():
    return tuple(getattr(settings, name) for name in LAYERS)


def test_no_variables_at_all_give_the_defaults(start):
    aura = start()
    models = aura.health()["models"]
    assert {name: models[name]["value"] for name in models if name != "l1_seconds"} == {
        "l1_model": "mistralai/mistral-7b-instruct",
        "l2_model": "anthropic/claude-3.5-sonnet",
        "l3_model": "deepseek/deepseek-chat",
        "embeddings_model": "openai/text-embedding-3-small",
        "embeddings_dimension": 1536,
    }
    assert {models[name]["layer"] for name in LAYERS} == {"default"}
    aura.answered()
    assert sorted(aura.thought()) == sorted(DEFAULT)


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_by_the_environment(start, monkeypatch, preset):
    for variable, model in zip(VARIABLES, PRESETS[preset], strict=True):
        monkeypatch.setenv(variable, model)
    aura = start()
    reply = aura.answered()
    assert reply["model"] == PRESETS[preset][2]
    assert sorted(aura.thought()) == sorted(PRESETS[preset])
    assert {each.status for each in [*aura.cloud.served, *aura.local.served]} == {200}


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_as_a_variant_that_is_switched_while_it_runs(start, preset):
    aura = start()
    aura.serve(preset)
    eventually(lambda: in_force() == PRESETS[preset])
    aura.answered()
    assert sorted(aura.thought()) == sorted(PRESETS[preset])


def test_a_local_model_is_asked_of_ollama_under_its_own_name(start, monkeypatch):
    monkeypatch.setenv("AURA_L1_MODEL", "local/phi-3-mini-4k")
    aura = start()
    assert aura.answered()["instinct"].startswith("phi-3-mini-4k answers")
    assert [each.model for each in aura.local.served] == ["phi-3-mini-4k"]


def test_precedence_environment_over_dotenv_over_flag_over_default(start, monkeypatch):
    Path(".env").write_text("AURA_L1_MODEL=of/dotenv\nAURA_L2_MODEL=of/dotenv\n")
    monkeypatch.setenv("AURA_L1_MODEL", "of/environment")
    monkeypatch.setenv("AURA_EMBEDDING_MODEL", "")
    aura = start()
    aura.serve("budget", l1_model="of/flag", l2_model="of/flag", l3_model="of/flag")
    eventually(lambda: settings.l3_model == "of/flag")
    models = aura.health()["models"]
    assert {
        name: (models[name]["value"], models[name]["layer"], models[name]["from"]) for name in models
    } == {
        "l1_model": ("of/environment", "environment", "AURA_L1_MODEL"),
        "l2_model": ("of/dotenv", ".env", "AURA_L2_MODEL"),
        "l3_model": ("of/flag", "base", "budget"),
        "embeddings_model": ("openai/text-embedding-3-small", "default", "code"),
        "embeddings_dimension": (1536, "default", "code"),
        "l1_seconds": (20.0, "environment", "AURA_L1_SECONDS"),
    }


def test_an_environment_can_have_models_of_its_own(start, monkeypatch, flags):
    document = json.loads((flags / "aura.flagd.json").read_text())
    document["flags"]["aura"]["targeting"] = {"if": [{"==": [{"var": "environment"}, "staging"]}, "budget"]}
    (flags / "aura.flagd.json").write_text(json.dumps(document))
    monkeypatch.setenv("ENVIRONMENT", "staging")
    start()
    assert in_force() == PRESETS["budget"]
    monkeypatch.delenv("ENVIRONMENT")
    start()
    assert in_force() == DEFAULT


def test_a_swap_under_load_fails_no_request(start):
    aura = start()
    aura.serve("budget")
    eventually(lambda: in_force() == PRESETS["budget"])

    def talk(number):
        if number in {15, 45}:
            aura.serve("all-deepseek" if number == 15 else "performance")
        return aura.say(f"message {number}", user=f"user {number % 6}")

    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(talk, range(80)))
    assert {reply.status_code for reply in replies} == {200}
    models = [reply.json()["model"] for reply in replies]
    assert (
        {PRESETS["budget"][2], PRESETS["performance"][2]}
        <= set(models)
        <= {preset[2] for preset in PRESETS.values()}
    )
    assert models[-1] == PRESETS["performance"][2]


def test_the_log_says_which_model_is_used_at_the_start_and_at_each_call(start, monkeypatch, caplog):
    caplog.set_level("INFO", logger="aura")
    monkeypatch.setenv("AURA_L1_MODEL", "google/gemma-7b-it")
    aura = start()
    assert ("aura.l1", 20, "Using model: google/gemma-7b-it") in caplog.record_tuples
    caplog.clear()
    aura.answered()
    aura.thought()
    used = {(name, text) for name, _, text in caplog.record_tuples if text.startswith("Using model: ")}
    assert used == {
        ("aura.l1", "Using model: google/gemma-7b-it"),
        ("aura.l2", "Using model: anthropic/claude-3.5-sonnet"),
        ("aura.l3", "Using model: deepseek/deepseek-chat"),
        ("aura.embeddings", "Using model: openai/text-embedding-3-small"),
    }


@pytest.mark.parametrize(("layer", "provider"), [("l3_model", "x/no-such"), ("l3_model", "local/no-such")])
def test_a_model_that_no_provider_has_is_healed_by_the_layer_below(start, caplog, layer, provider):
    aura = start()
    aura.serve("budget", **{layer: provider})
    eventually(lambda: settings.l3_model == provider)
    assert aura.answered()["model"] == "deepseek/deepseek-chat"
    assert f"AuraSettings.{layer}='{provider}'" in caplog.text


def test_l1_that_is_too_slow_is_left_out(start, monkeypatch):
    monkeypatch.setenv("AURA_L1_SECONDS", "0.000001")
    assert start().answered()["instinct"] is None


def test_no_model_at_all_is_a_502(start):
    aura = start()
    aura.cloud.down = True
    assert aura.say().status_code == 502


def test_the_memory_recalls_what_is_most_similar_and_of_that_user_only(start):
    aura = start()
    aura.answered("My dog is called Rex.")
    aura.answered("I like green tea.")
    aura.answered("I have a cat.", user="ben")
    assert aura.answered("What was my dog called?")["memories"][0] == "My dog is called Rex."


def test_the_next_answer_is_made_with_the_analysis_of_l2(start):
    aura = start()
    aura.answered("first")
    eventually(lambda: "claude-3.5-sonnet" in aura.client.get("/users/ada/analysis").json()["analysis"])


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


def test_a_users_profile_is_above_everything_and_usage_is_recorded(
    start, database_url, mirror, sql, monkeypatch
):
    sql((EXAMPLE / "db/presets.sql").read_text())
    sql("update app_configurations set is_active = false where name = 'experimental_v1'")
    [(user, config)] = sql(
        "insert into profiles select gen_random_uuid(), id from app_configurations where name = 'performance'"
        " returning id::text, config_id::text"
    )
    monkeypatch.setenv("AURA_L3_MODEL", "google/gemma-7b-it")
    mirror("aura")
    aura = start()
    eventually(lambda: AuraSettings.for_user(user).l3_model == PRESETS["performance"][2])
    assert aura.answered(user=user)["model"] == PRESETS["performance"][2]
    assert aura.answered(user="somebody else")["model"] == "google/gemma-7b-it"
    columns = 'config_id::text, "values", input_tokens, output_tokens, cost'
    query = f"select {columns} from usage_logs where user_id = %s"
    eventually(lambda: len(sql(query, user)) == 2)  # the answer, and L2's analysis
    rows = sql(query, user)
    assert {row[0] for row in rows} == {config}
    used = {name: value for row in rows for name, value in row[1].items()}
    assert tuple(used[name] for name in LAYERS) == PRESETS["performance"]
    assert all(row[2] > 0 and row[3] > 0 for row in rows)
    costs = [float(row[4]) for row in rows]  # the provider says them
    assert costs == pytest.approx([DOLLARS_A_TOKEN * (row[2] + row[3]) for row in rows])


def test_the_presets_are_the_same_in_env_example_in_the_flag_and_as_profiles(database, sql):
    sections = re.split(r"^# Preset: (\S+).*\n", (EXAMPLE / "env.example").read_text(), flags=re.MULTILINE)[
        1:
    ]
    of_file = {
        name.lower(): tuple(re.findall(r"^# AURA_L\d_MODEL=(\S+)$", text, re.MULTILINE))
        for name, text in zip(sections[::2], sections[1::2], strict=True)
    }
    assert of_file == PRESETS
    variants = json.loads((REPOSITORY / "flagd/aura.flagd.json").read_text())["flags"]["aura"]["variants"]
    of_flag = {name: tuple(values.get(layer) for layer in LAYERS) for name, values in variants.items()}
    assert of_flag == PRESETS | {"default": (None, None, None)}, "the default preset overlays nothing"
    sql((EXAMPLE / "db/presets.sql").read_text())
    rows = sql("select name, settings from app_configurations where name <> 'experimental_v1'")
    assert {name: tuple(values[layer] for layer in LAYERS) for name, values in rows} == PRESETS


def test_every_variable_is_in_env_example_with_its_default():
    text = (EXAMPLE / "env.example").read_text()
    for name, field in AuraSettings.model_fields.items():
        assert re.search(
            rf"^# {field.validation_alias}={re.escape(str(field.default))}$", text, re.MULTILINE
        ), name
    assert {"OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "OLLAMA_BASE_URL", "AURA_MEMORY_PATH"} <= set(
        re.findall(r"^# ([A-Z_]+)=", text, re.MULTILINE)
    )


def test_the_quickstart_names_the_variables_with_their_defaults():
    text = (EXAMPLE / "QUICKSTART.md").read_text()
    for name in (*LAYERS, "embeddings_model"):
        field = AuraSettings.model_fields[name]
        assert f"{field.validation_alias}={field.default}" in text
