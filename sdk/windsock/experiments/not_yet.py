"""Too early for an interval: why, and roughly when there will be one."""

from dataclasses import replace
from datetime import datetime
from math import inf, log
from typing import Final

from windsock.experiments.comparison import Comparison, ComparisonOutcome
from windsock.experiments.documents import PlannedLooks
from windsock.experiments.progress import Progress
from windsock.experiments.quantities import duration_words
from windsock.experiments.wording import percent

_WIDEST_SPAN: Final = 100.0
"""Upper over lower end of a ratio's interval that says nothing: from a tenth to ten times control."""

_WIDEST: Final = 10.0
"""Standard errors of an interval without a ratio that says nothing: before 5 % of the maximum."""


def too_young(each: Comparison, progress: Progress) -> Comparison:
    """Too few units have been in for the metric's window."""
    taken, first = duration_words(progress.lasts(each.metric)), progress.begins(each.metric)
    come = f"; the first will on {first:%Y-%m-%d}" if first is not None else ""
    control, treatment = each.units
    units = f"{control:,} and {treatment:,} units have" if control or treatment else "no unit has"
    note = f"{units} completed the {taken} that this metric takes{come}"
    return _early(each, note, first)


def before_its_look(each: Comparison, progress: Progress) -> Comparison:
    """The first planned look has not come."""
    design = progress.declared.experiment.design
    first = design.looks[0] if isinstance(design, PlannedLooks) else 1.0
    at = "at the end" if first == 1 else f"at {percent(first)} of the maximum"
    expected = progress.reaches(each.metric, first)
    which = "first" if isinstance(design, PlannedLooks) and len(design.looks) > 1 else "one"
    note = f"the {which} look is {at}{_about(expected)}; {percent(each.fraction or 0.0)} is in"
    return _early(each, note, expected)


def too_few_events(each: Comparison, progress: Progress, needed: int) -> Comparison:
    """A normal approximation isn't trusted yet."""
    observed = min(each.events)
    expected = progress.expected(each.metric, needed / observed) if observed else None
    counted = f"{observed} units with an event in the smaller arm"
    return _early(each, f"{counted}; it decides from {needed} on{_about(expected)}", expected)


def unless_it_says_something(each: Comparison, progress: Progress, width: float = 0.0) -> Comparison:
    """Leave a comparison alone, unless its interval is too wide to say anything.

    Args:
        each: A comparison with an interval.
        progress: How far its metric has come.
        width: Half the width of the absolute interval in standard errors.
    """
    if each.outcome is not ComparisonOutcome.OPEN:
        return each
    if each.relative is not None:
        low, high = (1 + end for end in each.relative)
        span = high / low if low > 0 else inf
        factor = log(span) / log(_WIDEST_SPAN) if span < inf else inf
    else:
        factor = (width / _WIDEST) ** 2  # the width falls with the root of the time
    if factor <= 1:
        return each
    expected = progress.expected(each.metric, factor)
    note = f"the interval is still too wide to say anything{_about(expected, 'until about')}"
    if each.exact:
        control, treatment = each.events
        counts = f"{control:,} and {treatment:,} units had the event"
        note = f"{counts}: {note}" if control + treatment else each.note
    return _early(each, note, expected)


def _early(each: Comparison, note: str, expected: datetime | None) -> Comparison:
    """After the maximum no more will come: then it isn't early, it stays undecided."""
    outcome = ComparisonOutcome.NOT_YET
    if each.fraction is not None and each.fraction >= 1:
        outcome = ComparisonOutcome.NOTHING if each.effect is None else ComparisonOutcome.OPEN
    return replace(
        each, outcome=outcome, interval=None, relative=None, p_value=None, note=note, expected=expected
    )


def _about(expected: datetime | None, word: str = "about") -> str:
    return f", {word} {expected:%Y-%m-%d}" if expected is not None else ""
