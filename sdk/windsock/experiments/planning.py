"""Computes how long an experiment has to run, for each design."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Final

import numpy as np

from windsock.errors import ConfigurationError
from windsock.experiments.data.newest import newest
from windsock.experiments.data.past import Baseline, read_past
from windsock.experiments.data.sources import Scope
from windsock.experiments.data.warehouse import Backend, Warehouse, open_warehouse
from windsock.experiments.documents import Maximum, PlannedLooks
from windsock.experiments.quantities import duration_words
from windsock.experiments.reading import DeclaredExperiment, read_declared
from windsock.experiments.statistics import planning
from windsock.experiments.statistics.designs import TIGHT_AT
from windsock.text import count

QUARTERS: Final = (0.25, 0.5, 0.75, 1.0)
"""Shares of the units by which the reached power is said."""

PowerOf = Callable[[float, int, float], float]
"""Power from the effect over its standard error with all units, their number, and the share that has come."""

_REPLAYS, _LOOKS, _ROUNDS = 500, 50, 8
_LEAST: Final = 20 * _LOOKS  # units of the past, so that each look adds some
_WIDEST: Final = 1e5  # standard deviations in an effect: it takes more than 10^11 units to find
_FEWEST, _MOST = 0.0001, 10**9  # new units a day
_NAMES: Final = {"any_time": "any time up to a maximum", "fixed": "one look at the end"}


@dataclass(frozen=True, slots=True)
class SampleSize:
    """The sample size of one design.

    Attributes:
        name: `any time up to a maximum`, `no maximum`, `one look` or `planned looks`.
        units: Units over all arms needed to find the minimum effect in four of five experiments.
        days: How long they take to arrive and mature; None if the arrival rate is unknown.
        reached: Share of the experiments with the minimum effect that have found it by each of `QUARTERS` of
            the units.
    """

    name: str
    units: int
    days: float | None
    reached: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Power:
    """The sample sizes for an experiment's first goal.

    Attributes:
        metric: The goal.
        mean: The metric's current value.
        deviation: Standard deviation per unit, the delta method's for a ratio.
        effect: The absolute effect to find.
        units_per_day: New units per day in the experiment; None if unknown.
        designs: The sample size of each design.
        maximum: Units within the declared maximum (of a duration, those that arrive in it), the relative
            effect that they find in four of five, and the power to find the minimum effect.
        others: The effects that the other metrics can find by then; empty without past data.
        replayed: Share of A/A replays of the past that reject, and of replays with the effect.
        unreplayed: Why the past wasn't replayed; empty otherwise, and without past data.
        past: Whose past was read, in words; empty without past data.
    """

    metric: str
    mean: float
    deviation: float
    effect: float
    units_per_day: float | None
    designs: tuple[SampleSize, ...]
    maximum: tuple[int, float, float] | None = None
    replayed: tuple[float, float] | None = None
    others: tuple["Other", ...] = ()
    unreplayed: str = ""
    past: str = ""


@dataclass(frozen=True, slots=True)
class Other:
    """The effect that a metric besides the first goal can find, with the units present at the end.

    Attributes:
        metric: The metric.
        role: `goal`, `guardrail` or `secondary`.
        mean: The metric now.
        units: Units over all arms at the end.
        relative: The relative effect found in four of five experiments; for a guardrail, the worsening.
        note: Why it can't be computed; empty otherwise.
    """

    metric: str
    role: str
    mean: float | None
    units: int
    relative: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Assumed:
    """A metric's past, as the user states it.

    Attributes:
        mean: The metric now.
        deviation: Standard deviation of one unit's value.
        units_per_day: New units per day.
    """

    mean: float
    deviation: float
    units_per_day: float | None = None


def power(
    name: str,
    past: "str | Path | Backend | Assumed",
    *,
    flags: str | Path = "flagd",
    environment: str = "production",
    now: datetime | None = None,
) -> Power:
    """Compute how many units an experiment needs, from its own past or from stated numbers.

    With data, the past is also replayed: units are randomly split into two arms and looked at 50 times. The
    other metrics' pasts show which effects they can find by the end.

    Args:
        name: The experiment.
        past: Where the data is, as for `analyze`; or the mean and deviation.
        flags: The folder of the flags.
        environment: The environment whose past is read.
        now: The end of the past; by default the current time, or the newest row of files.

    Raises:
        ConfigurationError: A document is wrong, there is no past data, or `now` has not come.
        UnreachableError: The data cannot be reached.
    """
    declared = read_declared(Path(flags), name)
    goal = declared.experiment.metrics.goal[0]
    if isinstance(past, Assumed):
        return _plan(declared, goal, past)
    scope = Scope(declared.experiment, environment, declared.places)
    with open_warehouse(past) as warehouse:
        now = _end_of_past(warehouse, scope, declared, now)
        read = read_past(warehouse, scope, goal, declared.metrics[goal], now)
        planned = _plan(declared, goal, _assumed(declared, read))
        units = planned.maximum[0] if planned.maximum is not None else planned.designs[0].units
        others = tuple(_others(declared, warehouse, scope, units, now))
    replayed = _replayed(read, planned.effect, _alpha(declared))
    few = "" if replayed else f"{count(len(read.linear), 'unit')} in the past; {_LEAST:,} are needed"
    sentence = _past_sentence(read, declared.metrics[goal].window)
    return replace(planned, replayed=replayed, others=others, unreplayed=few, past=sentence)


def _past_sentence(read: Baseline, window: timedelta) -> str:
    """Whose past was read, and what that leaves out."""
    units, during = len(read.numerators), f"in the last {duration_words(window)}"
    if not read.everybody:
        known = f"Read from the {count(units, 'unit')} with a row of the metric {during}"
        return (
            f"{known}: who would be exposed and have none is not known. If many would, this is far too "
            "hopeful: give --mean and --deviation over all"
        )
    with_rows = f"{read.with_rows:,} had a row of the metric"
    return f"Read from the {count(units, 'unit')} with a request {during}; {with_rows}"


def _assumed(declared: DeclaredExperiment, read: Baseline) -> Assumed:
    deviation = float(np.std(read.linear, ddof=1))
    return Assumed(read.mean, deviation, read.units_per_day * declared.experiment.traffic)


def _alpha(declared: DeclaredExperiment) -> float:
    """The error rate of one goal of one arm, corrected for the others."""
    experiment = declared.experiment
    return experiment.alpha / (len(experiment.metrics.goal) * len(experiment.treatments))


def _spread(declared: DeclaredExperiment, deviation: float) -> planning.Spread:
    shares = declared.experiment.shares
    treatment = min(shares[arm] for arm in declared.experiment.treatments)
    return planning.Spread(deviation, shares[declared.experiment.control], treatment)


def _powers(declared: DeclaredExperiment, alpha: float) -> dict[str, PowerOf]:
    """Power of each design, the declared one first."""
    design = declared.experiment.design
    looks = tuple(design.looks) if isinstance(design, PlannedLooks) else QUARTERS
    planned = f"{len(looks)} planned looks"
    powers: dict[str, PowerOf] = {
        "any time up to a maximum": lambda drift, _, by: planning.power_up_to_maximum(drift, alpha, by),
        planned: lambda drift, _, by: planning.power_planned(drift, alpha, looks, by),
        "one look at the end": lambda drift, _, by: planning.power_fixed(drift, alpha, by),
        "no maximum": lambda drift, units, by: planning.power_open_ended(drift, alpha, units, by),
    }
    first = planned if isinstance(design, PlannedLooks) else _NAMES[design]
    if declared.experiment.maximum is None:
        first = "no maximum"
    return {first: powers[first], **powers}


def _units_needed(effect: float, spread: planning.Spread, power_of: PowerOf) -> int:
    """Units needed, also where the power of a drift depends on their number: settled in a few rounds."""
    units = TIGHT_AT
    for _ in range(_ROUNDS):
        before, units = units, planning.units_needed(effect, spread, _of(power_of, units))
        if units == before:
            break
    return units


def _of(power_of: PowerOf, units: int) -> Callable[[float], float]:
    """Power with this many units, as a function of the drift."""
    return lambda drift: power_of(drift, units, 1.0)


def _reached(effect: float, spread: planning.Spread, power_of: PowerOf, units: int) -> tuple[float, ...]:
    """Power by each quarter of the units."""
    drift = effect / spread.error(units)
    return tuple(power_of(drift, units, by) for by in QUARTERS)


def _end_of_past(
    warehouse: Warehouse, scope: Scope, declared: DeclaredExperiment, now: datetime | None
) -> datetime:
    """The time that was asked for; else the newest row of files, or the time now."""
    clock = warehouse.now()
    if now is None:
        return max(newest(warehouse, scope, declared.metrics, clock).values(), default=clock)
    if now > clock:
        raise ConfigurationError(
            f"{now:%Y-%m-%d %H:%M %Z} is in the future: power reads the past, so name an earlier time"
        )
    return now


def _plan(declared: DeclaredExperiment, goal: str, assumed: Assumed) -> Power:
    experiment = declared.experiment
    effect = abs(assumed.mean) * experiment.minimum_effect
    _check(goal, assumed, effect)
    spread, powers = _spread(declared, assumed.deviation), _powers(declared, _alpha(declared))
    metric = declared.metrics[goal]
    matures = (metric.delay + metric.window) / timedelta(days=1)
    designs = []
    for title, power_of in powers.items():
        units = _units_needed(effect, spread, power_of)
        days = units / assumed.units_per_day + matures if assumed.units_per_day else None
        designs.append(SampleSize(title, units, days, _reached(effect, spread, power_of, units)))
    maximum = None
    if (most := _units_of_maximum(experiment.maximum, assumed.units_per_day)) is not None:
        declared_power = next(iter(powers.values()))
        found = planning.detectable(most, spread, _of(declared_power, most))
        reached = _reached(effect, spread, declared_power, most)[-1]
        maximum = most, found / abs(assumed.mean), reached
    return Power(
        goal, assumed.mean, assumed.deviation, effect, assumed.units_per_day, tuple(designs), maximum
    )  # fmt: skip


def _check(goal: str, assumed: Assumed, effect: float) -> None:
    """Refuse numbers with which no experiment can be planned."""
    if not effect or assumed.deviation <= 0:
        raise ConfigurationError(
            f"metric {goal}: the mean, the deviation and the minimum effect must not be zero"
        )
    if not isfinite(assumed.mean) or not isfinite(assumed.deviation):
        raise ConfigurationError(f"metric {goal}: the mean and the deviation must be finite numbers")
    if assumed.deviation > _WIDEST * effect:
        raise ConfigurationError(
            f"metric {goal}: a change of {effect:.3g} is too small to find beside a deviation of "
            f"{assumed.deviation:.3g}; cap the metric, or declare a larger minimum_effect"
        )
    per_day = assumed.units_per_day
    if per_day is not None and not _FEWEST <= per_day <= _MOST:
        raise ConfigurationError(f"new units a day: between {_FEWEST} and {_MOST:.0e}, not {per_day:g}")


def _units_of_maximum(maximum: Maximum | None, per_day: float | None) -> int | None:
    """Units over all arms within the declared maximum; None if unknown."""
    if maximum is None:
        return None
    if maximum.duration is not None:
        return None if not per_day else max(2, round(per_day * (maximum.duration / timedelta(days=1))))
    return maximum.units


def _others(
    declared: DeclaredExperiment, warehouse: Warehouse, scope: Scope, units: int, now: datetime | None
) -> Iterator[Other]:
    """The effect that each metric but the first goal can find with this many units."""
    roles = declared.experiment.metrics
    guardrails = [each.metric for each in roles.guardrails]
    arms = len(declared.experiment.treatments)
    tests = {"goal": len(roles.goal) * arms, "guardrail": len(guardrails) * arms, "secondary": 1}
    for role, names in (("goal", roles.goal[1:]), ("guardrail", guardrails), ("secondary", roles.secondary)):
        for name in names:
            try:
                read = read_past(warehouse, scope, name, declared.metrics[name], now)
            except ConfigurationError as error:
                yield Other(
                    name,
                    role,
                    None,
                    units,
                    None,
                    str(error).removeprefix(f"{scope.where(name)}: ").partition(";")[0],
                )
                continue
            past = _assumed(declared, read)
            if not past.mean or not past.deviation:
                yield Other(name, role, past.mean, units, None, "it was the same for every unit, or zero")
                continue
            if not isfinite(past.mean) or not isfinite(past.deviation):
                yield Other(name, role, None, units, None, "it had infinite values or NaN")
                continue
            alpha = declared.experiment.alpha / tests[role] * (2 if role == "guardrail" else 1)  # one side
            power_of = next(iter(_powers(declared, alpha).values()))
            found = planning.detectable(units, _spread(declared, past.deviation), _of(power_of, units))
            yield Other(name, role, past.mean, units, found / abs(past.mean))


def _replayed(past: Baseline, effect: float, alpha: float) -> tuple[float, float] | None:
    """Replays without and with the effect; None if the past has too few units for the looks."""
    values = past.linear
    if len(values) < _LEAST:
        return None
    rejected = (
        planning.replay(values, _REPLAYS, _LOOKS, alpha, effect=each, seed=1) for each in (0.0, effect)
    )
    return next(rejected), next(rejected)
