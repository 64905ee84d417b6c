"""Aura's layers over HTTP, with the openai client: who is asked, what for, and what happens when it goes wrong."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from aura.config import AuraSettings, settings
from aura.main import app
from examples.vendors import DOLLARS_A_TOKEN
from tests.examples.aura.conftest import DEFAULT, EXAMPLE, LAYERS, PRESETS, in_force
from tests.waiting import eventually


def test_a_local_model_is_asked_of_ollama_under_its_own_name(start, monkeypatch):
    monkeypatch.setenv("AURA_L1_MODEL", "local/phi-3-mini-4k")
    aura = start()
    assert aura.answered()["instinct"].startswith("phi-3-mini-4k answers")
    assert [each.model for each in aura.local.served] == ["phi-3-mini-4k"]


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
    expected = {
        ("aura.l1", "Using model: google/gemma-7b-it"),
        ("aura.l2", "Using model: anthropic/claude-3.5-sonnet"),
        ("aura.l3", "Using model: deepseek/deepseek-chat"),
        ("aura.embeddings", "Using model: openai/text-embedding-3-small"),
    }

    def used():
        return {(name, text) for name, _, text in caplog.record_tuples if text.startswith("Using model: ")}

    assert used() == expected
    caplog.clear()
    aura.answered()
    aura.thought()
    assert used() == expected


@pytest.mark.parametrize(("layer", "provider"), [("l3_model", "x/no-such"), ("l3_model", "local/no-such")])
def test_a_model_that_no_provider_has_is_healed_by_the_layer_below(start, caplog, layer, provider):
    aura = start()
    aura.serve("budget", **{layer: provider})
    eventually(lambda: settings.l3_model == provider)
    assert aura.answered()["model"] == "deepseek/deepseek-chat"
    assert f"AuraSettings.{layer}='{provider}'" in caplog.text


def test_l1_that_is_too_slow_is_left_out_and_the_log_says_why(start, monkeypatch, caplog):
    monkeypatch.setenv("AURA_L1_SECONDS", "0.000001")
    assert start().answered()["instinct"] is None
    assert "L1 has no instinct for this message (slower than 1e-06 s)" in caplog.text


def test_no_model_at_all_is_a_502(start):
    aura = start()
    aura.cloud.down = True
    assert aura.say().status_code == 502


def test_l3_answers_from_the_instinct_the_memories_and_the_last_analysis(start):
    aura = start()
    aura.answered("first")
    eventually(aura.analysis)
    aura.answered("second")
    asked = [each.request["messages"] for each in aura.cloud.served if each.model == DEFAULT[2]]
    assert asked[-1] == [
        {
            "role": "system",
            "content": "Answer this person.\n"
            "Instinct: mistralai/mistral-7b-instruct answers: second\n"
            "Analysis: anthropic/claude-3.5-sonnet answers: first\n"
            "Earlier: first",
        },
        {"role": "user", "content": "second"},
    ]


def test_only_the_end_of_the_service_waits_for_l2(start, monkeypatch):
    monkeypatch.setenv("AURA_L2_MODEL", "local/slow")
    with ThreadPoolExecutor(1) as pool:
        with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes a request and never answers
            monkeypatch.setenv("OLLAMA_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
            aura = start()
            pool.submit(aura.answered).result(60)
            assert aura.analysis() == ""
            ending = pool.submit(aura.client.__exit__, None, None, None)
        ending.result(60)
    assert app.state.mind.analyses["ada"].startswith("anthropic/claude-3.5-sonnet answers")


def test_an_ollama_that_is_down_is_asked_once_and_healed_in_the_time_that_l1_has(start, monkeypatch):
    monkeypatch.setenv("AURA_L1_MODEL", "local/phi-3-mini-4k")
    aura = start()
    aura.local.down = True
    assert aura.answered()["instinct"].startswith(f"{DEFAULT[0]} answers")
    assert [each.status for each in aura.local.served] == [503], (
        "the client's retries take longer than L1 has"
    )


def test_without_a_key_the_log_says_what_can_answer(start, monkeypatch, caplog):
    monkeypatch.setenv("OPENROUTER_API_KEY", "")
    reply = start().say()
    assert "OPENROUTER_API_KEY is not set: only models under local/ can answer" in caplog.text
    assert (reply.status_code, "Incorrect API key" in reply.json()["detail"]) == (502, True)


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
    columns = 'config_id::text, "values", input_tokens, output_tokens, cost, answered_model'
    query = f"select {columns} from usage_logs where user_id = %s"
    eventually(lambda: len(sql(query, user)) == 2)  # the answer, and L2's analysis
    rows = sql(query, user)
    assert {row[0] for row in rows} == {config}
    used = {name: value for row in rows for name, value in row[1].items()}
    assert tuple(used[name] for name in LAYERS) == PRESETS["performance"]
    assert all(row[2] > 0 and row[3] > 0 for row in rows)
    assert sum(row[2] for row in rows) == sum(words(each.request) for each in aura.cloud.served)
    assert {row[5] for row in rows} == set(PRESETS["performance"][1:])  # of the analysis and the answer
    costs = [float(row[4]) for row in rows]  # the provider says them
    assert costs == pytest.approx([DOLLARS_A_TOKEN * (row[2] + row[3]) for row in rows])
    assert aura.answered(user="somebody else")["model"] == "google/gemma-7b-it"


def words(request):
    """What the loopback provider counts as tokens of a request, an answer's or an embedding's."""
    texts = [each["content"] for each in request["messages"]] if "messages" in request else [request["input"]]
    return sum(len(text.split()) for text in texts)
