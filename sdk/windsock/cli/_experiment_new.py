"""`windsock experiment new`: a document to fill in."""

import json
import re
from pathlib import Path
from typing import Annotated, Final

import typer

from windsock.cli._new import write_new
from windsock.cli._say import say
from windsock.errors import ConfigurationError

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DOCUMENT: Final = """\
name: {name}
hypothesis: Another {field} costs less, and answers stay as good.
owner: {owner}
settings: {settings}

# Who takes part: leave `audience` out for everybody. `unit` is user, request, or an attribute.
unit: user
traffic: 100%

# Each arm names the fields that it changes; control changes nothing.
arms:
  control: {{}}
  treatment:
    {field}: {value}

metrics:
  goal: [cost_per_request]
  guardrails:
    - {{metric: error_rate, margin: 5%}}
    - {{metric: latency_ms, margin: 10%}}

minimum_effect: 5%
maximum: {{units: 10000}}
"""


def command(
    name: Annotated[str, typer.Argument(help="Letters, digits and underscores; the file's name too.")],
    *,
    settings: Annotated[str, typer.Option(help="The flag of the settings class that it changes.")],
    field: Annotated[str, typer.Option(metavar="FIELD=VALUE", help="What the treatment changes.")],
    owner: Annotated[str, typer.Option(help="Who decides.")],
    flags: Annotated[Path, typer.Option(help="The folder of the flags.")] = Path("flagd"),
) -> None:
    """Write an experiment's document, to be filled in and reviewed.

    Example: windsock experiment new warmer --settings teacher --field temperature=1.1 --owner ada
    """
    changed, found, value = field.partition("=")
    if not found or not changed.isidentifier():
        raise ConfigurationError(f"--field {field}: write the field and its value, as temperature=0.2")
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r}: an experiment's name has lower-case letters, digits and underscores"
        )
    text = _DOCUMENT.format(
        name=name, settings=json.dumps(settings), field=changed, value=_scalar(value), owner=json.dumps(owner)
    )
    path = flags / "experiments" / f"{name}.yaml"
    write_new({path: text.encode()}, force=False)
    say(f"wrote {path}")
    say(f"Fill it in, then run `windsock experiment check` and `windsock experiment start {name}`.")


def _scalar(text: str) -> str:
    """A value as YAML has it: JSON where it is some, else text in quotes."""
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text
