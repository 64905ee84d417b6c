"""The AI Teacher: what its document asks for, over HTTP, on PostgreSQL, the mirror and the openai client."""

import json
import logging
import os
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from app.core.config import Prices, Settings, settings
from app.main import app
from app.services.config_manager import ConfigManager
from fastapi.testclient import TestClient
from openfeature import api
from openfeature.hook import Hook
from pydantic import ValidationError
from tests.waiting import eventually

import windsock

REPOSITORY = Path(__file__).parents[2]
QUESTION = "Why is the sky blue?"
DEFAULTS = {
    "retrieval_top_k": 10,
    "rerank_top_n": 3,
    "reasoning_model": "gpt-4o-mini",
    "temperature": 0.7,
    "max_answer_tokens": 600,
    "message_credits": 1,
    "answer_without_wallet": 3,
}
EXPERIMENTAL_V1 = DEFAULTS | {
    "retrieval_top_k": 25,
    "rerank_top_n": 5,
    "reasoning_model": "gpt-4o",
    "temperature": 0.2,
}


class School:
    """The service and its database, with hands for what people do."""

    def __init__(self, client, endpoint, sql):
        self.client, self.endpoint, self.sql = client, endpoint, sql
        [(self.profile,)] = sql("select id::text from app_configurations where name = 'experimental_v1'")

    def pupil(self, *, config_id=None, tier="free", balance=100):
        user_id = str(uuid.uuid4())
        self.sql("insert into profiles (id, config_id) values (%s, %s)", user_id, config_id)
        self.sql("insert into wallets (user_id, tier, balance) values (%s, %s, %s)", user_id, tier, balance)
        if config_id:
            self.serves(user_id, "retrieval_top_k", self.setting(config_id, "retrieval_top_k"))
        return user_id

    def configuration(self, name, values):
        [(config_id,)] = self.sql(
            "insert into app_configurations (name, settings) values (%s, %s) returning id::text",
            name,
            json.dumps(values),
        )
        return config_id

    def setting(self, config_id, name):
        return self.sql("select settings -> %s from app_configurations where id = %s", name, config_id)[0][0]

    def change(self, config_id, name, value):
        self.sql(
            "update app_configurations set settings = settings || jsonb_build_object(%s::text, %s::jsonb) where id = %s",
            name,
            json.dumps(value),
            config_id,
        )

    def serves(self, user_id, name, value):
        eventually(lambda: getattr(Settings.for_user(user_id), name) == value)

    def balance(self, user_id):
        return self.sql("select balance from wallets where user_id = %s", user_id)[0][0]

    def ask(self, user_id, message=QUESTION):
        return self.client.post("/chat", json={"user_id": user_id, "message": message})

    def answered(self, user_id):
        reply = self.ask(user_id)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def usage(self, user_id):
        columns = (
            'config_id::text, variant, "values", healed, answered_model, input_tokens, output_tokens, cost'
        )
        return self.sql(f"select {columns} from usage_logs where user_id = %s order by requested_at", user_id)


class Evaluated(Hook):
    """Which flags were evaluated."""

    def __init__(self):
        self.flags = []

    def before(self, hook_context, hints):
        self.flags.append(hook_context.flag_key)


@pytest.fixture
def variables(monkeypatch, flags, endpoint):
    """What a deployment of the service sets; flags as in Git."""
    (flags / "teacher.flagd.json").write_bytes((REPOSITORY / "flagd/teacher.flagd.json").read_bytes())
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_LOG", "")


@pytest.fixture
def school(*, variables, database_url, mirror, sql, endpoint, monkeypatch):
    monkeypatch.setenv("WALLET_SECONDS", "30")  # a loaded machine is no outage
    mirror("teacher")
    with TestClient(app) as client:
        yield School(client, endpoint, sql)


@pytest.fixture
def impatient(school, monkeypatch):
    """The same service, which gives the database so little time that tests can wait for it to pass."""
    monkeypatch.setenv("WALLET_SECONDS", "0.2")
    with TestClient(app) as client:
        yield School(client, school.endpoint, school.sql)


