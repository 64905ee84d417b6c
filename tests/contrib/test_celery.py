"""Celery's tasks in a real worker, with its in-memory broker."""

import celery
import pytest
from celery import signals
from openfeature.evaluation_context import EvaluationContext
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

    @app.task(name="answer", shared=False)
    def answer(user):
        current_request().tokens(input=3, output=4)
        return windsock.heal(Teacher.for_user(user), Provider())

    @app.task(name="fail", shared=False)
    def fail(user):
        raise RuntimeError(Teacher.for_user(user).reasoning_model)

    @app.task(name="nobody", shared=False)
    def nobody(user):
        return Teacher.for_user(None).reasoning_model

    trace_tasks(lambda task: EvaluationContext(task.request.args[0]) if task.name == "nobody" else None)
    trace_tasks(lambda task: EvaluationContext(task.request.args[0]) if task.name == "nobody" else None)
    yield app
    signals.task_prerun.disconnect(_begin, dispatch_uid="windsock")
    signals.task_postrun.disconnect(_end, dispatch_uid="windsock")


@pytest.mark.slow
def test_the_transaction_context_of_a_task_ends_with_it(serve, app):
    memory = MemorySink()
    serve(profiles(["ann"], reasoning_model=TYPO), usage=memory)
    with celery_worker(app):
        assert app.send_task("nobody", ["ann"]).get(30) == TYPO
        assert app.send_task("nobody", ["bob"]).get(30) == "gpt-4o-mini"
        assert app.send_task("answer", ["eve"]).get(30) == "gpt-4o-mini"
    windsock.stop()
    assert [row.user_id for row in memory.rows] == ["ann", "bob", "eve"]


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
