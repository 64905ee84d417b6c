"""Aura's presets, variables and documents: which models are in force, and what says so."""

import json
import re
from pathlib import Path

import pytest
from aura.config import AuraSettings, settings
from tests.examples.aura.conftest import DEFAULT, EXAMPLE, LAYERS, PRESETS, REPOSITORY, in_force
from tests.waiting import eventually

VARIABLES = ("AURA_L1_MODEL", "AURA_L2_MODEL", "AURA_L3_MODEL")


def test_the_fields_are_the_documents():
    fields = {name: field for name, field in AuraSettings.model_fields.items() if "seconds" not in name}
    assert {
        name: (each.default, each.validation_alias, each.description) for name, each in fields.items()
    } == {
        "l1_model": (DEFAULT[0], "AURA_L1_MODEL", "L1 Instinct Layer - Fast responses (<500ms)"),
        "l2_model": (DEFAULT[1], "AURA_L2_MODEL", "L2 Reasoning Layer - Deep analysis (async)"),
        "l3_model": (DEFAULT[2], "AURA_L3_MODEL", "L3 Synthesis Layer - Primary response generation"),
        "embeddings_model": (
            "openai/text-embedding-3-small",
            "AURA_EMBEDDING_MODEL",
            "Embedding model (1536 dimensions for OpenAI compatibility)",
        ),
        "embeddings_dimension": (1536, "AURA_EMBEDDING_DIMENSION", "Embedding vector dimension"),
    }


def test_no_variables_at_all_give_the_defaults(start):
    aura = start()
    models = aura.health()["models"]
    assert {name: models[name]["value"] for name in models if "seconds" not in name} == {
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
def test_each_preset_by_uncommenting_it_in_a_copy_of_env_example(start, preset):
    head, *sections = re.split(r"^(?=# Preset: )", (EXAMPLE / "env.example").read_text(), flags=re.MULTILINE)
    [chosen] = [text for text in sections if text.lower().startswith(f"# preset: {preset} ")]
    Path(".env").write_text(head + re.sub(r"^# (?=AURA_)", "", chosen, flags=re.MULTILINE))
    models = start().health()["models"]
    assert tuple(models[layer]["value"] for layer in LAYERS) == PRESETS[preset]
    assert {models[layer]["layer"] for layer in LAYERS} == {".env"}


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_as_a_variant_that_is_switched_while_it_runs(start, preset):
    aura = start()
    aura.serve(preset)
    eventually(lambda: in_force() == PRESETS[preset])
    aura.answered()
    assert sorted(aura.thought()) == sorted(PRESETS[preset])


def test_each_preset_as_a_profile_for_users_of_each_at_once(start, database_url, mirror, sql):
    sql((EXAMPLE / "db/presets.sql").read_text())
    users = dict(
        sql(
            "with added as (insert into profiles (id, config_id)"
            " select gen_random_uuid(), id from app_configurations where name <> 'experimental_v1'"
            " returning id, config_id)"
            " select name, added.id::text from added join app_configurations on config_id = app_configurations.id"
        )
    )
    mirror("aura")
    start()

    def served():
        mine = {name: AuraSettings.for_user(user) for name, user in users.items()}
        return {name: tuple(getattr(each, layer) for layer in LAYERS) for name, each in mine.items()}

    eventually(lambda: served() == PRESETS)
    assert in_force() == DEFAULT


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
        "embeddings_seconds": (60.0, "environment", "AURA_EMBEDDING_SECONDS"),
    }


def test_an_environment_can_have_its_own_models(start, monkeypatch, flags):
    document = json.loads((flags / "aura.flagd.json").read_text())
    document["flags"]["aura"]["targeting"] = {"if": [{"==": [{"var": "environment"}, "staging"]}, "budget"]}
    (flags / "aura.flagd.json").write_text(json.dumps(document))
    monkeypatch.setenv("ENVIRONMENT", "staging")
    start()
    assert in_force() == PRESETS["budget"]
    monkeypatch.delenv("ENVIRONMENT")
    start()
    assert in_force() == DEFAULT


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
    for name in (*LAYERS, "embeddings_model", "embeddings_dimension"):
        field = AuraSettings.model_fields[name]
        assert f"{field.validation_alias}={field.default}" in text
