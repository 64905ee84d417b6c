"""The WSGI middleware around a Flask application, with Flask's own client and a real server."""

import threading
import uuid
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.validate import validator

import flask
import pytest
import werkzeug.test
from openfeature.evaluation_context import EvaluationContext
from tests import loopback
from tests.healing.teachers import CONFIG, TYPO, Provider, Teacher

import windsock
from windsock.contrib.wsgi import RequestMiddleware

app = flask.Flask(__name__)
app.wsgi_app = RequestMiddleware(app.wsgi_app)


@app.get("/plain/<user>")
def plain(user):
    windsock.current_request().tokens(input=3, output=4)
    return windsock.heal(Teacher.for_user(user), Provider())


@app.get("/stream/<user>")
def stream(user):
    def parts():
        yield Teacher.for_user(user).reasoning_model
        yield str(Teacher.for_user(user).temperature)

    return flask.Response(parts())


@app.get("/cut/<user>")
def cut(user):
    def parts():
        yield Teacher.for_user(user).reasoning_model
        raise RuntimeError("the model hung up")

    return flask.Response(parts())


@app.get("/refused/<user>")
def refused(user):
    flask.abort(403, Teacher.for_user(user).reasoning_model)


@app.get("/broken/<user>")
def broken(user):
    raise RuntimeError(Teacher.for_user(user).reasoning_model)


def test_a_request_is_a_row(rows):
    answer = app.test_client().get("/plain/ann", headers={"X-Request-ID": "from-the-proxy"}, buffered=True)
    assert (answer.status_code, answer.text) == (200, "gpt-4o-mini")
    (row,) = rows()
    assert (row.request_id, row.user_id, str(row.config_id)) == ("from-the-proxy", "ann", CONFIG)
    assert (row.input_tokens, row.output_tokens) == (3, 4)
    assert row.healed[0]["failed_value"] == TYPO
    assert (row.status, row.error_class) == ("ok", None)
    assert row.latency_ms > 0


@pytest.mark.parametrize(
    ("path", "status", "values", "error"),
    [
        ("/stream/ann", 200, {"reasoning_model": TYPO, "temperature": 0.7}, None),
        ("/refused/ann", 403, {"reasoning_model": TYPO}, None),
        ("/broken/ann", 500, {"reasoning_model": TYPO}, "HTTP 500"),
    ],
)
def test_whatever_becomes_of_it(rows, path, status, values, error):
    assert app.test_client().get(path, buffered=True).status_code == status
    (row,) = rows()
    assert (row.values, row.error_class) == (values, error)
    assert uuid.UUID(row.request_id)


def test_an_exception_in_a_streamed_response_is_an_error(rows):
    with pytest.raises(RuntimeError, match="hung up"):
        app.test_client().get("/cut/ann", buffered=True)
    (row,) = rows()
    assert (row.values, row.status, row.error_class) == ({"reasoning_model": TYPO}, "error", "RuntimeError")


def test_an_exception_that_leaves_the_application_is_an_error(rows):
    app.config["PROPAGATE_EXCEPTIONS"] = True
    try:
        with pytest.raises(RuntimeError, match=TYPO):
            app.test_client().get("/broken/ann")
    finally:
        app.config["PROPAGATE_EXCEPTIONS"] = None
    (row,) = rows()
    assert (row.status, row.error_class) == ("error", "RuntimeError")


def test_a_client_that_leaves_early_ends_the_request(rows):
    with app.test_client().get("/stream/ann") as answer:
        assert next(answer.iter_encoded()).decode() == TYPO
    (row,) = rows()
    assert (row.values, row.status) == ({"reasoning_model": TYPO}, "ok")


def test_an_unclosed_response_leaves_no_request_open(rows):
    answer = app.test_client().get("/stream/ann")
    assert windsock.current_request() is None
    answer.close()


def test_the_transaction_context_of_a_request_ends_with_it(rows):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [Teacher.for_user(None).reasoning_model.encode()]

    def context(environ):
        user = environ.get("HTTP_X_USER")
        return EvaluationContext(user) if user else None

    wrapped = werkzeug.test.Client(RequestMiddleware(application, context=context))
    assert wrapped.get("/", headers={"X-User": "ann"}, buffered=True).text == TYPO
    assert wrapped.get("/", buffered=True).text == "gpt-4o-mini"
    assert [row.user_id for row in rows()] == ["ann", None]


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def test_on_a_real_server(rows):
    checked = validator(RequestMiddleware(validator(app.wsgi_app._app)))
    with make_server("127.0.0.1", 0, checked, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            assert loopback.get(f"{address}/plain/ann").text == "gpt-4o-mini"
            assert loopback.get(f"{address}/stream/ann").text == f"{TYPO}0.7"
            assert loopback.get(f"{address}/broken/ann").status_code == 500
        finally:
            server.shutdown()
            thread.join()
    found = [(row.values, row.error_class) for row in rows()]
    assert found == [
        ({"reasoning_model": "gpt-4o-mini"}, None),
        ({"reasoning_model": TYPO, "temperature": 0.7}, None),
        ({"reasoning_model": TYPO}, "HTTP 500"),
    ]
