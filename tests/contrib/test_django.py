"""The Django middleware, with Django's own clients and on a real ASGI server."""

import asyncio
import types
import uuid

import django
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from openfeature.evaluation_context import EvaluationContext
from tests import loopback
from tests.contrib.conftest import served
from tests.healing.teachers import CONFIG, TYPO, Provider, Teacher

import windsock


def plain(http, user):
    windsock.current_request().tokens(input=3, output=4)
    return HttpResponse(windsock.heal(Teacher.for_user(user), Provider()))


async def plain_async(http, user):
    async def call(settings):
        return settings.reasoning_model

    return HttpResponse(await windsock.aheal(Teacher.for_user(user), call))


def stream(http, user):
    def parts():
        yield Teacher.for_user(user).reasoning_model
        yield str(Teacher.for_user(user).temperature)

    return StreamingHttpResponse(parts())


async def stream_async(http, user):
    async def parts():
        yield Teacher.for_user(user).reasoning_model
        yield str(Teacher.for_user(user).temperature)

    return StreamingHttpResponse(parts())


def cut(http, user):
    def parts():
        yield Teacher.for_user(user).reasoning_model
        raise RuntimeError("the model hung up")

    return StreamingHttpResponse(parts())


def refused(http, user):
    raise PermissionDenied(Teacher.for_user(user).reasoning_model)


def broken(http, user):
    raise RuntimeError(Teacher.for_user(user).reasoning_model)


def down(http, user):
    return HttpResponse(Teacher.for_user(user).reasoning_model, status=503)


def nobody(http):
    return HttpResponse(Teacher.for_user(None).reasoning_model)


def context(http):
    return EvaluationContext(http.GET["user"]) if "user" in http.GET else None


VIEWS = [plain, plain_async, stream, stream_async, cut, refused, broken, down]
urls = types.ModuleType("urls")
urls.urlpatterns = [path("nobody", nobody), *(path(f"{view.__name__}/<user>", view) for view in VIEWS)]
settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["windsock.contrib.django.RequestMiddleware"],
    ROOT_URLCONF=urls,
    SECRET_KEY="for tests",
    LOGGING_CONFIG=None,
)
django.setup()


def read(answer):
    return b"".join(answer) if answer.streaming else answer.content


async def read_async(answer):
    return b"".join([part async for part in answer]) if answer.streaming else answer.content


def test_a_request_is_a_row(rows):
    answer = Client().get("/plain/ann", headers={"X-Request-ID": "from-the-proxy"})
    assert (answer.status_code, answer.text) == (200, "gpt-4o-mini")
    (row,) = rows()
    assert (row.request_id, row.user_id, str(row.config_id)) == ("from-the-proxy", "ann", CONFIG)
    assert (row.input_tokens, row.output_tokens) == (3, 4)
    assert row.healed[0]["failed_value"] == TYPO
    assert (row.status, row.error_class) == ("ok", None)


OUTCOMES = [
    ("/refused/ann", 403, {"reasoning_model": TYPO}, None),
    ("/broken/ann", 500, {"reasoning_model": TYPO}, "RuntimeError"),
    ("/down/ann", 503, {"reasoning_model": TYPO}, "HTTP 503"),
    ("/plain_async/ann", 200, {"reasoning_model": TYPO}, None),
]
BOTH = {"reasoning_model": TYPO, "temperature": 0.7}


@pytest.mark.parametrize(("path", "status", "values", "error"), [*OUTCOMES, ("/stream/ann", 200, BOTH, None)])
def test_whatever_becomes_of_it(rows, path, status, values, error):
    answer = Client(raise_request_exception=False).get(path)
    read(answer)
    (row,) = rows()
    assert (answer.status_code, row.values, row.error_class) == (status, values, error)
    assert uuid.UUID(row.request_id)
    assert windsock.current_request() is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "status", "values", "error"), [*OUTCOMES, ("/stream_async/ann", 200, BOTH, None)]
)
async def test_whatever_becomes_of_it_under_asgi(rows, path, status, values, error):
    answer = await AsyncClient(raise_request_exception=False).get(path)
    await read_async(answer)
    (row,) = rows()
    assert (answer.status_code, row.values, row.error_class) == (status, values, error)


def test_an_exception_in_a_streamed_response_is_an_error(rows):
    answer = Client().get("/cut/ann")
    with pytest.raises(RuntimeError, match="hung up"):
        read(answer)
    answer.close()
    (row,) = rows()
    assert (row.values, row.status, row.error_class) == ({"reasoning_model": TYPO}, "error", "RuntimeError")


@pytest.mark.anyio
async def test_the_setting_names_the_user_of_what_is_asked_without_one(rows):
    with override_settings(WINDSOCK_CONTEXT=f"{__name__}.context"):
        assert (await asyncio.to_thread(Client().get, "/nobody?user=ann")).text == TYPO
        assert (await AsyncClient().get("/nobody?user=bob")).text == "gpt-4o-mini"
        assert (await AsyncClient().get("/nobody?user=ann")).text == TYPO
        assert (await AsyncClient().get("/nobody")).text == "gpt-4o-mini"
    assert [row.user_id for row in rows()] == ["ann", "bob", "ann", None]


def test_on_a_real_server(rows):
    with served(get_asgi_application()) as address:
        assert loopback.get(f"{address}/plain/ann").text == "gpt-4o-mini"
        assert loopback.get(f"{address}/stream_async/ann").text == f"{TYPO}0.7"
        assert loopback.get(f"{address}/broken/ann").status_code == 500
    found = [(row.values, row.error_class) for row in rows()]
    assert found == [
        ({"reasoning_model": "gpt-4o-mini"}, None),
        (BOTH, None),
        ({"reasoning_model": TYPO}, "RuntimeError"),
    ]
