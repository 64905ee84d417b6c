"""Celery: each run of a task is a request in `usage_logs`, with the task's id."""

from collections.abc import Callable

from celery import Task, signals
from openfeature.evaluation_context import EvaluationContext

from windsock.contrib._opening import Opening

Context = Callable[[Task], EvaluationContext | None]

_open: dict[str, Opening] = {}
_context: list[Context] = []


def trace_tasks(context: Context | None = None) -> None:
    """Open `windsock.request` around every run of a task; `windsock.current_request` returns it inside.

    Call it once, where the Celery application is made. Start windsock in the signals ``worker_process_init``
    (or ``worker_init`` of a worker that does not fork).

    Args:
        context: From the task, whose ``request`` has its arguments and headers, to OpenFeature's transaction
            context: the user's id as targeting key, and the attributes that rules may ask for; or None.
    """
    _context[:] = [] if context is None else [context]
    # The id makes a second call harmless; weak references would lose the functions at once.
    signals.task_prerun.connect(_begin, weak=False, dispatch_uid="windsock")
    signals.task_failure.connect(_failed, weak=False, dispatch_uid="windsock")
    signals.task_postrun.connect(_end, weak=False, dispatch_uid="windsock")


def _begin(task_id: str, task: Task, **_: object) -> None:
    opening = Opening(_context[0](task) if _context else None, task_id)
    opening.__enter__()
    _open[task_id] = opening


def _failed(task_id: str, exception: BaseException, **_: object) -> None:
    if (opened := _open.get(task_id)) is not None:
        opened.request.failed(exception)


def _end(task_id: str, **_: object) -> None:
    opened = _open.pop(task_id, None)
    if opened is not None:
        opened.__exit__(None, None, None)
