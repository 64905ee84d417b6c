"""The services of examples/ as parts of the demo; code that only they need is also in examples/."""

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
    """The example services of the repository, and the experiment in the package."""

    AI_TEACHER = "ai-teacher"
    AD_LEARNING = "ad-learning"
    AURA = "aura"
    EXPERIMENT = "experiment"


class Tale(Protocol):
    """What happens to a running service, step by step."""

    def tell(self) -> Iterator[Scene]:
        """Run the steps one by one. The first one's ``seen["service"]`` is the service's address."""


class Example(Protocol):
    """The interface of ``examples/<system>/demo.py``.

    Attributes:
        FLAG: The flag of the service's settings class.
        MIRROR: Additional options for the mirror.
        INTRODUCTION: What the service is, in a few sentences.
    """

    FLAG: str
    MIRROR: Sequence[str]
    INTRODUCTION: str

    def running(self, stage: Stage) -> AbstractContextManager[Tale]:
        """Run the service until the block ends."""


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