@pytest.fixture
def locked(database):
    """Hold a lock on the wallets, as a migration or a person at an SQL editor does."""

    @contextmanager
    def hold():
        with psycopg.connect(database) as holder:
            holder.execute("lock table wallets")
            yield

    return hold


def test_without_a_profile_every_value_is_the_codes_default(school):
    pupil = school.pupil()
    reply = school.answered(pupil)
    assert (reply["model"], reply["passages_found"], len(reply["passages_read"])) == ("gpt-4o-mini", 10, 3)
    assert (reply["config"], reply["config_id"]) == ({}, None)
    assert ConfigManager().get_user_config(pupil) == {}
    assert school.endpoint.served[-1].request["temperature"] == 0.7


def test_experimental_v1_applies(school):
    pupil = school.pupil(config_id=school.profile)
    reply = school.answered(pupil)
    assert (reply["model"], reply["passages_found"], len(reply["passages_read"])) == ("gpt-4o", 25, 5)
    assert (reply["config"], reply["config_id"]) == (EXPERIMENTAL_V1, school.profile)
    assert ConfigManager().get_user_config(pupil) == EXPERIMENTAL_V1
    assert school.endpoint.served[-1].request["temperature"] == 0.2


def test_a_partial_profile_is_merged_over_the_settings_of_the_code(school):
    pupil = school.pupil(config_id=school.configuration("short", {"retrieval_top_k": 4}))
    assert ConfigManager().get_user_config(pupil) == DEFAULTS | {"retrieval_top_k": 4}


def test_a_configuration_that_changes_nothing_is_one_all_the_same(school):
    """The control group of an A/B test is found in usage_logs."""
    pupil, control = school.pupil(), school.configuration("control", {})
    school.sql("update profiles set config_id = %s where id = %s", control, pupil)
    eventually(lambda: ConfigManager().get_user_config(pupil) == DEFAULTS)
    reply = school.answered(pupil)
    assert (reply["config"], reply["config_id"]) == (DEFAULTS, control)
    eventually(lambda: len(school.usage(pupil)) == 1)
    assert school.usage(pupil)[0][0] == control


def test_the_model_reads_the_passages_and_answers_within_the_bound_of_the_profile(school):
    short = school.configuration("short", {"retrieval_top_k": 4, "max_answer_tokens": 90})
    reply = school.answered(school.pupil(config_id=short))
    request = school.endpoint.served[-1].request
    system, user = request["messages"]
    assert [line.partition(": ")[0] for line in system["content"].splitlines()[2:]] == reply["passages_read"]
    assert (user["content"], request["max_completion_tokens"]) == (QUESTION, 90)


def test_a_change_in_the_database_reaches_the_next_message_of_that_user_and_no_other(school):
    tuned = school.pupil(config_id=school.profile)
    other = school.pupil(config_id=school.configuration("other", {"retrieval_top_k": 12}))
    assert school.answered(tuned)["passages_found"] == 25
    school.change(school.profile, "retrieval_top_k", 31)
    eventually(lambda: school.answered(tuned)["passages_found"] == 31)
    assert school.answered(other)["passages_found"] == 12
    assert school.answered(school.pupil())["passages_found"] == 10


def test_two_users_in_two_profiles_at_once(school):
    small = school.pupil(config_id=school.configuration("small", {"retrieval_top_k": 4, "rerank_top_n": 2}))
    large = school.pupil(config_id=school.profile)
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(school.answered, [small, large] * 12))
    seen = {(reply["passages_found"], len(reply["passages_read"]), reply["model"]) for reply in replies[::2]}
    assert seen == {(4, 2, "gpt-4o-mini")}
    seen = {(reply["passages_found"], len(reply["passages_read"]), reply["model"]) for reply in replies[1::2]}
    assert seen == {(25, 5, "gpt-4o")}


def test_a_deactivated_configuration_no_longer_counts_from_the_next_message(school):
    pupil = school.pupil(config_id=school.profile)
    assert school.answered(pupil)["config_id"] == school.profile
    school.sql("update app_configurations set is_active = false where id = %s", school.profile)
    school.serves(pupil, "retrieval_top_k", 10)
    reply = school.answered(pupil)
    assert (reply["model"], reply["config"], reply["config_id"]) == ("gpt-4o-mini", {}, None)


