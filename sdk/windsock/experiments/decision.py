"""Decides what to do after an analysis: the first state that applies."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from windsock.experiments.analysis import Analysis
from windsock.experiments.comparison import Comparison, ComparisonOutcome, MetricRole
from windsock.experiments.documents import HandWritten
from windsock.experiments.quantities import duration_words
from windsock.experiments.unproven_harm import not_excluded
from windsock.experiments.wording import effect_sentence, metric_title, percent

_CROSSING: Final = 0.02
"""If more than this share of units is in two arms, the arms can't be compared."""

_ALLOCATION: Final = 0.01
"""The largest difference between declared and served allocation that counts as rounding."""


class State(StrEnum):
    """Where an experiment is, from the first check to the last.

    Attributes:
        INVALID: The arms cannot be compared.
        COLLECTING: No decision yet.
        HARMFUL: A goal or a guardrail is worse.
        WIN: A goal is better, every guardrail has come as far as that needs and doesn't look worse, and every
            margin is shown.
        NO_EFFECT: Every goal is shown to be within the minimum effect.
        INCONCLUSIVE: The maximum is reached without a result.
        PREVIEW: The time of the analysis has not come; nothing is decided.
        NOT_DECLARED: A flag splits units without a document; its figures are exploratory.
    """

    COLLECTING = "collecting"
    INVALID = "invalid"
    HARMFUL = "harmful"
    WIN = "win"
    NO_EFFECT = "no effect"
    INCONCLUSIVE = "inconclusive"
    PREVIEW = "preview"
    NOT_DECLARED = "not declared"


class Action(StrEnum):
    """The one change that is proposed."""

    SHIP = "ship"
    STOP = "stop"
    GO_ON = "go on"


@dataclass(frozen=True, slots=True)
class Wait:
    """A metric that a decision waits for.

    Attributes:
        metric: Its name.
        until: About when it will be known; None if that can't be said.
    """

    metric: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Decision:
    """The state, and the action that follows from it.

    Attributes:
        state: Where the experiment is.
        action: What is proposed.
        arm: The arm to ship, if any.
        sentence: One sentence for the person who decides.
        reasons: The evidence, most important first.
        waits: What it waits for, if a goal is already better or no goal has an interval yet.
    """

    state: State
    action: Action
    arm: str | None
    sentence: str
    reasons: tuple[str, ...]
    waits: tuple[Wait, ...] = ()


def decide(analysis: Analysis) -> Decision:
    """Decide from the analysis alone.

    Args:
        analysis: From `analyse`.
    """
    name = analysis.declared.experiment.name
    if analysis.collected.preview or isinstance(analysis.declared.experiment, HandWritten):
        return _undecidable(analysis)
    if faults := tuple(_faults(analysis)):
        sentence = f"{name} cannot be judged: {faults[0]}."
        return Decision(State.INVALID, Action.STOP, None, sentence, faults)
    if not analysis.collected.exposed.total:
        sentence = f"{name} has no exposures in {analysis.collected.environment} yet."
        return Decision(State.COLLECTING, Action.GO_ON, None, sentence, ())
    if winner := _winner(analysis):
        return _won(analysis, winner)
    if harm := [each for each in _deciding(analysis) if each.outcome is ComparisonOutcome.WORSE]:
        reasons = tuple(effect_sentence(each, analysis) for each in harm)
        return Decision(State.HARMFUL, Action.STOP, None, f"{reasons[0]} Stop it.", reasons)
    return _undecided(analysis)


def _undecidable(analysis: Analysis) -> Decision:
    """Why nothing may be decided, whatever the figures are."""
    if analysis.collected.preview:
        sentence = (
            f"{analysis.collected.now:%Y-%m-%d %H:%M} UTC has not come: rows until then are missing, and "
            "nothing is decided."
        )
        return Decision(State.PREVIEW, Action.GO_ON, None, sentence, ())
    sentence = (
        f"{analysis.declared.experiment.name} has no document, so its figures are exploratory and decide "
        "nothing. To decide, declare an experiment (`windsock experiment new`) and start that one instead."
    )
    return Decision(State.NOT_DECLARED, Action.GO_ON, None, sentence, tuple(_faults(analysis)))


def trusted(analysis: Analysis, decision: Decision) -> Analysis:
    """The analysis as people may read it: in an invalid or undeclared one, nothing is better or worse.

    Args:
        analysis: From `analyse`.
        decision: What was decided from it.
    """
    if decision.state not in (State.INVALID, State.NOT_DECLARED):
        return analysis
    undecided = tuple(
        replace(each, outcome=ComparisonOutcome.OPEN) if each.is_told else each
        for each in analysis.comparisons
    )
    return replace(analysis, comparisons=undecided, collected=replace(analysis.collected, segments=()))


