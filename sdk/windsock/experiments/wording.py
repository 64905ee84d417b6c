"""Numbers and effects in words."""

from collections.abc import Iterator
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from windsock.experiments.analysis import Analysis
    from windsock.experiments.comparison import Comparison
    from windsock.experiments.documents import Experiment

_PERCENT = "\N{NO-BREAK SPACE}%"

_POWERS_BELOW, _NO_POWERS_FROM = 1e-7, 1e-4
"""Python writes numbers below 0.0001 with powers of ten, which few people read."""

SEGMENTS_NOTE: Final = (
    "Exploratory: segments suggest what to test next and decide nothing. Intervals and p-values are "
    "corrected for all of them."
)


def percent(share: float, digits: int = 0) -> str:
    """A share in percent: `5 %`; with a decimal if it would round to zero."""
    if share and abs(share) < 0.0095:
        digits = max(digits, 1)
    return f"{100 * share:.{digits}f}{_PERCENT}"


def signed(share: float, digits: int = 1) -> str:
    """A relative change: `+5.2 %`, `−3.1 %`, `0 %`."""
    if not share:
        return f"0{_PERCENT}"
    text = f"{100 * share:+.{digits if abs(share) < 10 else 0}f}{_PERCENT}"
    return text.replace("-", "−")


def number(value: float) -> str:
    """A value of a metric, to four significant digits."""
    if not isfinite(value):
        return "–"
    text = f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    if _POWERS_BELOW < abs(value) < _NO_POWERS_FROM:
        text = f"{Decimal(text):f}"
    return text.replace("-", "−")


def interval_text(low: float, high: float) -> str:
    """A relative interval: `−3.1 % to +5.2 %`."""
    return f"{signed(low)} to {signed(high) if isfinite(high) else 'any increase'}"


def metric_title(name: str) -> str:
    """A metric's name as words."""
    return name.replace("_", " ")


def sentence(text: str) -> str:
    """A text as a sentence: it ends in a full stop, unless it is a question."""
    return text if text.endswith("?") else f"{text}."


def effect_sentence(found: "Comparison", analysis: "Analysis") -> str:
    """One comparison as a sentence, without statistical terms."""
    title, control = metric_title(found.metric), analysis.declared.experiment.control
    if found.effect is None:
        return sentence(f"{title.capitalize()} in {found.arm}: {found.note}")
    if found.is_same:
        return f"{title.capitalize()} is {number(found.effect.control)} in {control} and in {found.arm}."
    if found.outcome == "not yet":
        return f"{title.capitalize()} in {found.arm}, not yet: {found.note}."
    words = {
        "better": "is better",
        "worse": "is worse",
        "within": "stays within what is accepted",
        "open": "is not decided",
        "nothing": "cannot be judged",
    }[found.outcome]
    confidence = percent(found.confidence, 1 if round(found.confidence, 2) != found.confidence else 0)
    if found.relative is not None and isfinite(found.effect.relative):
        change, span = signed(found.effect.relative), interval_text(*found.relative)
    elif found.interval is not None:
        change = number(found.effect.absolute)
        span = f"{number(found.interval[0])} to {number(found.interval[1])}"
    else:  # against nothing at all, a change has no size
        return f"{title.capitalize()} {words} in {found.arm}: {found.note}."
    remark = f"; {found.note}" if found.is_decided_beside_its_interval else ""
    return (
        f"{title.capitalize()} {words} in {found.arm}: {change} against {control} "
        f"({confidence} interval {span}{remark})."
    )


def slow_requests(analysis: "Analysis") -> str:
    """The latency that 95 % of each arm's requests stay within; empty if it isn't known."""
    found, arms = analysis.collected.slow_ms, analysis.declared.experiment.arms
    latencies = [f"{number(found[arm])} ms in {arm}" for arm in arms if arm in found]
    if not latencies or analysis.collected.preview:
        return ""
    return (
        f"95{_PERCENT} of the requests took at most {', '.join(latencies)}. This only describes them: "
        "requests of one unit resemble each other, so a quantile of requests has no honest interval."
    )


def _spent(experiment: "Experiment") -> str:
    """What the error is spent by, if not by the units themselves."""
    by_date = experiment.maximum is not None and experiment.maximum.duration is not None
    return ", spent by the calendar, Lan and DeMets 1989" if by_date else ""


def method(analysis: "Analysis") -> Iterator[str]:
    """How the numbers were computed, one sentence per step."""
    experiment = analysis.declared.experiment
    yield f"Every {experiment.unit} counts once, by its own total: what was randomised is what is analysed."
    if analysis.fraction is None:
        yield (
            "Intervals hold at every look, without an end (asymptotic confidence sequences, Waudby-Smith et "
            "al. 2024). A declared maximum would find the same effect with about 27 points more power."
        )
    elif experiment.design == "any_time":
        yield (
            f"Intervals hold at every look up to the declared maximum, of which {percent(analysis.fraction)} "
            f"is in (the continuous O'Brien-Fleming boundary{_spent(experiment)})."
        )
    elif experiment.design == "fixed":
        yield "There is one look, at the end: nothing is decided before it (Welch's test)."
    else:
        yield (
            "Looks are planned: error is spent in O'Brien and Fleming's shape (Lan and DeMets 1983). A look "
            "is at every metric at once, so the one with the longest window sets its time."
        )
    yield "Ratios use the delta method (Deng et al. 2018)."
    if any(metric.covariate for metric in analysis.declared.metrics.values()):
        yield "What a unit did before its first exposure narrows the interval (CUPED, Deng et al. 2013)."
    if len(experiment.metrics.goal) * len(experiment.treatments) > 1:
        yield "p-values of the goals are adjusted by Holm's method."
    if experiment.metrics.secondary:
        yield "A secondary metric is called better or worse only where e-BH allows it (Wang and Ramdas 2022)."
    yield "The arms' sizes are tested exactly and at every look (Lindon and Malek 2022)."
