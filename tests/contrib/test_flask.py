"""Flask, with its own client and on gunicorn's neighbour in the standard library."""

import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import flask
from openfeature.evaluation_context import EvaluationContext
from tests import loopback
from tests.healing.teachers import TYPO, Teacher

from windsock.contrib.flask import init_app

app = flask.Flask(__name__)
app.secret_key = "for tests"


def context():
    user = flask.session.get("user") or flask.request.headers.get("X-User")
    return EvaluationContext(user, {"tier": "pro"}) if user else None


init_app(app, context=context)


@app.get("/model")
def model():
    return Teacher.for_user(None).reasoning_model


@app.get("/broken")
def broken():
    raise LookupError(Teacher.for_user(None).reasoning_model)


def told(rows):
    return [(row.user_id, row.values["reasoning_model"], row.error_class) for row in rows]


ROWS = [("ann", TYPO, None), (None, "gpt-4o-mini", None), ("ann", TYPO, "LookupError")]


def test_the_context_may_read_the_session_and_ends_with_the_request(rows):
    client = app.test_client()
    with client.session_transaction() as session:
        session["user"] = "ann"
    assert client.get("/model", buffered=True).text == TYPO
    assert app.test_client().get("/model", buffered=True).text == "gpt-4o-mini"
    assert client.get("/broken", buffered=True).status_code == 500
    assert told(rows()) == ROWS


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def test_on_a_real_server(rows):
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            assert loopback.get(f"{address}/model", headers={"X-User": "ann"}).text == TYPO
            assert loopback.get(f"{address}/model").text == "gpt-4o-mini"
            assert loopback.get(f"{address}/broken", headers={"X-User": "ann"}).status_code == 500
        finally:
            server.shutdown()
            thread.join()
    assert told(rows()) == ROWS
