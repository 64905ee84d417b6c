"""The input of a decision, as JSON; the same snapshot always gives the same decision."""

from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from windsock.errors import ConfigurationError
from windsock.experiments.data.collected import Collected
from windsock.experiments.reading import DeclaredExperiment


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An experiment as declared, and the data collected.

    Attributes:
        declared: The experiment and its metrics.
        collected: Sums and counts.
    """

    declared: DeclaredExperiment
    collected: Collected


_ADAPTER: Final[TypeAdapter[Snapshot]] = TypeAdapter(Snapshot)


def to_json(snapshot: Snapshot) -> str:
    """Write a snapshot."""
    return _ADAPTER.dump_json(snapshot).decode()


def from_json(text: str) -> Snapshot:
    """Read a snapshot.

    Raises:
        ConfigurationError: It isn't a snapshot.
    """
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"this isn't an experiment's snapshot: {where}: {first['msg']}") from None