def _deciding(analysis: Analysis) -> list[Comparison]:
    return [*analysis.of_role(MetricRole.GUARDRAIL), *analysis.of_role(MetricRole.GOAL)]


def _faults(analysis: Analysis) -> Iterator[str]:
    """Why the arms cannot be compared."""
    exposed, experiment = analysis.collected.exposed, analysis.declared.experiment
    yield from _changed(analysis)
    if unknown := sorted(set(exposed.counted) - set(experiment.arms)):
        yield f"units were exposed to {', '.join(unknown)}, which the declaration does not have"
    if len(exposed.keys) > 1:
        yield f"units were hashed with {len(exposed.keys)} different keys, so one person may be several units"
    for reason in sorted(exposed.excluded):
        if reason.startswith("contaminated"):
            yield f"version {experiment.version} is {reason}: declare a new version"
    for what, units in exposed.lapses.items():
        meanwhile = f"while {units:,} of its units were being counted"
        yield f"version {experiment.version} is contaminated: {what}, {meanwhile}; declare a new version"
    if analysis.ratio.mismatch:
        counts = ", ".join(f"{count:,} in {arm}" for arm, count in analysis.ratio.counts.items())
        shares = ", ".join(percent(share) for share in analysis.ratio.shares.values())
        p_value = f"always-valid p {analysis.ratio.p_value:.2g}"
        yield f"the arms differ from the declared sizes ({counts}; declared {shares}; {p_value})"
    everybody = exposed.total + exposed.crossed
    if everybody and exposed.crossed / everybody > _CROSSING:
        yield f"{exposed.crossed:,} of {everybody:,} units were in two arms"
    for arm, (low, high) in sorted(exposed.allocations.items()):
        declared = experiment.shares.get(arm)
        served = f"{percent(low)} to {percent(high)}" if high - low > _ALLOCATION else percent(low)
        if declared is not None and max(abs(low - declared), abs(high - declared)) > _ALLOCATION:
            yield f"{arm} was served to {served} and is declared with {percent(declared)}"


def _changed(analysis: Analysis) -> Iterator[str]:
    """What was declared differently at the first recorded look."""
    since, version = analysis.collected.since, analysis.declared.experiment.version
    if since.changes and since.looked_at is not None:
        found = f"since the look recorded on {since.looked_at:%Y-%m-%d}, {', '.join(since.changes)}"
        remedy = f"change it back, or declare version {version + 1} with a reason"
        yield f"{found}, which voids the promise of its intervals: {remedy}"


def _winner(analysis: Analysis) -> Comparison | None:
    """The best goal of an arm without harm and with every guardrail shown to be within its margin."""
    for goal in sorted(analysis.of_role(MetricRole.GOAL), key=lambda each: each.p_value or 0.0):
        others = [each for each in _deciding(analysis) if each.arm == goal.arm and each is not goal]
        harmed = any(each.outcome is ComparisonOutcome.WORSE for each in others)
        held = harmed or _unjudged(analysis, {goal.arm}) or _waits(analysis, goal)
        if goal.outcome is ComparisonOutcome.BETTER and not held:
            return goal
    return None


def _unjudged(analysis: Analysis, arms: set[str]) -> list[Comparison]:
    """The guardrails of these arms without a number: no event in either arm, or worse without any spread.

    Events in one arm only are judged by their number: few or none where control has some may win.
    """
    return [
        each
        for each in analysis.of_role(MetricRole.GUARDRAIL)
        if each.arm in arms and each.outcome is ComparisonOutcome.NOTHING and not _no_worse(each, analysis)
    ]


def _no_worse(found: Comparison, analysis: Analysis) -> bool:
    """Whether a metric that doesn't vary is the same in both arms, or better in the treatment."""
    if found.effect is None:
        return False
    more_is_better = analysis.declared.metrics[found.metric].better == "higher"
    return (found.effect.absolute if more_is_better else -found.effect.absolute) >= 0


def _waits(analysis: Analysis, goal: Comparison) -> tuple[Wait, ...]:
    """The guardrails that a better goal's arm can't win without."""
    behind = (Wait(goal.waits_for, goal.expected),) if goal.waits_for else ()
    open_ones = (
        Wait(each.metric, each.expected)
        for each in analysis.of_role(MetricRole.GUARDRAIL)
        if each.arm == goal.arm and each.metric != goal.waits_for and _open(each)
    )
    return (*behind, *open_ones)


def _open(guardrail: Comparison) -> bool:
    """Whether a guardrail's margin isn't shown; without a margin, whether it looks worse."""
    if guardrail.margin:
        return guardrail.outcome is not ComparisonOutcome.WITHIN
    return guardrail.looks_worse


