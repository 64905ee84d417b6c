"""A retired model is assigned to 10 % of users while the provider has a 30-second outage: issue 6's own scenario.

Real parts: an HTTP endpoint on loopback, the openai client with a retry library around it, several threads,
PostgreSQL, and an outage of thirty seconds on the clock. Another 10 % have a model that is not the default and
that nothing is wrong with.
"""

import itertools
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import openai
import psycopg
import pytest
import tenacity
from opentelemetry import trace as otel
from tests.flagfiles import object_flag, profile_flag, write_flags
from tests.healing.teachers import CONFIG, OTHER, Teacher
from tests.waiting import eventually

import windsock
from windsock.demo.endpoint import LlmEndpoint
from windsock.healing.quarantine import quarantine
from windsock.usage.reading import Selection, read

OUTAGE = 30.0
"""Seconds."""
ATTEMPTS = 3
"""How often the service itself tries, as it would without windsock."""

DEFAULT, HEALTHY, RETIRED = "gpt-4o-mini", "gpt-4o", "gpt-4-retired"
USERS = [str(uuid.UUID(int=number)) for number in range(50)]
DOWN = {429, 500, 502, 503}
UNLUCKY, LUCKY = USERS[::10], USERS[5::10]
COST = Decimal("0.0012")

retry = tenacity.retry(
    stop=tenacity.stop_after_attempt(ATTEMPTS),
    wait=tenacity.wait_fixed(0.2),
    retry=tenacity.retry_if_exception_type((openai.InternalServerError, openai.RateLimitError)),
    reraise=True,
)


class Provider(LlmEndpoint):
    """Has an outage as they are: most answers say so, some that there are too many requests."""

    refusals = itertools.cycle(DOWN)

    def answer(self, request):
        status, body = super().answer(request)
        return (next(self.refusals), body) if status == 503 else (status, body)


@dataclass
class Asked:
    """One request of the service, as the service itself saw it."""

    user: str
    request_id: str
    trace_id: int
    before: datetime
    after: datetime | None = None
    inner: float = 0.0
    outer: float = 0.0
    runs: list[tuple[str, int]] = field(default_factory=list)
    tokens: tuple[int, int] | None = None

    @property
    def answered(self):
        return self.runs[-1][1] == 200

    @property
    def assigned(self):
        """The model that it was given first."""
        return self.runs[0][0]


class Service:
    """Answers questions in several threads until it is told to stop."""

    def __init__(self, client):
        self.client = client
        self.asked = []
        self.stopping = threading.Event()

    def run(self):
        for user in itertools.cycle(USERS):
            if self.stopping.is_set():
                return
            yield user

    def ask(self, user):
        asked = Asked(user, str(uuid.uuid4()), uuid.uuid4().int, datetime.now(UTC))
        began = time.perf_counter()
        span = otel.NonRecordingSpan(otel.SpanContext(asked.trace_id, 1, is_remote=False))
        with otel.use_span(span), windsock.request(request_id=asked.request_id) as request:
            inside = time.perf_counter()
            teacher = Teacher.for_user(user)
            try:
                reply = retry(lambda: windsock.heal(teacher, lambda s: self.complete(s, asked)))()
            except openai.APIStatusError:
                pass
            else:
                asked.tokens = reply.usage.prompt_tokens, reply.usage.completion_tokens
                request.tokens(input=asked.tokens[0], output=asked.tokens[1], cost=COST)
            asked.inner = time.perf_counter() - inside
        asked.outer = time.perf_counter() - began
        asked.after = datetime.now(UTC)
        self.asked.append(asked)

    def complete(self, settings, asked):
        status = 200
        try:
            return self.client.chat.completions.create(
                model=settings.reasoning_model,
                temperature=settings.temperature,
                messages=[{"role": "user", "content": "why?"}],
            )
        except openai.APIStatusError as error:
            status = error.status_code
            raise
        finally:
            asked.runs.append((settings.reasoning_model, status))


@pytest.fixture
def provider():
    with Provider() as provider:
        yield provider


@pytest.fixture
def service(provider):
    with (
        openai.DefaultHttpxClient(trust_env=False) as transport,
        openai.OpenAI(base_url=provider.url, api_key="none", max_retries=0, http_client=transport) as client,
    ):
        yield Service(client)


class Working:
    """The service at work, four threads, in the background of the test."""

    def __init__(self, service):
        self.service = service
        self.users = service.run()
        self.lock = threading.Lock()

    def __enter__(self):
        self.pool = ThreadPoolExecutor(4)
        self.workers = [self.pool.submit(self.work) for _ in range(4)]
        return self

    def __exit__(self, *_):
        self.service.stopping.set()
        self.pool.shutdown()
        for worker in self.workers:
            worker.result()

    def work(self):
        while True:
            with self.lock:
                user = next(self.users, None)
            if user is None:
                return
            self.service.ask(user)
            time.sleep(0.05)  # people take their time: the test is to be about the clock, not about load


MODELS = {CONFIG: RETIRED, OTHER: HEALTHY}


def flags(assigned):
    """The flags where these configurations are assigned to these users."""
    configurations = {config: {"reasoning_model": MODELS[config]} for config in assigned}
    users = {user: config for config, some in assigned.items() for user in some}
    base = object_flag({"base": {}}, "base")
    return {"teacher": base, "teacher.profile": profile_flag(configurations, users)}


