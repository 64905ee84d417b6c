"""The ASGI middleware around a real FastAPI application."""

import asyncio
import uuid
from typing import Annotated

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI, Header, HTTPException, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from tests import loopback
from tests.contrib.conftest import served
from tests.healing.teachers import CONFIG, TYPO, Provider, Teacher, profiles

import windsock
from windsock.contrib.asgi import RequestMiddleware, lifespan
from windsock.contrib.fastapi import for_user
from windsock.usage import MemorySink
from windsock.usage.request import current_request

app = FastAPI()
app.add_middleware(RequestMiddleware)


@app.get("/plain/{user}")
def plain(user: str) -> str:
    """Runs in a thread of the framework's."""
    current_request().tokens(input=3, output=4)
    return windsock.heal(Teacher.for_user(user), Provider())


@app.get("/async/{user}")
async def asynchronous(user: str) -> str:
    async def call(settings: Teacher) -> str:
        return settings.reasoning_model

    return await windsock.aheal(Teacher.for_user(user), call)


@app.get("/stream/{user}")
async def stream(user: str) -> StreamingResponse:
    async def parts():
        yield Teacher.for_user(user).reasoning_model
        yield str(Teacher.for_user(user).temperature)

    return StreamingResponse(parts())


@app.get("/later/{user}")
async def later(user: str, tasks: BackgroundTasks) -> None:
    tasks.add_task(lambda: Teacher.for_user(user).temperature)


@app.get("/refused/{user}")
async def refused(user: str) -> None:
    raise HTTPException(402, Teacher.for_user(user).reasoning_model)


@app.get("/broken/{user}")
async def broken(user: str) -> None:
    raise RuntimeError(Teacher.for_user(user).reasoning_model)


@app.websocket("/socket")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(str(current_request()))


@pytest.fixture
def get(serve):
    """Ask the application; gives the answer's status and text, and the rows that it left."""
    memory = MemorySink()
    serve(profiles(["ann"], reasoning_model=TYPO), usage=memory)

    def get(path, **headers):
        client = TestClient(app, raise_server_exceptions=False)
        answer = client.get(path, headers=headers)
        windsock.stop()
        return answer.status_code, answer.text, memory.rows

    return get


def test_a_request_is_a_row(get):
    status, text, (row,) = get("/plain/ann", **{"X-Request-ID": "from-the-proxy"})
    assert (status, text) == (200, '"gpt-4o-mini"')
    assert (row.request_id, row.user_id, str(row.config_id)) == ("from-the-proxy", "ann", CONFIG)
    assert (row.input_tokens, row.output_tokens) == (3, 4)
    assert row.healed[0]["failed_value"] == TYPO
    assert row.latency_ms > 0


@pytest.mark.parametrize(
    ("path", "status", "values"),
    [
        ("/async/ann", 200, {"reasoning_model": TYPO}),
        ("/stream/ann", 200, {"reasoning_model": TYPO, "temperature": 0.7}),
        ("/later/ann", 200, {"temperature": 0.7}),
        ("/refused/ann", 402, {"reasoning_model": TYPO}),
        ("/broken/ann", 500, {"reasoning_model": TYPO}),
    ],
)
def test_whatever_becomes_of_it(get, path, status, values):
    found, _, (row,) = get(path)
    assert (found, row.values) == (status, values)
    assert uuid.UUID(row.request_id)


def context(scope):
    user = dict(scope["headers"]).get(b"x-user")
    return EvaluationContext(user.decode(), {"tier": "pro"}) if user else None


def user_id(x_user: Annotated[str | None, Header()] = None) -> str | None:
    return x_user


@pytest.fixture
def with_context(serve):
    """An application that knows its users, started and stopped by its lifespan."""
    serve(profiles(["ann"], reasoning_model=TYPO))  # writes flagd/ in the current folder
    windsock.stop()
    application = FastAPI(lifespan=lifespan)
    application.add_middleware(RequestMiddleware, context=context)

    @application.get("/context")
    def read_context() -> list[str | None]:
        found = api.get_transaction_context()
        return [Teacher.for_user(None).reasoning_model, found.targeting_key, found.attributes.get("tier")]

    @application.get("/dependency")
    def dependency(teacher: Annotated[Teacher, for_user(Teacher, user_id)]) -> str:
        return teacher.reasoning_model

    return application


def ask_with_context(get):
    assert get("/context", headers={"X-User": "ann"}).json() == [TYPO, "ann", "pro"]
    assert get("/context").json() == ["gpt-4o-mini", "", None] or get("/context").json()[1] is None
    assert get("/dependency", headers={"X-User": "ann"}).json() == TYPO
    assert get("/dependency").json() == "gpt-4o-mini"


def test_context_dependency_and_lifespan(with_context, usage):
    with TestClient(with_context) as client:
        assert windsock.health().ready
        ask_with_context(client.get)
    assert not windsock.health().ready
    assert {row.user_id for row in usage.rows} == {"ann", None}


def test_on_a_real_server(with_context):
    with served(with_context, lifespan="on") as address, loopback.Client(base_url=address) as client:
        ask_with_context(client.get)
    assert not windsock.health().ready


def test_what_reads_nothing_leaves_nothing(get):
    assert get("/nowhere") == (404, '{"detail":"Not Found"}', [])


def test_a_websocket_is_not_a_request(serve):
    serve({})
    with TestClient(app).websocket_connect("/socket") as connection:
        assert connection.receive_text() == "None"


@pytest.mark.anyio
async def test_requests_at_the_same_time_do_not_mix(serve):
    memory = MemorySink()
    users = [f"u{number}" for number in range(20)]
    serve(profiles(users, reasoning_model="gpt-4o"), usage=memory)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        asked = [client.get(f"/plain/{user}", headers={"X-Request-ID": user}) for user in users]
        assert [answer.status_code for answer in await asyncio.gather(*asked)] == [200] * 20
    windsock.stop()
    assert {(row.user_id, row.request_id) for row in memory.rows} == {(user, user) for user in users}
