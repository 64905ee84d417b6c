"""What users are given: settings for one combination of variants, and how they came about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from openfeature.exception import ErrorCode

from windsock.evaluator.outcome import Outcome
from windsock.providers.base import Serving
from windsock.settings.handing import shared
from windsock.settings.layers import Layer, Resolved
from windsock.settings.tally import Tally
from windsock.usage.data import Arm

Outcomes = tuple[Outcome, Outcome, Outcome]
"""What the base, the experiment and the profile flag gave."""


@dataclass(frozen=True, slots=True, eq=False)
class Resolution:
    """Settings for one combination of variants, and the evaluations that led to them; shared between users.

    Attributes:
        values: Values by field name.
        resolved: The layers behind them.
        outcomes: What the base, experiment and profile flags gave, in this order.
        deciding: That of the strongest flag that contributed a value; the base flag's where none did.
        config_id: UUID of the configuration that the user is assigned to, or None; one that changes nothing,
            such as the control group's, counts too.
        excluded: Whether the user is left out of the running experiment because the profile sets a field of
            it.
        arms: The fields that the arms of the experiment set; None where they are not known.
        arm: The user's arm. Who has a profile of whatever content doesn't count; that depends on no arm.
        layers: The layers as they were found, withdrawn values included.
        tally: What became of the calls that used it.
        shared: Those of the values that users can share.
        error: What went wrong in an evaluation, as `Outcome.error` says it. A missing flag of experiments or
            profiles is none, nor a missing base flag where another one decides.
    """

    values: Mapping[str, object]
    resolved: Resolved
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
        """That of the deciding flag, else of another one that exists."""
        for outcome in (self.deciding, *self.outcomes):
            expected = outcome is not self.deciding and outcome.error_code is ErrorCode.FLAG_NOT_FOUND
            if outcome.error is not None and not expected:
                return outcome.error
        return None

    def found(self, field_name: str) -> object:
        """The value of a field as its layer holds it, before validation; None where none does."""
        origin = self.resolved.origins[field_name]
        holding = (layer for layer in self.resolved.applied if layer.origin == origin)
        return next((layer.values[field_name] for layer in holding if field_name in layer.values), None)

    def exposed(self, read: Iterable[str]) -> tuple[str, str] | None:
        """The experiment and the arm that reading these fields exposes to; None outside of any.

        A user whose profile sets a field of the experiment gets no arm's values, and is named in none.
        """
        arm = None if self.excluded else self.met(read)
        return None if arm is None else (arm.experiment, arm.name)

    def met(self, read: Iterable[str]) -> Arm | None:
        """The arm that reading these fields exposes to, also for who doesn't count; None outside of any."""
        return None if self.arms is not None and self.arms.isdisjoint(read) else self.arm


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What a user gets, shared between users.

    Attributes:
        resolution: The settings.
        serving: The set of flags they came from; None where the provider doesn't tell.
    """

    resolution: Resolution
    serving: Serving | None
