"""A retired model is assigned to 10 % of users while the provider has an outage: issue 6's own scenario.

Real parts: an HTTP endpoint on loopback, the openai client with a retry library around it, PostgreSQL.
The outage is shorter than in the story: what matters is the number of requests in it.
"""

import uuid

import openai
import psycopg
import pytest
import tenacity
from tests.flagfiles import profile_flag
from tests.healing.teachers import CONFIG, Teacher

import windsock
from windsock.cli._llm_endpoint import LlmEndpoint
from windsock.healing.quarantine import quarantine
from windsock.usage.reading import Selection, read

RETIRED = "gpt-4o-2024-retired"
USERS = [str(uuid.UUID(int=number)) for number in range(40)]
TREATED = USERS[::10]
ROUNDS = 8
OUTAGE = range(1, 4)
"""Rounds in which the provider is down for the first attempts of every request."""

retry = tenacity.retry(
    stop=tenacity.stop_after_attempt(3),
    retry=tenacity.retry_if_exception_type(openai.InternalServerError),
    reraise=True,
)


@pytest.fixture
def endpoint():
    with LlmEndpoint() as endpoint:
        yield endpoint


@pytest.fixture
def client(endpoint):
    with (
        openai.DefaultHttpxClient(trust_env=False) as transport,
        openai.OpenAI(base_url=endpoint.url, api_key="none", max_retries=0, http_client=transport) as client,
    ):
        yield client


class Service:
    """Answers one question of a user, with the caller's own retries."""

    def __init__(self, client, endpoint):
        self.client = client
        self.endpoint = endpoint

    def ask(self, user, recovers_after):
        """`recovers_after`: attempts of this request that find the provider down; None for all of them."""
        attempts = 0

        def complete(settings):
            nonlocal attempts
            self.endpoint.down = recovers_after is None or attempts < recovers_after
            attempts += 1
            return self.client.chat.completions.create(
                model=settings.reasoning_model,
                temperature=settings.temperature,
                messages=[{"role": "user", "content": "why?"}],
            )

        with windsock.request(request_id=str(uuid.uuid4())) as request:
            teacher = Teacher.for_user(user)
            try:
                reply = retry(lambda: windsock.heal(teacher, complete))()
            except openai.APIStatusError as error:
                return request.request_id, error.status_code
            return request.request_id, reply.model


def recovery(number, position):
    """How long the provider is down for one request: not, for one attempt, or for all of them."""
    if number not in OUTAGE:
        return 0
    return (1, None)[position % 2]


def test_a_retired_model_during_an_outage(serve, database, client, endpoint):
    assigned = profile_flag({CONFIG: {"reasoning_model": RETIRED}}, dict.fromkeys(TREATED, CONFIG))
    serve({"teacher.profile": assigned}, usage=database)
    service = Service(client, endpoint)
    asked = {}
    outage_withdrew = None
    for number in range(ROUNDS):
        for position, user in enumerate(USERS):
            down = recovery(number, position)
            request_id, answer = service.ask(user, down)
            asked[request_id] = (user, down, answer)
        if number == OUTAGE.stop - 1:
            outage_withdrew = [each for each in quarantine.in_force() if each.field != "reasoning_model"]
    (withdrawal,) = quarantine.in_force()
    windsock.stop()

    # nobody is without an answer who would have had one with the default
    for user, down, answer in asked.values():
        assert answer == (503 if down is None else "gpt-4o-mini"), (user, down)
    # withdrawn for what the value did, and nothing for the outage
    assert withdrawal.key == ("teacher.profile", CONFIG, "reasoning_model")
    assert "failed in 5 requests" in withdrawal.reason
    assert "404" in withdrawal.reason or "does not exist" in withdrawal.reason
    assert outage_withdrew == []
    # nobody asked for the retired model after that
    refused = [each for each in endpoint.served if each.status == 404]
    assert len(refused) == 5

    with psycopg.connect(database) as connection:
        rows = read(connection, Selection(limit=10_000))
        assert connection.execute("select count(distinct request_id) from windsock.faults").fetchone() == (5,)
    assert len(rows) == len(asked) == ROUNDS * len(USERS)
    healed = 0
    for row in rows:
        user, down, answer = asked[row.request_id]
        assert row.user_id == user
        assert row.flag == "teacher"
        if answer == 503:
            assert row.healed == []
        else:
            assert row.values == {"reasoning_model": "gpt-4o-mini", "temperature": 0.7}
        for each in row.healed:
            healed += 1
            assert user in TREATED
            assert (each["field"], each["failed_value"], each["fell_to"]) == (
                "reasoning_model",
                RETIRED,
                "default",
            )
        if user in TREATED and row.healed:
            assert str(row.config_id) == CONFIG
    assert healed >= 5