def errors_of(caplog, logger):
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.ERROR and record.name == logger
    ]


def test_a_bad_model_name_is_logged_with_its_fallback_and_answered_with_the_default(school, caplog):
    pupil = school.pupil(config_id=school.profile)
    school.change(school.profile, "reasoning_model", "gpt-4oo")
    school.serves(pupil, "reasoning_model", "gpt-4oo")
    reply = school.answered(pupil)
    assert (reply["model"], reply["passages_found"]) == ("gpt-4o-mini", 25)
    assert [(each.model, each.status) for each in school.endpoint.served] == [
        ("gpt-4oo", 404),
        ("gpt-4o-mini", 200),
    ]
    [own] = errors_of(caplog, "ai_teacher")
    assert own.startswith("Config parameter gpt-4oo failed: Error code: 404")
    assert own.endswith("have access to it. Falling back to default.")
    [healing] = errors_of(caplog, "windsock.healing")
    assert "Settings.reasoning_model='gpt-4oo'" in healing
    assert "falling back to 'gpt-4o-mini'" in healing


def test_a_model_that_worked_until_now_comes_before_the_default_and_the_log_says_so(school, caplog):
    pupil = school.pupil(config_id=school.profile)
    assert school.answered(pupil)["model"] == "gpt-4o"
    school.change(school.profile, "reasoning_model", "gpt-4oo")
    school.serves(pupil, "reasoning_model", "gpt-4oo")
    assert school.answered(pupil)["model"] == "gpt-4o"
    [line] = errors_of(caplog, "ai_teacher")
    assert line.startswith("Config parameter gpt-4oo failed: ")
    assert line.endswith(". Falling back to reasoning_model=gpt-4o, the last value that worked.")


def test_the_line_blames_the_parameter_that_was_refused(school, caplog):
    school.endpoint.hottest = 1.0  # this model takes less than the settings allow
    hot = school.configuration("hot", {"retrieval_top_k": 4, "reasoning_model": "gpt-4o", "temperature": 1.5})
    reply = school.answered(school.pupil(config_id=hot))
    assert reply["model"] == "gpt-4o"
    [line] = errors_of(caplog, "ai_teacher")
    assert line.startswith("Config parameter temperature=1.5 failed: ")
    assert line.endswith(". Falling back to default.")


def test_a_fall_that_answers_nothing_is_not_announced(school, caplog):
    pupil = school.pupil(config_id=school.profile)
    school.endpoint.down = True
    assert school.ask(pupil).status_code == 502
    assert errors_of(caplog, "ai_teacher") == []


def test_an_error_that_ends_in_a_full_stop_ends_in_one(school, caplog):
    school.endpoint.models = ("gpt-4o-mini",)
    school.endpoint.refusal = lambda model: (404, None)
    school.answered(school.pupil(config_id=school.profile))
    [line] = errors_of(caplog, "ai_teacher")
    assert ".." not in line


def streamed(school, user_id):
    body = {"user_id": user_id, "message": QUESTION}
    with school.client.stream("POST", "/chat/stream", json=body) as reply:
        return reply.status_code, list(reply.iter_text())


def test_an_answer_is_streamed_counted_and_charged(school):
    pupil = school.pupil(config_id=school.profile, balance=7)
    status, parts = streamed(school, pupil)
    assert (status, "".join(parts)) == (200, f"gpt-4o answers: {QUESTION}")
    assert len(parts) > 1
    assert school.balance(pupil) == 6
    eventually(lambda: len(school.usage(pupil)) == 1)
    [(config_id, *_, model, sent, received, cost)] = school.usage(pupil)
    assert (config_id, model, received) == (school.profile, "gpt-4o", 7)
    assert cost == sent * Decimal("0.0000025") + received * Decimal("0.00001")


