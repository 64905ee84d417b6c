"""Celery: each run of a task is a request in `usage_logs`, with the task's id."""

from celery import signals

from windsock.usage.request import Request, request

_open: dict[str, Request] = {}


def trace_tasks() -> None:
    """Open `windsock.request` around every run of a task; `windsock.current_request` gives it inside.

    Call it once, where the Celery application is made. Start windsock in the signals ``worker_process_init``
    (or ``worker_init`` of a worker that does not fork).
    """
    # The id makes a second call harmless; weak references would lose the functions at once.
    signals.task_prerun.connect(_begin, weak=False, dispatch_uid="windsock")
    signals.task_failure.connect(_failed, weak=False, dispatch_uid="windsock")
    signals.task_postrun.connect(_end, weak=False, dispatch_uid="windsock")


def _begin(task_id: str, **_: object) -> None:
    _open[task_id] = request(request_id=task_id).__enter__()


def _failed(task_id: str, exception: BaseException, **_: object) -> None:
    if (opened := _open.get(task_id)) is not None:
        opened.failed(exception)


def _end(task_id: str, **_: object) -> None:
    opened = _open.pop(task_id, None)
    if opened is not None:
        opened.__exit__(None, None, None)
