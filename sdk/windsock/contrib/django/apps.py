"""The Django app: it starts windsock when Django is ready."""

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

from windsock.contrib.django.checks import check_flags
from windsock.runtime import start


class WindsockConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """Starts windsock with the arguments in the setting ``WINDSOCK``.

    ::

        INSTALLED_APPS = [..., "windsock.contrib.django"]
        WINDSOCK = {"flags": BASE_DIR / "flagd"}  # what `windsock.start` takes; optional
    """

    name = "windsock.contrib.django"
    label = "windsock"
    verbose_name = "windsock"

    def ready(self) -> None:
        """Start windsock and register the system check."""
        start(**getattr(settings, "WINDSOCK", {}))
        checks.register(check_flags, "windsock")