def test_a_streamed_answer_is_healed_before_its_first_part(school, caplog):
    pupil = school.pupil(config_id=school.profile)
    school.change(school.profile, "reasoning_model", "gpt-4oo")
    school.serves(pupil, "reasoning_model", "gpt-4oo")
    status, parts = streamed(school, pupil)
    assert (status, "".join(parts)) == (200, f"gpt-4o-mini answers: {QUESTION}")
    [line] = errors_of(caplog, "ai_teacher")
    assert line.startswith("Config parameter gpt-4oo failed: Error code: 404")


def test_a_stream_that_no_model_begins_is_an_error_and_costs_nothing(school):
    pupil = school.pupil(balance=5)
    school.endpoint.down = True
    assert streamed(school, pupil)[0] == 502
    assert school.balance(pupil) == 5


def test_usage_logs_record_the_configuration_the_values_and_what_was_healed(school):
    plain, tuned = school.pupil(), school.pupil(config_id=school.profile)
    school.answered(plain)
    school.answered(tuned)
    school.change(school.profile, "reasoning_model", "gpt-4oo")
    school.serves(tuned, "reasoning_model", "gpt-4oo")
    school.answered(tuned)
    eventually(lambda: len(school.usage(plain)) == 1 and len(school.usage(tuned)) == 2)
    [(config_id, variant, values, healed, model, sent, received, _)] = school.usage(plain)
    assert (config_id, variant, healed, model) == (None, "production", [], "gpt-4o-mini")
    assert (values["reasoning_model"], values["retrieval_top_k"]) == ("gpt-4o-mini", 10)
    assert sent > 0
    assert received > 0
    (first, _, _, nothing, *_), (second, _, _, [failed], *_) = school.usage(tuned)
    assert (first, second, nothing) == (school.profile, school.profile, [])
    assert (failed["field"], failed["failed_value"]) == ("reasoning_model", "gpt-4oo")


def test_usage_logs_record_what_an_answer_cost_at_the_price_of_the_model_that_answered(school):
    plain, tuned = school.pupil(), school.pupil(config_id=school.profile)
    school.answered(plain)
    school.change(school.profile, "reasoning_model", "gpt-4oo")
    school.serves(tuned, "reasoning_model", "gpt-4oo")
    school.answered(tuned)  # gpt-4oo fails and costs nothing; gpt-4o-mini answers
    eventually(lambda: len(school.usage(plain)) == 1 and len(school.usage(tuned)) == 1)
    for pupil in (plain, tuned):
        [(*_, model, sent, received, cost)] = school.usage(pupil)
        assert model == "gpt-4o-mini"
        assert cost == sent * Decimal("0.00000015") + received * Decimal("0.0000006")


def test_prices_are_the_deployments_and_a_model_without_one_has_an_unknown_cost(monkeypatch):
    monkeypatch.setenv("OPENAI_PRICES", '{"own-model": {"sent": "2", "received": 8.5}}')
    prices = Prices()
    assert prices.cost("own-model", 1000, 100) == Decimal("0.00285")
    assert prices.cost("gpt-4o", 1000, 100) is None
    monkeypatch.setenv("OPENAI_PRICES", "")
    assert Prices().cost("gpt-4o", 1_000_000, 100_000) == Decimal("3.5")
    monkeypatch.setenv("OPENAI_PRICES", '{"own-model": {"sent": "-2", "received": 8.5}}')
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Prices()


def test_an_insolvent_wallet_is_refused_before_any_configuration_is_read(school):
    pupil = school.pupil(config_id=school.profile, balance=0)
    refused = school.ask(pupil)
    assert (refused.status_code, refused.json()["detail"]) == (
        402,
        f"the wallet of user {pupil} is empty; top it up",
    )
    assert school.endpoint.served == []
    evaluated = Evaluated()
    api.add_hooks([evaluated])
    try:
        school.ask(pupil)
        assert evaluated.flags == []
        school.answered(school.pupil())
        assert "teacher" in evaluated.flags
    finally:
        api.clear_hooks()


