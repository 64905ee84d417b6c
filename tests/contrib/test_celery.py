"""Celery's tasks in a real worker, with its in-memory broker."""

import celery
import pytest
from celery import signals
from tests.celery_worker import celery_worker
from tests.healing.teachers import TYPO, Provider, Teacher, profiles

import windsock
from windsock.contrib.celery import _begin, _end, trace_tasks
from windsock.usage import MemorySink
from windsock.usage.request import current_request


@pytest.fixture
def app(monkeypatch):
    monkeypatch.setattr(
        signals.worker_init, "receivers", []
    )  # ad learning's, which starts windsock on its flags
    app = celery.Celery(broker="memory://", backend="cache+memory://", set_as_current=False)

    @app.task(name="answer")
    def answer(user):
        current_request().tokens(input=3, output=4)
        return windsock.heal(Teacher.for_user(user), Provider())

    @app.task(name="fail")
    def fail(user):
        raise RuntimeError(Teacher.for_user(user).reasoning_model)

    trace_tasks()
    trace_tasks()  # a second call changes nothing
    yield app
    signals.task_prerun.disconnect(_begin, dispatch_uid="windsock")
    signals.task_postrun.disconnect(_end, dispatch_uid="windsock")


@pytest.mark.slow
def test_each_run_of_a_task_is_a_row(serve, app):
    memory = MemorySink()
    serve(profiles(["ann"], reasoning_model=TYPO), usage=memory)
    with celery_worker(app):
        answered, failed = app.send_task("answer", ["ann"]), app.send_task("fail", ["ann"])
        assert answered.get(30) == "gpt-4o-mini"
        with pytest.raises(RuntimeError, match=TYPO):
            failed.get(30)
    windsock.stop()
    assert [(row.request_id, row.user_id, row.values["reasoning_model"]) for row in memory.rows] == [
        (answered.id, "ann", "gpt-4o-mini"),
        (failed.id, "ann", TYPO),
    ]
    assert (memory.rows[0].input_tokens, memory.rows[1].input_tokens) == (3, None)
    assert current_request() is None
