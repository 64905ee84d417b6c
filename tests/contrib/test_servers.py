"""Real gunicorn workers: they answer, read a changed flag file, and stop on SIGTERM."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from tests.flagfiles import object_flag, write_flags
from tests.waiting import eventually

pytest.importorskip("fcntl", reason="gunicorn needs a Unix system")

_APP = """
from openfeature import api

import windsock

windsock.start(flags={folder!r}, usage=False)


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [_answer()]


async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({{"type": "http.response.start", "status": 200, "headers": []}})
        await send({{"type": "http.response.body", "body": _answer()}})


def _answer():
    return api.get_client().get_string_value("greeting", "from code").encode()
"""

_LIFESPAN_APP = """
from fastapi import FastAPI, Response
from openfeature import api

from windsock.contrib.asgi import RequestMiddleware, lifespan

asgi = FastAPI(lifespan=lifespan)
asgi.add_middleware(RequestMiddleware)


@asgi.get("/")
def answer():
    return Response(api.get_client().get_string_value("greeting", "from code"))
"""

_RECORDING_ASGI_APP = """
from pathlib import Path

import windsock
from fastapi import FastAPI
from openfeature.evaluation_context import EvaluationContext
from windsock.contrib.asgi import RequestMiddleware

hello = windsock.feature("hello", default="from code")


class FileSink:
    def write(self, rows):
        with (Path({folder!r}).parent / "rows").open("a") as file:
            file.writelines(f"{{row.user_id}}\\n" for row in rows)

    def close(self):
        pass


windsock.start(flags={folder!r}, usage=FileSink())
asgi = FastAPI()
asgi.add_middleware(RequestMiddleware)


@asgi.get("/")
def answer(user: str) -> str:
    return hello(user)
"""

_FLASK_APP = """
import flask
from openfeature import api
from openfeature.evaluation_context import EvaluationContext

import windsock
from windsock.contrib.flask import init_app

wsgi = flask.Flask(__name__)
windsock.start(usage=False)
init_app(wsgi, context=lambda: EvaluationContext(flask.request.headers.get("X-User")))


@wsgi.get("/")
def answer():
    return api.get_client().get_string_value("greeting", "from code")
"""

_EXPOSING = """
from urllib.parse import parse_qs

import windsock


class Teacher(windsock.Settings, flag="teacher"):
    model: str = "large"


windsock.start(flags={folder!r})


