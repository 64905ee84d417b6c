"""What a process shares between its settings classes: access to the flags, and the withdrawn values."""

import weakref
from typing import Protocol

from windsock.client.evaluation import Evaluation
from windsock.settings.place import Withdrawn


class Reader(Protocol):
    """Something that reads the environment when the process starts or reloads, or on first use."""

    def reload(self) -> None:
        """Read the environment again."""


class Process:
    """Process-wide state; until `windsock.start`, OpenFeature's default provider evaluates flags.

    Attributes:
        evaluation: Access to the flags, created on first use.
        withdrawn: Values that aren't served.
        readers: Everything that has read the environment, in the order of its declaration.
        epoch: A new object whenever something other than the flags changes; settings are then resolved again.
    """

    def __init__(self) -> None:
        self.evaluation: Evaluation | None = None
        self.withdrawn: Withdrawn = {}
        self.readers: weakref.WeakKeyDictionary[Reader, None] = weakref.WeakKeyDictionary()
        self.epoch = object()

    def evaluating(self) -> Evaluation:
        """Access to the flags."""
        if self.evaluation is None:
            self.evaluation = Evaluation()
        return self.evaluation

    def withdraw(self, values: Withdrawn) -> None:
        """Stop serving these values; earlier withdrawals that aren't among them are lifted."""
        self.withdrawn = values
        self.epoch = object()

    def reload(self) -> None:
        """Read the environment again."""
        for reader in list(self.readers):
            reader.reload()
        self.epoch = object()


process = Process()