def _won(analysis: Analysis, goal: Comparison) -> Decision:
    guardrails = [each for each in analysis.of_role(MetricRole.GUARDRAIL) if each.arm == goal.arm]
    reasons = tuple(effect_sentence(each, analysis) for each in (goal, *guardrails))
    possible = not_excluded(guardrails, analysis.declared.metrics)
    sentence = " ".join(filter(None, (reasons[0], possible, f"Ship {goal.arm}.")))
    return Decision(State.WIN, Action.SHIP, goal.arm, sentence, reasons)


def _undecided(analysis: Analysis) -> Decision:
    goals = analysis.of_role(MetricRole.GOAL)
    reasons = tuple(effect_sentence(each, analysis) for each in _deciding(analysis))
    smallest = percent(analysis.declared.experiment.minimum_effect)
    control = analysis.declared.experiment.control
    if goals and all(each.outcome is ComparisonOutcome.WITHIN for each in goals):
        sentence = f"No arm changes a goal by {smallest} or more: keep {control}."
        return Decision(State.NO_EFFECT, Action.STOP, None, sentence, reasons)
    better = [each for each in goals if each.outcome is ComparisonOutcome.BETTER]
    if _complete(analysis, better):
        missing = f"a difference of {smallest} is neither shown nor ruled out"
        if better:
            missing = _unjudged_words(analysis, better) or _open_words(analysis, better[0])
        found = [effect_sentence(each, analysis) for each in better[:1]]
        sentence = " ".join([*found, f"The maximum is reached, and {missing}. Keep {control}."])
        return Decision(State.INCONCLUSIVE, Action.STOP, None, sentence, reasons)
    if better:
        waits = _waits(analysis, better[0])
        unjudged = _unjudged_words(analysis, better)
        reason = f"But {unjudged}." if unjudged else _waiting_sentence(analysis, better[0], waits)
        sentence = f"{effect_sentence(better[0], analysis)} {reason} Go on."
        return Decision(State.COLLECTING, Action.GO_ON, None, sentence, reasons, waits)
    early = [each for each in goals if each.outcome is ComparisonOutcome.NOT_YET]
    if len(early) == len(goals):
        title = metric_title(goals[0].metric).capitalize()
        sentence = f"Nothing can be said yet. {title}: {goals[0].note}. Go on."
        waits = tuple(dict.fromkeys(Wait(each.metric, each.expected) for each in early))
        return Decision(State.COLLECTING, Action.GO_ON, None, sentence, reasons, waits)
    progress = f" {percent(analysis.fraction)} of the maximum is in." if analysis.fraction is not None else ""
    sentence = f"Nothing is decided yet.{progress} Go on."
    return Decision(State.COLLECTING, Action.GO_ON, None, sentence, reasons)


def _unjudged_words(analysis: Analysis, better: list[Comparison]) -> str:
    """Which guardrail of the better arms can't be judged, and why; empty if all can."""
    if not (unjudged := _unjudged(analysis, {each.arm for each in better})):
        return ""
    first = unjudged[0]
    return f"the guardrail {metric_title(first.metric)} cannot be judged ({first.note})"


def _open_words(analysis: Analysis, goal: Comparison) -> str:
    """What a better goal still waited for when the maximum was reached."""
    waits = _waits(analysis, goal)
    if any(_margin(analysis, each.metric) for each in waits):
        return "a guardrail's margin is still open"
    titles = " and ".join(metric_title(each.metric) for each in waits)
    return f"{titles} may be worse, which is neither shown nor ruled out"


def _margin(analysis: Analysis, name: str) -> float | None:
    """The declared margin of a guardrail."""
    guardrails = analysis.declared.experiment.metrics.guardrails
    return next((each.margin for each in guardrails if each.metric == name), None)


def _complete(analysis: Analysis, better: list[Comparison]) -> bool:
    """Whether the maximum is reached by the goals, and by the guardrails if one of the goals is better."""
    counted = _deciding(analysis) if better else analysis.of_role(MetricRole.GOAL)
    return all(each.fraction is not None and each.fraction >= 1 for each in counted)


def _waiting_sentence(analysis: Analysis, goal: Comparison, waits: tuple[Wait, ...]) -> str:
    """Which guardrails a better goal waits for, and until when."""
    reasons = []
    for each in waits:
        until = f", until about {each.until:%Y-%m-%d}" if each.until is not None else ""
        what = metric_title(each.metric)
        if each.metric == goal.waits_for:
            metric = analysis.declared.metrics[each.metric]
            taken = duration_words(metric.delay + metric.window)
            reasons.append(f"{what}, which takes {taken}{until}")
        elif _margin(analysis, each.metric):
            reasons.append(f"the margin of {what}, which is still open{until}")
        else:
            reasons.append(f"{what}, which looks worse so far but isn't shown to be")
    return f"A win waits for {', and for '.join(reasons)}."
