"""`windsock experiment`: one file per sub-command, imported when that one is used."""

from collections.abc import MutableMapping
from typing import Any, ClassVar

import typer

from windsock.cli._lazy_group import LazyGroup

_COMMANDS: dict[str, str] = {
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


class _Commands(LazyGroup):
    """The sub-commands; their libraries take more than a second to import."""

    SECTIONS: ClassVar = {
        "Commands": {name: (f"_experiment_{name}", line) for name, line in _COMMANDS.items()}
    }

    @property
    def commands(self) -> MutableMapping[str, Any]:
        """Every sub-command, imported, for code that walks over all of them."""
        return {name: self.get_command(None, name) for name in _COMMANDS}

    @commands.setter
    def commands(self, _: MutableMapping[str, Any]) -> None:
        """Typer has none to set: none is registered."""


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
