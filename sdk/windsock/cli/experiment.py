"""`windsock experiment`: one file per sub-command, imported when that one is used."""

import importlib
from collections.abc import MutableMapping
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS: dict[str, str] = {
    # sub-command: one line of help; its module is windsock.cli._experiment_<name>
    "new": "Write a new experiment's document, to be filled in.",
    "check": "Check the documents, their metrics and, with --sources, their data.",
    "power": "Say how many units and days an experiment needs.",
    "start": "Write the flag that decides who gets which arm.",
    "assign": "Assign users to arms, where the arms are profiles.",
    "status": "Show the verdict and every metric at the terminal.",
    "report": "Write the verdict, charts and queries as one HTML file.",
    "decide": "Say whether to ship, stop or go on, with the evidence.",
    "stop": "End an experiment: everybody gets the default again.",
    "schema": "Print the JSON Schema of the documents, for editors.",
}


class _Commands(TyperGroup):
    """Lists sub-commands without importing them: their libraries take more than a second."""

    @property
    def commands(self) -> MutableMapping[str, Any]:
        """Every sub-command, imported, for code that walks over all of them."""
        return {name: self.get_command(None, name) for name in COMMANDS}

    @commands.setter
    def commands(self, _: MutableMapping[str, Any]) -> None:
        """Typer has none to set: none is registered."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        """The sub-commands in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
        """Import one sub-command."""
        if cmd_name not in COMMANDS:
            return None
        verb = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        verb.command(name=cmd_name)(importlib.import_module(f"windsock.cli._experiment_{cmd_name}").command)
        command = typer.main.get_command(verb)
        command.name, command.short_help = cmd_name, COMMANDS[cmd_name]
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer's signature
        """Write the list of sub-commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def command() -> None:
    """Run experiments that are declared in flagd/experiments/, from a plan to a decision.

    In order: `new` writes a document and `check` reads it, `power` says how long it takes, `start` runs it;
    then `status` and `report` as often as you like, `decide`, and `stop`.
    """