def test_an_answer_takes_its_credits_until_the_wallet_is_empty(school):
    pupil = school.pupil(
        config_id=school.configuration("dear", {"retrieval_top_k": 4, "message_credits": 7}), balance=10
    )
    assert [school.ask(pupil).status_code for _ in range(3)] == [200, 200, 402]
    assert school.sql("select balance from wallets where user_id = %s", pupil) == [(0,)]


def test_a_pupil_of_a_school_is_answered_whatever_the_balance(school):
    pupils = [school.pupil(tier="school", balance=balance) for balance in (0, 3)]
    assert [school.ask(pupil).status_code for pupil in pupils] == [200, 200]
    assert school.sql("select balance from wallets order by balance") == [(0,), (3,)]


def test_a_user_without_a_wallet_learns_what_to_do(school):
    refused = school.ask(str(uuid.uuid4()))
    assert refused.status_code == 402
    assert "insert one into wallets" in refused.json()["detail"]


def test_the_tier_can_be_targeted_by_git(school, flags):
    document = json.loads((flags / "teacher.flagd.json").read_text())
    document["flags"]["teacher"]["variants"]["pro"] = {"retrieval_top_k": 17}
    document["flags"]["teacher"]["targeting"] = {"if": [{"==": [{"var": "tier"}, "pro"]}, "pro"]}
    (flags / "teacher.flagd.json").write_text(json.dumps(document))
    pro, free = school.pupil(tier="pro"), school.pupil()
    eventually(lambda: school.answered(pro)["passages_found"] == 17)
    assert school.answered(free)["passages_found"] == 10
    fields = school.client.get(f"/users/{pro}/settings").json()["fields"]
    assert next(each["value"] for each in fields if each["field"] == "retrieval_top_k") == 17


def test_a_value_out_of_range_never_reaches_the_service(school, caplog):
    config_id = school.configuration(
        "wild", {"retrieval_top_k": 11, "temperature": 9, "rerank_top_n": "many"}
    )
    reply = school.answered(school.pupil(config_id=config_id))
    assert reply["config"] == DEFAULTS | {"retrieval_top_k": 11}
    refused = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(refused) == 2


def test_the_model_of_the_environment_is_the_default_that_a_profile_overrides(school, monkeypatch):
    monkeypatch.setenv("OPENAI_CHAT_MODEL", "gpt-4o")
    windsock.reload()
    assert settings.OPENAI_CHAT_MODEL == "gpt-4o"
    assert school.answered(school.pupil())["model"] == "gpt-4o"


def test_a_service_that_cannot_reach_any_model_says_so(school):
    school.endpoint.down = True
    reply = school.ask(school.pupil())
    assert reply.status_code == 502
    assert "did not answer" in reply.json()["detail"]


@pytest.mark.parametrize(
    "body", [{"user_id": "not-a-uuid", "message": "?"}, {"user_id": str(uuid.uuid4()), "message": " "}]
)
def test_an_invalid_message_is_refused(school, body):
    assert school.client.post("/chat", json=body).status_code == 422


def test_during_a_lock_no_message_of_an_empty_wallet_is_answered(impatient, locked):
    """Seen empty, emptied meanwhile or never seen: who has no credits gets no answer from an outage."""
    seen, unseen = impatient.pupil(balance=0), impatient.pupil(balance=0)
    assert impatient.ask(seen).status_code == 402
    with locked(), ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(impatient.ask, [seen, unseen] * 20))
    assert {reply.status_code for reply in replies} == {503}
    assert "cannot be read now" in replies[0].json()["detail"]
    assert impatient.endpoint.served == []


def test_answers_on_credit_are_bounded_recorded_and_charged_afterwards(impatient, locked, caplog):
    rich, poor = impatient.pupil(balance=10), impatient.pupil(balance=2)
    for pupil in (rich, poor):
        impatient.answered(pupil)
    with locked(), ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(impatient.ask, [rich] * 8))
        assert sorted(reply.status_code for reply in replies) == [200] * 3 + [503] * 5
        assert [impatient.ask(poor).status_code for _ in range(2)] == [200, 503], "its last credit"
    assert "1 credits of" in caplog.text
    eventually(lambda: impatient.ask(rich).status_code == 200 and impatient.balance(poor) == 0)
    taken = sum(reply.status_code == 200 for reply in replies)
    charges = impatient.sql("select count(*) from wallet_charges where user_id = %s and credits = 1", rich)
    assert impatient.balance(rich) == 10 - charges[0][0]
    assert charges[0][0] >= 1 + taken + 1


