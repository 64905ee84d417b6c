"""Settings for one combination of variants, and where they came from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from openfeature.exception import ErrorCode

from windsock.evaluator.outcome import Outcome
from windsock.providers.base import Serving
from windsock.settings.handing import shared
from windsock.settings.layers import Layer, MergedLayers
from windsock.settings.tally import Tally
from windsock.usage.data import Arm

Outcomes = tuple[Outcome, Outcome, Outcome]
"""The outcomes of the base, experiment and profile flags."""


@dataclass(frozen=True, slots=True, eq=False)
class Resolution:
    """Settings for one combination of variants, and the evaluations behind them; shared between users.

    Attributes:
        values: Values by field name.
        merged: The layers behind them.
        outcomes: The outcomes of the base, experiment and profile flags, in this order.
        deciding: The outcome of the strongest flag that contributed a value; the base flag's if none did.
        config_id: UUID of the user's assigned configuration, or None; a configuration that changes nothing,
            such as the control group's, counts too.
        excluded: Whether the user is excluded from the running experiment because the profile sets a field of
            it.
        arms: The fields that the experiment's arms set; None if unknown.
        arm: The user's arm. A user with any profile doesn't count, whatever the profile sets and whatever the
            arm.
        layers: The layers as found, including withdrawn values.
        tally: The results of the calls that used it.
        shared: The values that users can share.
        error: The error in an evaluation, as in `Outcome.error`. A missing experiment or profile flag
            doesn't count as one, nor does a missing base flag if another flag decides.
    """

    values: Mapping[str, object]
    merged: MergedLayers
    outcomes: Outcomes
    deciding: Outcome
    config_id: str | None
    excluded: bool
    arms: frozenset[str] | None = frozenset()
    arm: Arm | None = None
    layers: tuple[Layer, ...] = ()
    tally: Tally = field(default_factory=Tally)
    shared: dict[str, object] = field(init=False)
    error: str | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shared", shared(self.values))
        object.__setattr__(self, "error", self._error())

    def _error(self) -> str | None:
        """The error of the deciding flag, else of another flag that exists."""
        for outcome in (self.deciding, *self.outcomes):
            expected = outcome is not self.deciding and outcome.error_code is ErrorCode.FLAG_NOT_FOUND
            if outcome.error is not None and not expected:
                return outcome.error
        return None

    def raw_value(self, field_name: str) -> object:
        """A field's value in its layer, before validation; None if no layer has one."""
        origin = self.merged.origins[field_name]
        holding = (layer for layer in self.merged.applied if layer.origin == origin)
        return next((layer.values[field_name] for layer in holding if field_name in layer.values), None)

    def exposure(self, read: Iterable[str]) -> tuple[str, str] | None:
        """The experiment and arm that reading these fields exposes the user to; None if there's none.

        A user whose profile sets a field of the experiment gets no arm's values and isn't named in any.
        """
        arm = None if self.excluded else self.exposed_arm(read)
        return None if arm is None else (arm.experiment, arm.name)

    def exposed_arm(self, read: Iterable[str]) -> Arm | None:
        """The arm that reading these fields exposes to, even for a user who doesn't count; None if none."""
        return None if self.arms is not None and self.arms.isdisjoint(read) else self.arm


@dataclass(frozen=True, slots=True, eq=False)
class ServedResolution:
    """A resolution and the set of flags that it came from; shared between users.

    Attributes:
        resolution: The settings.
        serving: The set of flags; None if the provider doesn't say.
    """

    resolution: Resolution
    serving: Serving | None
