"""Whose fault an error is: errors of the real libraries, and of what is built like them."""

import httpx
import openai
import pytest
from tests.healing.teachers import StatusError

from windsock.healing import Blame, classify

VALUES = {"reasoning_model": "gpt-4o-typo", "temperature": 9.0, "top_k": 500}
REQUEST = httpx.Request("POST", "http://localhost/v1")


def of_httpx(status):
    return httpx.HTTPStatusError("refused", request=REQUEST, response=httpx.Response(status, request=REQUEST))


def of_openai(kind, status, message="refused", **body):
    return kind(message, response=httpx.Response(status, request=REQUEST), body=body)


def of_anthropic(status, kind, message):
    return StatusError(status, message, body={"type": "error", "error": {"type": kind, "message": message}})


@pytest.mark.parametrize(
    ("error", "blame", "fields"),
    [
        (
            of_openai(openai.NotFoundError, 404, "no `gpt-4o-typo`", code="model_not_found"),
            "value",
            ["reasoning_model"],
        ),
        (of_openai(openai.NotFoundError, 404, code="model_not_found"), "value", ["reasoning_model"]),
        (of_openai(openai.PermissionDeniedError, 403, code="model_not_found"), "value", ["reasoning_model"]),
        (of_openai(openai.PermissionDeniedError, 403), "elsewhere", []),
        (of_openai(openai.BadRequestError, 400, param="temperature"), "value", ["temperature"]),
        (of_openai(openai.BadRequestError, 400, param="messages"), "unknown", []),
        (of_openai(openai.BadRequestError, 400, code="context_length_exceeded"), "elsewhere", []),
        (of_openai(openai.AuthenticationError, 401), "elsewhere", []),
        (of_openai(openai.RateLimitError, 429, code="insufficient_quota"), "elsewhere", []),
        (of_openai(openai.InternalServerError, 500), "elsewhere", []),
        (openai.APIConnectionError(request=REQUEST), "elsewhere", []),
        (openai.APITimeoutError(request=REQUEST), "elsewhere", []),
        (of_anthropic(404, "not_found_error", "model: gpt-4o-typo"), "value", ["reasoning_model"]),
        (of_anthropic(529, "overloaded_error", "overloaded"), "elsewhere", []),
        (of_httpx(400), "value", []),
        (of_httpx(422), "value", []),
        (of_httpx(503), "elsewhere", []),
        (httpx.ConnectError("refused"), "elsewhere", []),
        (httpx.ReadTimeout("slow"), "elsewhere", []),
        (TimeoutError(), "elsewhere", []),
        (ConnectionResetError(), "elsewhere", []),
        (ValueError("top_k must be at most 100"), "value", ["top_k"]),
        (ValueError("something else"), "unknown", []),
        (RuntimeError("the answer was no JSON"), "unknown", []),
    ],
    ids=lambda value: f"{type(value).__name__} {value}"[:50] if isinstance(value, Exception) else None,
)
def test_whose_fault(error, blame, fields):
    verdict = classify(error, VALUES)
    assert (verdict.blame, list(verdict.fields)) == (Blame(blame), fields)


def test_what_an_error_was_raised_from_is_looked_into():
    wrapped = RuntimeError("the agent failed")
    wrapped.__cause__ = of_httpx(404)
    assert classify(wrapped, VALUES).blame is Blame.VALUE


def test_the_errors_of_a_group_are_looked_into():
    """As `asyncio.TaskGroup` raises them; the first that is conclusive decides."""
    inner = ExceptionGroup("inner", [RuntimeError("odd"), of_httpx(404)])
    outer = ExceptionGroup("outer", [inner, of_httpx(503)])
    assert classify(outer, VALUES).blame is Blame.VALUE
    assert classify(ExceptionGroup("outer", [of_httpx(503), inner]), VALUES).blame is Blame.ELSEWHERE


def test_a_circle_of_causes_ends():
    one, two = RuntimeError("one"), RuntimeError("two")
    one.__cause__, two.__cause__ = two, one
    assert classify(one, VALUES).blame is Blame.UNKNOWN


@pytest.mark.parametrize("status", [401, 402, 403, 407, 408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_a_status_that_another_value_would_not_have_changed(status):
    assert classify(StatusError(status, "refused"), {"model": "gpt-4o"}).blame is Blame.ELSEWHERE
