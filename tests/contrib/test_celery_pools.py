"""Real Celery workers with each pool: they serve flags, record every task, and stop."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.flagfiles import object_flag, write_flags
from tests.waiting import eventually

pytest.importorskip("fcntl", reason="Celery needs a Unix system")

_SHOP = """
import json
import os
from functools import partial
from pathlib import Path

import windsock
from celery import Celery
from openfeature.evaluation_context import EvaluationContext
from windsock.contrib.celery import start_with_worker, trace_tasks

folder = Path(os.environ["SHOP"])
shop = Celery("shop", broker="filesystem://", backend=f"file://{folder / 'results'}")
shop.conf.broker_transport_options = {
    "data_folder_in": f"{folder / 'queue'}", "data_folder_out": f"{folder / 'queue'}",
    "control_folder": f"{folder / 'control'}",
}


class Teacher(windsock.Settings, flag="teacher"):
    model: str = "from code"


class FileSink:
    def write(self, rows):
        with (folder / "rows").open("a") as file:
            file.writelines(json.dumps([str(row.id), row.user_id, row.values["model"]]) + "\\n" for row in rows)

    def close(self):
        pass


start_with_worker(partial(windsock.start, flags=folder / "flagd", usage=FileSink()))
trace_tasks(lambda task: EvaluationContext(task.request.args[0]))


@shop.task(name="answer")
def answer(user):
    return Teacher.for_user(user).model


if __name__ == "__main__":
    asked = [shop.send_task("answer", [f"u{number}"]) for number in range(6)]
    print(json.dumps([each.get(60) for each in asked]))
"""
_SECONDS = 90.0


@pytest.fixture
def shop(tmp_path) -> Path:
    """The folder of an application, its flags and its queue."""
    for name in ("queue", "control", "results"):
        (tmp_path / name).mkdir()
    _write(tmp_path, "from a flag")
    (tmp_path / "shop.py").write_text(_SHOP)
    return tmp_path


def _write(shop: Path, model: str) -> None:
    write_flags(shop / "flagd" / "a.flagd.json", {"teacher": object_flag({"b": {"model": model}}, "b")})


def _run(shop: Path, *arguments: str, **options: object) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(shop), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "SHOP": str(shop)}
    command = [sys.executable, "-W", "ignore", *arguments]
    return subprocess.Popen(command, env=environment, cwd=shop, text=True, **options)


def _answers(shop: Path) -> list[str]:
    with _run(shop, "shop.py", stdout=subprocess.PIPE) as asking:
        return json.loads(asking.communicate(timeout=_SECONDS)[0])


def _start(shop: Path, pool: str) -> subprocess.Popen[str]:
    options = ("--concurrency=2", "--without-heartbeat", "--without-gossip", "--without-mingle", "-l", "INFO")
    with (shop / "log").open("w") as log:
        return _run(
            shop, "-m", "celery", "-A", "shop", "worker", "--pool", pool, *options, stdout=log, stderr=log
        )


@contextmanager
def _worker(shop: Path, pool: str) -> Iterator[None]:
    """A worker with this pool; at the end it must stop on SIGTERM, with status 0."""
    worker = _start(shop, pool)
    try:
        yield
        worker.terminate()
        assert worker.wait(_SECONDS) == 0, (shop / "log").read_text()
    finally:
        worker.kill()
        worker.wait()


@pytest.mark.parametrize("pool", ["prefork", "solo", "threads", "gevent"])
def test_each_pool_serves_flags_and_loses_no_row(shop, pool):
    answered: list[str] = []

    def answers() -> set[str]:
        answered.extend(new := _answers(shop))
        return set(new)

    with _worker(shop, pool):
        assert answers() == {"from a flag"}
        _write(shop, "changed")
        eventually(lambda: answers() == {"changed"})
    rows = {tuple(json.loads(line)) for line in (shop / "rows").read_text().splitlines()}
    assert sorted(model for _, _, model in rows) == sorted(answered)
    assert {user for _, user, _ in rows} == {f"u{number}" for number in range(6)}
    assert "Traceback" not in (shop / "log").read_text()


def test_eventlet_ends_the_worker_with_a_sentence(shop):
    worker = _start(shop, "eventlet")
    try:
        assert worker.wait(_SECONDS) == 1
    finally:
        worker.kill()
        worker.wait()
    log = (shop / "log").read_text()
    assert "windsock: windsock.start() can't run in a process that eventlet has monkey-patched" in log
    assert "Traceback" not in log
