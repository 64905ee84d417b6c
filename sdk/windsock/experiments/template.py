"""A new experiment's document, to fill in."""

import json
import re
from typing import Final

from windsock.errors import ConfigurationError

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DOCUMENT: Final = """\
name: {name}
hypothesis: {hypothesis}
owner: {owner}
settings: {settings}

arms:
  control: {{}}  # what everybody has today
  treatment: {{{field}: {value}}}

metrics:
  goal: [cost_per_request]  # what should get better; declare your own in flagd/metrics.yaml
  guardrails:
    - error_rate  # must not get worse
    - {{metric: latency_ms, margin: 10%}}  # must be shown to be at most 10 % worse

minimum_effect: 5%  # the smallest change of the goal that matters
maximum: {{units: 10000}}  # the latest end, or {{duration: 28d}}; see `windsock experiment power {name}`
# traffic: 20%  # the share of users who take part; everybody without it
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
    hypothesis = f"TODO: what {field} = {value} improves, and why"
    return _DOCUMENT.format(
        name=name,
        hypothesis=json.dumps(hypothesis),
        settings=json.dumps(settings),
        field=field,
        value=_scalar(value),
        owner=json.dumps(owner),
    )


def _scalar(text: str) -> str:
    """A value as YAML: as is if it is JSON, else as quoted text."""
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text