def wsgi(environ, start_response):
    (user,) = parse_qs(environ["QUERY_STRING"])["user"]
    with windsock.request():
        answer = Teacher.for_user(user).model
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]
"""

_SECONDS = 10.0
"""Longest wait for an answer; a worker that hangs fails the test."""

_PRELOAD = pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["import in worker", "preload"])


def _write(folder: Path, greeting: str) -> None:
    flag = {"state": "ENABLED", "variants": {"it": greeting}, "defaultVariant": "it"}
    write_flags(folder / "app.flagd.json", {"greeting": flag})


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _gunicorn(
    folder: Path, *options: str, app: str = "wsgi", source: str = _APP, more: str = ""
) -> Iterator[str]:
    """Serve the app on a free port; yield its address; at the end it must stop on SIGTERM, with status 0."""
    (folder.parent / "greeter.py").write_text(source.format(folder=str(folder)) + more)
    address = f"127.0.0.1:{_free_port()}"
    command = [sys.executable, "-W", "ignore", "-m", "gunicorn", "--no-control-socket", "-b", address]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder.parent), *sys.path])}
    with (folder.parent / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, *options, f"greeter:{app}"], env=environment, stdout=log, stderr=log
        )
    try:
        yield f"http://{address}/"
        server.terminate()
        assert server.wait(60) == 0  # more than the grace that a test gives its workers
    finally:
        server.kill()
        server.wait()


def _await_answer(address: str, expected: str) -> None:
    answer, until = "", time.monotonic() + _SECONDS
    while answer != expected:
        assert time.monotonic() < until, f"the last answer was {answer!r}, not {expected!r}"
        time.sleep(0.05)
        with suppress(OSError), urllib.request.urlopen(address, timeout=1) as response:
            answer = response.read().decode()


@_PRELOAD
@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_a_worker_answers_follows_the_files_and_stops(tmp_path, worker, preload):
    folder = tmp_path / "flagd"
    _write(folder, "hello")
    with _gunicorn(folder, "--worker-class", worker, *preload) as address:
        _await_answer(address, "hello")
        _write(folder, "ciao")
        _await_answer(address, "ciao")


@_PRELOAD
def test_an_asgi_worker_too(tmp_path, preload):
    folder = tmp_path / "flagd"
    _write(folder, "hello")
    options = ("--worker-class", "uvicorn.workers.UvicornWorker", *preload)
    with _gunicorn(folder, *options, app="asgi") as address:
        _await_answer(address, "hello")
        _write(folder, "ciao")
        _await_answer(address, "ciao")


@_PRELOAD
def test_a_lifespan_starts_and_stops_windsock_in_each_worker(tmp_path, preload, monkeypatch):
    folder = tmp_path / "flagd"
    _write(folder, "hello")
    monkeypatch.setenv("FLAGD_OFFLINE_FLAG_SOURCE_PATH", str(folder))
    options = ("--worker-class", "uvicorn.workers.UvicornWorker", *preload)
    with _gunicorn(folder, *options, app="asgi", source=_LIFESPAN_APP) as address:
        _await_answer(address, "hello")
        _write(folder, "ciao")
        _await_answer(address, "ciao")


@_PRELOAD
def test_an_asgi_worker_stores_what_it_recorded_before_it_ends_by_a_signal(tmp_path, preload):
    """uvicorn raises the signal that stopped it again, so nothing runs at exit."""
    options = ("--worker-class", "uvicorn.workers.UvicornWorker", *preload)
    users = [f"u{number}" for number in range(20)]
    _write(folder := tmp_path / "flagd", "hello")
    with _gunicorn(folder, *options, app="asgi", source=_RECORDING_ASGI_APP) as address:
        for user in users:
            _answer(f"{address}?user={user}")
    assert (tmp_path / "rows").read_text().split() == users


@_PRELOAD
@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_flask_too(tmp_path, worker, preload, monkeypatch):
    folder = tmp_path / "flagd"
    _write(folder, "hello")
    monkeypatch.setenv("FLAGD_OFFLINE_FLAG_SOURCE_PATH", str(folder))
    with _gunicorn(folder, "--worker-class", worker, *preload, source=_FLASK_APP) as address:
        _await_answer(address, "hello")
        _write(folder, "ciao")
        _await_answer(address, "ciao")


def test_eventlet_is_refused_in_a_sentence(tmp_path):
    code = "import eventlet; eventlet.monkey_patch(); import windsock; windsock.start(flags='flagd', usage=False)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    assert done.stderr.splitlines()[-1] == (
        "windsock.errors.ConfigurationError: windsock.start() can't run in a process that eventlet has"
        " monkey-patched; use gevent or threads"
    )


@_PRELOAD
@pytest.mark.timeout(300)
def test_forked_workers_lose_no_exposure_and_write_none_twice(tmp_path, database, monkeypatch, preload):
    """Workers come and go after a few requests, and a user meets several of them at the same moment."""
    monkeypatch.setenv("DATABASE_URL", database)
    arms = {"none": {}, "control": {}, "small": {"model": "small"}}
    targeting = {"fractional": [["control", 1], ["small", 1]]}
    write_flags(
        folder := tmp_path / "flagd",
        {"teacher.experiment": object_flag(arms, "none", targeting, experiment="e")},
    )
    users = [f"u{number}" for number in range(60)] * 4
    options = ("--workers", "3", "--max-requests", "15", "--graceful-timeout", "30", *preload)
    with _gunicorn(folder, *options, source=_EXPOSING) as address, ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda user: (user, _answer(f"{address}?user={user}")), users))
    with psycopg.connect(database) as connection:
        exposed = connection.execute("select unit, arm from windsock.exposures").fetchall()
        ((requests, seen),) = connection.execute("select count(*), count(distinct user_id) from usage_logs")
    assert dict(exposed) == {user: "small" if answer == "small" else "control" for user, answer in answers}
    assert (len(exposed), seen) == (60, 60)
    assert requests >= len(answers)


@_PRELOAD
def test_gevent_workers_record_what_they_answer(tmp_path, database, monkeypatch, preload):
    """A preloaded one patches after its fork, and what was made before that would wait natively."""
    monkeypatch.setenv("DATABASE_URL", database)
    write_flags(folder := tmp_path / "flagd", {"teacher": object_flag({"it": {"model": "small"}}, "it")})
    users = [f"u{number}" for number in range(20)]
    with _gunicorn(folder, "--worker-class", "gevent", *preload, source=_EXPOSING) as address:
        assert {_answer(f"{address}?user={user}") for user in users} == {"small"}
    with psycopg.connect(database) as connection:
        stored = {user for (user,) in connection.execute("select user_id from usage_logs")}
    assert stored == set(users)


def _answer(url: str) -> str:
    """The answer, asked for again while a worker that retires refuses or drops the connection."""
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=_SECONDS) as response:
                return response.read().decode()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_preloaded_gevent_workers_run_event_handlers_and_end_in_silence(tmp_path):
    folder, told = tmp_path / "flagd", tmp_path / "told"
    _write(folder, "hello")
    handler = f"""
def _note(details):
    with open({str(told)!r}, "a") as file:
        print(os.getpid(), file=file)


import os
from openfeature.event import ProviderEvent

api.add_handler(ProviderEvent.PROVIDER_READY, _note)
api.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, _note)
"""
    with _gunicorn(folder, "--worker-class", "gevent", "--preload", more=handler) as address:
        _await_answer(address, "hello")
        _write(folder, "ciao")
        _await_answer(address, "ciao")
        eventually(lambda: len(set(told.read_text().split())) == 2)  # the parent's READY, the worker's change
    assert "Traceback" not in (tmp_path / "log").read_text()
