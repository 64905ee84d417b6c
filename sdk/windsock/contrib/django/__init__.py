"""Django: the middleware, and an app that starts windsock, checks flags and adds ``manage.py windsock``."""

from windsock.contrib.django.middleware import RequestMiddleware

__all__ = ["RequestMiddleware"]
