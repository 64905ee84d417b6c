"""The services of examples/ as parts of the demo; what only they need is in examples/ too."""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Protocol, cast

import windsock
from windsock.demo.stage import Stage
from windsock.demo.story import Scene
from windsock.errors import ConfigurationError


class System(StrEnum):
    """The services that the repository shows, and the experiment that the package has."""

    AI_TEACHER = "ai-teacher"
    AD_LEARNING = "ad-learning"
    AURA = "aura"
    EXPERIMENT = "experiment"


class Tale(Protocol):
    """What happens to a running service, step by step."""

    def tell(self) -> Iterator[Scene]:
        """Run the steps one by one. The first one's ``seen["service"]`` is where the service listens."""


class Example(Protocol):
    """What ``examples/<system>/demo.py`` has.

    Attributes:
        FLAG: The flag of the service's settings class.
        MIRROR: Further options of the mirror.
        INTRODUCTION: What the service is, in a few sentences.
    """

    FLAG: str
    MIRROR: Sequence[str]
    INTRODUCTION: str

    def running(self, stage: Stage) -> AbstractContextManager[Tale]:
        """Start the service, for as long as the block lasts."""


def find(system: System) -> Example:
    """Load an example's demo from the checkout.

    Raises:
        ConfigurationError: The package isn't in a checkout, or the checkout has no such demo.
    """
    checkout, name = Path(windsock.__file__).parents[2], system.replace("-", "_")
    if not (checkout / "examples" / name / "demo.py").is_file():
        raise ConfigurationError(
            f"{checkout} has no examples/{name}: the example services are in windsock's repository, not in"
            f" the package; clone it and run `uv run windsock demo --system {system}` in it"
        )
    sys.path.insert(0, str(checkout))
    return cast("Example", importlib.import_module(f"examples.{name}.demo"))
