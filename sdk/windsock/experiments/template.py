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
{what}

arms:
  control: {control}  # what everybody has today
  treatment: {treatment}

metrics:
  goal: [cost_per_request]  # what should get better; declare your own in flagd/metrics.yaml
  guardrails:
    - error_rate  # must not get worse
    - {{metric: latency_ms, margin: 10%}}  # must be shown to be at most 10 % worse

minimum_effect: 5%  # the smallest change of the goal that matters
maximum: {{units: 10000}}  # the latest end, or {{duration: 28d}}; see `windsock experiment power {name}`
# traffic: 20%  # the share of users who take part; everybody without it
"""


def of_settings(name: str, *, settings: str, change: str, owner: str) -> str:
    """Write the document of an experiment on a settings class, as YAML.

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
    return _DOCUMENT.format(
        name=_checked(name),
        hypothesis=json.dumps(f"TODO: what {field} = {value} improves, and why"),
        owner=json.dumps(owner),
        what=f"settings: {json.dumps(settings)}",
        control="{}",
        treatment=f"{{{field}: {_scalar(value)}}}",
    )


def of_feature(name: str, *, feature: str, owner: str) -> str:
    """Write the document of an experiment that switches a feature on, as YAML.

    Args:
        name: The experiment's name.
        feature: The feature's flag.
        owner: Who decides.

    Raises:
        ConfigurationError: The name is malformed.
    """
    return _DOCUMENT.format(
        name=_checked(name),
        hypothesis=json.dumps(f"TODO: what {feature} improves, and why"),
        owner=json.dumps(owner),
        what=f"feature: {json.dumps(feature)}",
        control="false",
        treatment="true",
    )


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r}: an experiment's name is a lower-case letter, then at most 62 lower-case letters, "
            "digits and underscores"
        )
    return name


def _scalar(text: str) -> str:
    """A value as YAML: as is if it is JSON, else as quoted text."""
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text