def test_a_deployment_may_refuse_to_answer_on_credit(impatient, locked):
    none = impatient.configuration("none", {"retrieval_top_k": 4, "answer_without_wallet": 0})
    pupil = impatient.pupil(config_id=none)
    impatient.answered(pupil)
    with locked():
        assert impatient.ask(pupil).status_code == 503


def test_what_is_owed_outlives_the_service(impatient, locked):
    pupil = impatient.pupil(balance=10)
    impatient.answered(pupil)
    with locked():
        impatient.answered(pupil)
    with TestClient(app):
        eventually(lambda: impatient.balance(pupil) == 8)


def test_a_server_that_is_paused_holds_no_message(impatient, monkeypatch):
    pupil = impatient.pupil(balance=10)
    impatient.answered(pupil)
    backends = impatient.sql(
        "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    )
    for (pid,) in backends:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert impatient.answered(pupil)["model"] == "gpt-4o-mini"
    finally:
        for (pid,) in backends:
            os.kill(pid, signal.SIGCONT)


def test_with_the_database_down_from_the_start_no_answer_is_free(variables, monkeypatch, endpoint):
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/none")
    with TestClient(app) as client:
        reply = client.post("/chat", json={"user_id": str(uuid.uuid4()), "message": QUESTION})
    assert (reply.status_code, reply.headers["Retry-After"], endpoint.served) == (503, "5", [])


def test_wallets_count_once_the_database_is_back_that_was_away_at_the_start(
    variables, database_url, sql, monkeypatch
):
    monkeypatch.setenv("WALLET_SECONDS", "30")
    sql("alter table profiles rename to away")
    with TestClient(app) as client:
        message = {"user_id": str(uuid.uuid4()), "message": QUESTION}
        assert client.post("/chat", json=message).status_code == 503
        sql("alter table away rename to profiles")
        assert client.post("/chat", json=message).status_code == 402


def test_health_and_settings_say_where_each_value_comes_from(school):
    pupil = school.pupil(config_id=school.profile)
    fields = {
        field["field"]: field for field in school.client.get(f"/users/{pupil}/settings").json()["fields"]
    }
    assert (fields["retrieval_top_k"]["layer"], fields["retrieval_top_k"]["config_id"]) == (
        "profile",
        school.profile,
    )
    assert fields["message_credits"]["layer"] == "default"
    health = school.client.get("/health").json()
    assert (health["status"], health["settings"], health["flags"]["ready"]) == ("ok", DEFAULTS, True)


def test_the_configuration_is_in_the_state_of_the_agent(school):
    tuned, plain = school.pupil(config_id=school.profile), school.pupil()
    teacher = school.client.app.state.teacher
    state = teacher.answer(uuid.UUID(tuned), QUESTION)
    assert (state["config"], state["settings"].model_dump()) == (EXPERIMENTAL_V1, EXPERIMENTAL_V1)
    state = teacher.answer(uuid.UUID(plain), QUESTION)
    assert (state["config"], state["settings"].model_dump()) == ({}, DEFAULTS)


def test_the_table_of_configurations_is_the_documents(sql):
    rows = sql(
        "select column_name, data_type, is_nullable, column_default from information_schema.columns"
        " where table_name = 'app_configurations'"
    )
    assert {name: tuple(rest) for name, *rest in rows} == {
        "id": ("uuid", "NO", "gen_random_uuid()"),
        "name": ("text", "NO", None),
        "description": ("text", "YES", None),
        "settings": ("jsonb", "NO", "'{}'::jsonb"),
        "is_active": ("boolean", "YES", "true"),
        "created_at": ("timestamp with time zone", "YES", "now()"),
        "updated_at": ("timestamp with time zone", "YES", "now()"),
    }
