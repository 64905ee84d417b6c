"""What one process shares between its settings classes: the way to the flags, and the values withdrawn."""

import weakref
from typing import Protocol

from windsock.client.evaluation import Evaluation
from windsock.settings.place import Withdrawn


class Reader(Protocol):
    """What reads the environment: when the process starts or reloads, else at its first use."""

    def reload(self) -> None:
        """Read the environment again."""


class Process:
    """What the whole process shares; until `windsock.start`, OpenFeature's default provider is asked.

    Attributes:
        evaluation: The way to the flags, made at first use.
        withdrawn: Values that are not served.
        readers: What has read the environment.
        epoch: A new object whenever something other than the flags changed; settings are then resolved again.
    """

    def __init__(self) -> None:
        self.evaluation: Evaluation | None = None
        self.withdrawn: Withdrawn = {}
        self.readers: weakref.WeakSet[Reader] = weakref.WeakSet()
        self.epoch = object()

    def evaluating(self) -> Evaluation:
        """The way to the flags."""
        if self.evaluation is None:
            self.evaluation = Evaluation()
        return self.evaluation

    def withdraw(self, values: Withdrawn) -> None:
        """Serve none of these values from now on; what was withdrawn before and is not named is lifted."""
        self.withdrawn = values
        self.epoch = object()

    def reload(self) -> None:
        """Read the environment again."""
        for reader in list(self.readers):
            reader.reload()
        self.epoch = object()


process = Process()
