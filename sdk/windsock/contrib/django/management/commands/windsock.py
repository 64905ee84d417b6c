"""``manage.py windsock …``: windsock's command line, with the project's settings classes importable."""

import sys
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):  # type: ignore[misc]  # Django has no types
    """Runs the command ``windsock`` with every argument after its name."""

    help = "Run windsock's command line: manage.py windsock --help"
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Pass the arguments through; windsock's own parser reads them.

        Django itself reads a ``--settings`` that no ``--`` comes before.
        """
        self.handle(*argv[3:] if argv[2:3] == ["--"] else argv[2:])

    def handle(self, *arguments: str, **_: Any) -> None:
        """Run a command: ``call_command("windsock", "lint")``."""
        from windsock.cli import main  # noqa: PLC0415 - an extra

        before = sys.argv
        sys.argv = ["windsock", *arguments]
        try:
            main()
        finally:
            sys.argv = before