def test_a_retired_model_during_an_outage(serve, database, provider, service):
    folder = serve(flags({OTHER: LUCKY}), usage=database)
    first_revision = windsock.health().revision
    with ExitStack() as stack:
        stack.enter_context(Working(service))
        eventually(lambda: len(service.asked) >= len(USERS))

        outage_began = datetime.now(UTC)
        provider.down = True
        over = time.monotonic() + OUTAGE
        eventually(lambda: any(not each.answered for each in service.asked))
        assignment_began = datetime.now(UTC)
        write_flags(folder / "test.flagd.json", flags({OTHER: LUCKY, CONFIG: UNLUCKY}))
        windsock.reload()
        assignment_ended, second_revision = datetime.now(UTC), windsock.health().revision
        while time.monotonic() < over:
            time.sleep(0.1)
        withdrawn_by_the_outage = quarantine.in_force()
        outage_ended = datetime.now(UTC)
        provider.down = False

        eventually(quarantine.in_force)
        withdrawn_at, so_far = datetime.now(UTC), len(service.asked)
        eventually(lambda: len(service.asked) >= so_far + 2 * len(USERS))
    (withdrawal,) = quarantine.in_force()
    windsock.stop()
    asked = {each.request_id: each for each in service.asked}
    rows = stored(database)

    # it was an outage, and the retired model was asked for in it and after it
    assert (outage_ended - outage_began).total_seconds() >= OUTAGE
    assert sum(not each.answered for each in asked.values()) > len(USERS)
    with_retired = {status for each in asked.values() for model, status in each.runs if model == RETIRED}
    assert 404 in with_retired
    assert with_retired & DOWN

    # nobody is without an answer who would have had one with the default: it was tried, as often as the service
    # tries without windsock, and each time the provider was down
    for each in asked.values():
        if not each.answered:
            assert outage_began <= each.after
            assert each.before <= outage_ended
            by_default = [status for model, status in each.runs if model == DEFAULT]
            assert len(by_default) == ATTEMPTS, each
            assert DOWN.issuperset(by_default), each

    # the value is withdrawn for what it did, and nothing is for the outage, the healthy model included
    assert withdrawn_by_the_outage == ()
    assert withdrawal.key == ("teacher.profile", CONFIG, "reasoning_model")
    assert "does not exist" in withdrawal.reason or "more than those of others" in withdrawal.reason
    refused = [each for each in asked.values() if (RETIRED, 404) in each.runs]
    with psycopg.connect(database) as connection:
        places = connection.execute("select distinct flag, variant, field from windsock.withdrawals")
        assert places.fetchall() == [("teacher.profile", CONFIG, "reasoning_model")]
        faults = connection.execute(
            "select request_id, flag, variant, field, value, error from windsock.faults"
        )
        reported = {request_id: rest for request_id, *rest in faults}
    assert reported.keys() == {each.request_id for each in refused if each.answered}
    for *place, value, error in reported.values():
        assert (*place, value) == (*withdrawal.key, f'"{RETIRED}"')
        assert "does not exist" in error

    # every row is right
    assert len(rows) == len(asked)
    assert len({row.id for row, _ in rows}) == len(rows)
    for row, recorded_at in rows:
        each = asked[row.request_id]
        assert each.before <= row.requested_at <= each.after
        assert (recorded_at - row.requested_at).total_seconds() >= each.inner
        assert each.inner <= row.latency_ms / 1000 <= each.outer
        assert (row.user_id, row.environment, row.flag) == (each.user, "production", "teacher")
        assert (row.experiment, row.arm) == (None, None)
        assert row.trace_id == f"{each.trace_id:032x}"
        assert (row.input_tokens, row.output_tokens) == (each.tokens or (None, None))
        assert row.cost == (COST if each.answered else None)
        assert row.revision in {
            first_revision if each.before < assignment_ended else second_revision,
            second_revision if each.after > assignment_began else first_revision,
        }
        assert each.assigned in possible(each, assignment_began, assignment_ended, outage_ended, withdrawn_at)
        config = {RETIRED: CONFIG, HEALTHY: OTHER, DEFAULT: None}[each.assigned]
        assert row.variant == (config or "base")
        still = each.user in UNLUCKY and row.revision == second_revision  # assigned, withdrawn or not
        assert (row.config_id and str(row.config_id)) == (CONFIG if still else config)
        assert row.reason == ("TARGETING_MATCH" if config else "STATIC")
        used = each.runs[-1][0] if each.answered else each.assigned
        assert row.values == {"reasoning_model": used, "temperature": 0.7}
        if used == each.assigned:
            assert row.healed == []
        else:
            (healed,) = row.healed
            assert f"Error code: {each.runs[0][1]}" in healed.pop("error")
            assert healed == {"field": "reasoning_model", "failed_value": each.assigned, "fell_to": "default"}


def possible(each, assignment_began, assignment_ended, outage_ended, withdrawn_at):
    """What a user may have been given first in a request; two answers where things changed during it."""
    if each.user not in UNLUCKY:
        return {HEALTHY if each.user in LUCKY else DEFAULT}
    allowed = set()
    if each.before < assignment_ended or each.after >= outage_ended:
        allowed.add(DEFAULT)  # not assigned yet, or perhaps withdrawn already
    if assignment_began <= each.after and each.before <= withdrawn_at:
        allowed.add(RETIRED)
    return allowed


def stored(database):
    with psycopg.connect(database) as connection:
        rows = read(connection, Selection(limit=100_000))
        recorded = dict(connection.execute("select id, recorded_at from public.usage_logs").fetchall())
    return [(row, recorded[row.id]) for row in rows]
