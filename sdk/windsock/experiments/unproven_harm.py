"""Harm in guardrails without a margin that isn't shown: whether one looks worse, how much is possible."""

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import Final

from windsock.experiments.comparison import Comparison
from windsock.experiments.metrics import Metric
from windsock.experiments.statistics.designs import FixedHorizon
from windsock.experiments.statistics.e_processes import event_ratio_p_value
from windsock.experiments.wording import metric_title, number, percent
from windsock.text import count

_NAMED: Final = 3
"""Guardrails that a decision's sentence names; the others are counted."""


def one_look(each: Comparison, metric: Metric, odds: float | None) -> float:
    """The p-value of "this guardrail is no worse" if there were only this look.

    It ignores earlier looks, so it must not call an arm harmful. It may hold back a win: that costs no error.

    Args:
        each: A guardrail with an effect.
        metric: Its declaration.
        odds: The arm's allocation over control's, to test by the number of events; None for Welch's test.
    """
    lower_is_better = metric.better == "lower"
    if odds is not None or each.effect is None:
        return event_ratio_p_value(*each.events, odds or 1.0, above_one=lower_is_better)
    loss = each.effect.absolute / each.effect.absolute_error
    return FixedHorizon(each.effect.freedom).p_value(loss if lower_is_better else -loss, two_sided=False)


def not_excluded(guardrails: Iterable[Comparison], metrics: Mapping[str, Metric]) -> str:
    """A sentence on the harm that intervals don't exclude, largest first; empty if all exclude it."""
    possible = sorted(_possible(guardrails, metrics), reverse=True)
    if not possible:
        return ""
    named = [words for _, words in possible[:_NAMED]]
    if len(possible) > _NAMED:
        named.append(count(len(possible) - _NAMED, "more guardrail"))
    return f"Not excluded: {', '.join(named)}."


def _possible(guardrails: Iterable[Comparison], metrics: Mapping[str, Metric]) -> Iterator[tuple[float, str]]:
    """How much worse each guardrail without a margin may be: as a share, and in words."""
    for each in guardrails:
        if each.margin or each.is_same:
            continue
        title, lower_is_better = metric_title(each.metric), metrics[each.metric].better == "lower"
        if each.relative is not None:
            worst = each.relative[1] if lower_is_better else -each.relative[0]
            words = f"{title} up to {percent(worst, 1)} worse" if isfinite(worst) else f"{title} worse"
        elif each.interval is not None:
            worst = each.interval[1] if lower_is_better else -each.interval[0]
            words = f"{title} worse by up to {number(worst)}"
        else:
            worst, words = float("inf"), f"{title} worse by an unknown amount"
        if worst > 0:
            yield worst, words
