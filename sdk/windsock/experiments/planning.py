"""How long an experiment has to run, for each way of looking at it."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np

from windsock.errors import ConfigurationError
from windsock.experiments.data.past import Past, read_past
from windsock.experiments.data.sources import Scope
from windsock.experiments.data.warehouse import Backend, open_warehouse
from windsock.experiments.documents import PlannedLooks
from windsock.experiments.reading import Declared, read_declared
from windsock.experiments.statistics import planning

_REPLAYS, _LOOKS = 500, 50


@dataclass(frozen=True, slots=True)
class Design:
    """What one way of looking needs.

    Attributes:
        name: `any time up to a maximum`, `no maximum`, `one look` or `planned looks`.
        units: Units over all arms that find the minimum effect in four of five experiments.
        days: How long they take to arrive, and to mature; none where arrivals are not known.
    """

    name: str
    units: int
    days: float | None


@dataclass(frozen=True, slots=True)
class Power:
    """What an experiment's first goal needs.

    Attributes:
        metric: The goal.
        mean: The metric now.
        deviation: Standard deviation per unit, the delta method's for a ratio.
        effect: The absolute effect that is to be found.
        units_per_day: New units a day in the experiment; none where it is not known.
        designs: What each way of looking needs.
        maximum: Units declared as the maximum, and the relative effect that they find in four of five.
        replayed: Share of A/A replays of the past that reject, and of replays with the effect.
    """

    metric: str
    mean: float
    deviation: float
    effect: float
    units_per_day: float | None
    designs: tuple[Design, ...]
    maximum: tuple[int, float] | None = None
    replayed: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Assumed:
    """A metric's past as somebody states it.

    Attributes:
        mean: The metric now.
        deviation: Standard deviation of one unit's value.
        units_per_day: New units a day.
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

    With data, the past is replayed too: units are dealt into two arms at random, and looked at 50 times.

    Args:
        name: The experiment.
        past: Where the data is, as for `analyze`; or the mean and deviation.
        flags: The folder of the flags.
        environment: Whose past counts.
        now: The end of the past; the current time without it.

    Raises:
        ConfigurationError: A document is wrong, or there is no past.
        UnreachableError: The data cannot be reached.
    """
    declared = read_declared(Path(flags), name)
    goal = declared.experiment.metrics.goal[0]
    if isinstance(past, Assumed):
        return _plan(declared, goal, past, None)
    with open_warehouse(past) as warehouse:
        read = read_past(
            warehouse, Scope(declared.experiment, environment), goal, declared.metrics[goal], now
        )
    deviation = float(np.std(read.linear, ddof=1))
    rate = read.units_per_day * declared.experiment.traffic
    return _plan(declared, goal, Assumed(read.mean, deviation, rate), read)


def _plan(declared: Declared, goal: str, assumed: Assumed, past: Past | None) -> Power:
    experiment = declared.experiment
    effect = abs(assumed.mean) * experiment.minimum_effect
    if not effect or assumed.deviation <= 0:
        raise ConfigurationError(
            f"metric {goal}: the mean, the deviation and the minimum effect must not be zero"
        )
    alpha = experiment.alpha / (len(experiment.metrics.goal) * len(experiment.treatments))
    shares = experiment.shares
    treatment = min(shares[arm] for arm in experiment.treatments)
    spread = planning.Spread(assumed.deviation, shares[experiment.control], treatment)
    looks = experiment.design.looks if isinstance(experiment.design, PlannedLooks) else (0.25, 0.5, 0.75, 1.0)
    powers = {
        "any time up to a maximum": partial(planning.power_up_to_maximum, alpha=alpha),
        f"{len(looks)} planned looks": partial(planning.power_planned, alpha=alpha, fractions=looks),
        "one look at the end": partial(planning.power_fixed, alpha=alpha),
        "no maximum": partial(planning.power_open_ended, alpha=alpha),
    }
    metric = declared.metrics[goal]
    matures = (metric.delay + metric.window).total_seconds() / 86_400
    designs = []
    for title, power_of in powers.items():
        units = planning.units_needed(effect, spread, power_of)
        days = units / assumed.units_per_day + matures if assumed.units_per_day else None
        designs.append(Design(title, units, days))
    maximum = None
    if experiment.maximum is not None and experiment.maximum.units is not None:
        found = planning.detectable(experiment.maximum.units, spread, powers["any time up to a maximum"])
        maximum = experiment.maximum.units, found / abs(assumed.mean)
    replayed = _replayed(past, effect, alpha) if past is not None else None
    return Power(
        goal,
        assumed.mean,
        assumed.deviation,
        effect,
        assumed.units_per_day,
        tuple(designs),
        maximum,
        replayed,
    )


def _replayed(past: Past, effect: float, alpha: float) -> tuple[float, float] | None:
    """Replays without an effect and with it; none where the past has too few units for the looks."""
    values = past.linear
    if len(values) < 20 * _LOOKS:
        return None
    rejected = (
        planning.replay(values, _REPLAYS, _LOOKS, alpha, effect=each, seed=1) for each in (0.0, effect)
    )
    return next(rejected), next(rejected)
