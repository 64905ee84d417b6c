"""Holdouts: units kept out of every experiment that names the holdout; `flagd/holdouts.yaml`."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from windsock.errors import ConfigurationError
from windsock.experiments.documents import Experiment
from windsock.experiments.metrics import Name
from windsock.experiments.quantities import Share


class Holdouts(BaseModel):
    """The declared holdouts.

    Attributes:
        holdouts: Share of the units, 0.001 to 0.9, that each keeps out of its experiments.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    holdouts: Mapping[Name, Annotated[Share, Field(ge=0.001, le=0.9)]] = Field(default_factory=dict)

    def share_of(self, experiment: Experiment) -> float | None:
        """The share of units kept out of an experiment; None without a holdout.

        Raises:
            ConfigurationError: The holdout isn't declared.
        """
        if experiment.holdout is None:
            return None
        if experiment.holdout not in self.holdouts:
            raise ConfigurationError(
                f"{experiment.name}: the holdout {experiment.holdout!r} is not declared; write its share "
                f"into flagd/holdouts.yaml, below `holdouts:`, as `{experiment.holdout}: 5%`"
            )
        return self.holdouts[experiment.holdout]
