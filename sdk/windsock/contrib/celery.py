"""Celery: each run of a task is a request in `usage_logs`, with the task's id."""

from collections.abc import Callable

from celery import Task, signals
from openfeature.evaluation_context import EvaluationContext

import windsock
from windsock.contrib._opening import Opening
from windsock.errors import ConfigurationError

Context = Callable[[Task], EvaluationContext | None]

_open: dict[str, Opening] = {}
"""The requests of the tasks that run, by the task's id."""

_context: list[Context] = []
"""The argument of the last `trace_tasks`, if any."""

_start: list[Callable[[], object]] = []
"""The argument of the last `start_with_worker`."""


def start_with_worker(start: Callable[[], object] = windsock.start) -> None:
    """Start windsock when a worker starts, whatever its pool, and stop it with each of its processes.

    Supports the pools prefork, solo, threads and gevent. A prefork worker starts windsock before forking, and
    each child continues independently. Call this once, where the Celery application is created. A process
    that only sends tasks starts nothing.

    Args:
        start: Starts windsock, such as ``functools.partial(windsock.start, flags="flags")``. If it raises a
            `ConfigurationError`, as under eventlet, the worker ends with its message.
    """
    _start[:] = [start]
    signals.worker_init.connect(_started, weak=False, dispatch_uid="windsock")
    signals.worker_process_shutdown.connect(_stopped, weak=False, dispatch_uid="windsock")
    signals.worker_shutdown.connect(_stopped, weak=False, dispatch_uid="windsock")


def _started(**_: object) -> None:
    try:
        _start[0]()
    except ConfigurationError as error:
        raise SystemExit(f"windsock: {error}") from error  # Celery would log any other error and continue


def _stopped(**_: object) -> None:
    windsock.stop()


def trace_tasks(context: Context | None = None) -> None:
    """Open `windsock.request` around every task run; `windsock.current_request` returns it inside.

    Call this once, where the Celery application is created, next to `start_with_worker`.

    Args:
        context: From the task, whose ``request`` has its arguments and headers, to OpenFeature's transaction
            context: the user's id as targeting key, and the attributes that rules may ask for; or None.
    """
    _context[:] = [] if context is None else [context]
    # The id makes a second call harmless; weak references would drop the functions immediately.
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
