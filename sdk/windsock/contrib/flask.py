"""Flask: each HTTP request is one in `usage_logs`, with the user that the application knows."""

from collections.abc import Callable

from flask import Flask, got_request_exception
from openfeature.evaluation_context import EvaluationContext

from windsock.contrib._opening import RAISED, set_context
from windsock.contrib.wsgi import RequestMiddleware
from windsock.usage.request import current_request


def init_app(app: Flask, context: Callable[[], EvaluationContext | None] | None = None) -> None:
    """Open `windsock.request` around every HTTP request of an application.

    ::

        windsock.contrib.flask.init_app(app, context=evaluation_context)

    As with `windsock.contrib.wsgi`, a status of 500 or more is an error; it has the name of the exception
    that Flask turned into a response.

    Args:
        app: The application.
        context: Returns OpenFeature's transaction context: the user's id as targeting key, and the attributes
            that rules may ask for; or None. It is called before the view, inside Flask's request, so
            ``flask.session`` and ``flask_login.current_user`` work.
    """
    app.wsgi_app = RequestMiddleware(app.wsgi_app)  # type: ignore[method-assign]  # as Flask's documentation does
    got_request_exception.connect(_failed, app)
    if context is not None:
        app.before_request(_setting(context))


def _setting(context: Callable[[], EvaluationContext | None]) -> Callable[[], None]:
    def set_of_this_request() -> None:
        this, found = current_request(), context()
        if this is not None and found is not None:
            set_context(found, this)  # it ends with the request, whose Python context is its own

    return set_of_this_request


def _failed(sender: Flask, exception: BaseException, **_: object) -> None:  # noqa: ARG001 - the signal's names
    if (this := current_request()) is not None:
        this.notes[RAISED] = exception
