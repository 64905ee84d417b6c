"""The document that declares an experiment, `flagd/experiments/<name>.yaml`, as a model."""

from collections import Counter
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    field_validator,
    model_validator,
)

from windsock.experiments.metrics import Guardrail, Name
from windsock.experiments.quantities import Duration, Share

Unit = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,62}$")]
ArmName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$")]
_ARMS: Final = {dict: "fields", bool: "value", str: "profile"}
Arm = Annotated[
    Annotated[dict[str, JsonValue], Tag("fields")]
    | Annotated[bool, Tag("value")]
    | Annotated[str, Tag("profile")],
    Discriminator(
        lambda value: _ARMS.get(type(value)),
        custom_error_type="arm",
        custom_error_message="an arm is a mapping of fields, true or false, or a profile's name",
    ),
]
"""The fields that an arm changes, a feature's value, or the name of a profile."""

_SMALLEST_ARM: Final = 0.001

_MOST_METRICS: Final = 100
"""Metrics of one experiment: an analysis of more would take longer than people wait."""

_CLOSEST: Final = 0.01
"""How far planned looks are apart, at least: closer ones spend more error than planned (GroupSequential)."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Maximum(_Model):
    """Where the experiment ends at the latest.

    Attributes:
        units: Number of units over all arms.
        duration: Time after the start.
    """

    units: Annotated[int, Field(ge=2, le=10**12)] | None = None
    duration: Duration | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.units is None) == (self.duration is None):
            raise ValueError("a maximum is either `units` or `duration`")
        if self.duration is not None and not self.duration:
            raise ValueError("a maximum's `duration` must be longer than zero")
        return self


def _or_name(schema: dict[str, Any]) -> None:
    """A guardrail without a margin is written as its name."""
    schema["items"] = {"anyOf": [schema["items"], {"type": "string"}]}


class Roles(_Model):
    """The metrics by what they decide.

    Attributes:
        goal: Each wins on its own, together corrected by Holm's method.
        guardrails: Must not get worse; one that does makes the experiment harmful.
        secondary: Reported, and decide nothing.
    """

    goal: Annotated[list[Name], Field(min_length=1, max_length=20)]
    guardrails: Annotated[list[Guardrail], Field(json_schema_extra=_or_name)] = Field(default_factory=list)
    secondary: list[Name] = Field(default_factory=list)

    @field_validator("guardrails", mode="before")
    @classmethod
    def _names_alone(cls, value: object) -> object:
        if isinstance(value, list):
            return [{"metric": each} if isinstance(each, str) else each for each in value]
        return value

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        guardrails = [each.metric for each in self.guardrails]
        for role, names in (("goal", self.goal), ("guardrails", guardrails), ("secondary", self.secondary)):
            if twice := [name for name, times in Counter(names).items() if times > 1]:
                raise ValueError(f"`{role}` names {twice[0]} twice")
        if len(self.every) > _MOST_METRICS:
            raise ValueError(f"{len(self.every)} metrics; an experiment names at most {_MOST_METRICS}")
        return self

    @property
    def every(self) -> list[str]:
        """All metrics, each once."""
        return list(dict.fromkeys([*self.goal, *(each.metric for each in self.guardrails), *self.secondary]))


class PlannedLooks(_Model):
    """Looks at these shares of the maximum; the last one is 1."""

    looks: Annotated[list[Share], Field(min_length=1, max_length=50)]

    @field_validator("looks")
    @classmethod
    def _increasing(cls, value: list[float]) -> list[float]:
        if value != sorted(set(value)) or value[0] <= 0 or value[-1] != 1:
            raise ValueError("planned looks increase from above 0 to 1")
        if min(after - before for before, after in pairwise([0.0, *value])) < _CLOSEST - 1e-9:
            raise ValueError(f"planned looks are at least {_CLOSEST:.0%} of the maximum apart")
        return value


Design = Annotated[
    Annotated[Literal["any_time", "fixed"], Tag("name")] | Annotated[PlannedLooks, Tag("looks")],
    Discriminator(lambda value: "looks" if isinstance(value, dict | PlannedLooks) else "name"),
]


class Experiment(_Model):
    """An experiment, as it is declared in Git.

    Attributes:
        name: The file's name.
        hypothesis: What is expected, and why.
        owner: Who decides.
        settings: The flag of the settings class that it changes.
        feature: The feature that it switches, instead of `settings`.
        unit: What is randomised: `user`, `request`, or an attribute of the evaluation context.
        audience: A portable targeting rule; everybody without it.
        traffic: Share of the audience that takes part, at least 0.1 %.
        arms: The fields that each arm changes; control is named `control`, else it is the first one.
        allocation: Weights of the arms, each at least 0.1 % of their sum; equal without it.
        metrics: Metrics by role.
        minimum_effect: The smallest relative change of the goal that matters, at least 0.01 %.
        maximum: Where it ends at the latest; none makes it open-ended.
        design: When it may be looked at: any time, once at the end, or at planned looks.
        alpha: Error over all looks.
        holdout: The name of a holdout whose units take no part.
        exclusion_group: A unit takes part in one experiment of a group at most.
        segments: Attributes by which the report explores.
        version: Counts changes of arms, audience or allocation.
        reason: Why there is a version above 1.
    """

    name: Name
    hypothesis: Annotated[str, Field(min_length=1, max_length=10_000)]
    owner: Annotated[str, Field(min_length=1, max_length=200)]
    settings: Annotated[str, Field(max_length=200)] | None = None
    feature: Annotated[str, Field(max_length=200)] | None = None
    unit: Unit = "user"
    audience: JsonValue = None
    traffic: Annotated[Share, Field(ge=0.001)] = 1.0
    arms: Annotated[dict[ArmName, Arm], Field(min_length=2, max_length=20)]
    allocation: dict[ArmName, Annotated[float, Field(gt=0, le=10**9)]] | None = None
    metrics: Roles
    minimum_effect: Annotated[Share, Field(ge=0.0001)]
    maximum: Maximum | None = None
    design: Design = "any_time"
    alpha: Annotated[float, Field(ge=1e-6, le=0.2)] = 0.05
    holdout: Name | None = None
    exclusion_group: Name | None = None
    segments: Annotated[list[Unit], Field(max_length=20)] = Field(default_factory=list)
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1
    reason: Annotated[str, Field(max_length=10_000)] = ""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if (self.settings is None) == (self.feature is None):
            raise ValueError("an experiment names either `settings`, the flag of a class, or `feature`")
        if self.allocation is not None and set(self.allocation) != set(self.arms):
            raise ValueError("`allocation` names the same arms as `arms`, each once")
        if (smallest := min(self.shares.values())) < _SMALLEST_ARM:
            raise ValueError(
                f"`allocation`: an arm gets {smallest:.2g} of the units; the least is {_SMALLEST_ARM}"
            )
        if self.maximum is None and self.design != "any_time":
            raise ValueError("a fixed horizon and planned looks need `maximum`")
        if self.version > 1 and not self.reason:
            raise ValueError("a version above 1 needs `reason`")
        kinds = {type(arm) for arm in self.arms.values()}
        if len(kinds) > 1:
            raise ValueError("arms are all mappings of fields, all true or false, or all names of profiles")
        if kinds == {str} and self.unit != "user":
            raise ValueError("profiles are assigned to users: `unit` must be user")
        return self

    @property
    def are_profiles(self) -> bool:
        """Whether the arms are names of profiles, which are assigned to users."""
        return all(isinstance(arm, str) for arm in self.arms.values())

    @property
    def flag(self) -> str:
        """The flag whose requests it changes."""
        return self.settings or self.feature or ""

    @property
    def control(self) -> str:
        """The arm that the others are compared with."""
        return "control" if "control" in self.arms else next(iter(self.arms))

    @property
    def treatments(self) -> list[str]:
        """The other arms."""
        return [arm for arm in self.arms if arm != self.control]

    @property
    def shares(self) -> dict[str, float]:
        """Share of each arm, adding up to 1."""
        weights = self.allocation or dict.fromkeys(self.arms, 1.0)
        total = sum(weights.values())
        return {arm: weights[arm] / total for arm in self.arms}


class Exploratory(Roles):
    """Metrics that decide nothing."""

    goal: Annotated[list[Name], Field(max_length=0)] = Field(default_factory=list)


class HandWritten(Experiment):
    """An experiment without a document: a flag splits units, and all its figures are exploratory.

    Attributes:
        name: As the flag's metadata says, or the flag's key.
        metrics: The built-in ones.
        hand_written: Tells it from a document, which can't say this.
    """

    name: Annotated[str, Field(min_length=1, max_length=1_000)]
    metrics: Exploratory
    hand_written: Literal[True]
