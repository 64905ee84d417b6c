"""A new experiment's document, to fill in."""

import json
import re
from typing import Final

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


def document(name: str, *, settings: str, change: str, owner: str) -> str:
    """Write the document as YAML.

    Args:
        name: The experiment's name.
        settings: The flag of the settings class that it changes.
        change: What the treatment changes, as ``field=value``; the value as JSON or as text.
        owner: Who decides.

    Raises:
        ConfigurationError: The name or the change is malformed.
    """
    field, found, value = change.partition("=")
    if not found or not field.isidentifier():
        raise ConfigurationError(f"--field {change}: write the field and its value, as temperature=0.2")
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r}: an experiment's name has lower-case letters, digits and underscores"
        )
    return _DOCUMENT.format(
        name=name, settings=json.dumps(settings), field=field, value=_scalar(value), owner=json.dumps(owner)
    )


def _scalar(text: str) -> str:
    """A value as YAML: as is if it is JSON, else as quoted text."""
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text
