"""A group of commands that knows their names and one-line help without importing them."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup


class LazyGroup(TyperGroup):
    """Lists the commands of `SECTIONS`, and imports a command's module only to run it or to show its help.

    Typer brings its own copy of click since 0.29, an external one before; `Any` covers both.
    """

    SECTIONS: ClassVar[Mapping[str, Mapping[str, tuple[str, str]]]]
    """By heading and name, in the order of ``--help``: the module below windsock.cli, and a line of help."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        """The commands in order."""
        return [name for section in self.SECTIONS.values() for name in section]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
        """Import one command: its module's `app` where it has sub-commands, else its function `command`."""
        found = next((section[cmd_name] for section in self.SECTIONS.values() if cmd_name in section), None)
        if found is None:
            return None
        module_name, help_line = found
        module = importlib.import_module(f"windsock.cli.{module_name}")
        verb: typer.Typer | None = getattr(module, "app", None)
        if verb is None:
            verb = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
            function: Callable[..., object] = module.command
            verb.command(name=cmd_name)(function)
        command = typer.main.get_command(verb)
        command.name, command.short_help = cmd_name, help_line
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer's signature
        """Write the list of commands without importing any of them."""
        for heading, section in self.SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl([(name, help_line) for name, (_, help_line) in section.items()])
