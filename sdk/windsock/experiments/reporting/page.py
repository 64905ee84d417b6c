"""The report as one HTML page: the decision first, then the plots, then how it was computed."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from math import isfinite

from windsock.experiments.analysis import Analysis, SampleRatio
from windsock.experiments.comparison import Comparison, ComparisonOutcome, MetricRole
from windsock.experiments.decision import Decision, State, trusted
from windsock.experiments.reporting import drawing
from windsock.experiments.reporting.left_out import left_out
from windsock.experiments.segments import Segment, segments
from windsock.experiments.wording import (
    SEGMENTS_NOTE,
    interval_text,
    method,
    metric_title,
    number,
    percent,
    signed,
    slow_requests,
)

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_OUTCOMES = {
    ComparisonOutcome.BETTER: "better",
    ComparisonOutcome.WORSE: "worse",
    ComparisonOutcome.WITHIN: "within what is accepted",
    ComparisonOutcome.OPEN: "not decided",
    ComparisonOutcome.NOT_YET: "not yet",
    ComparisonOutcome.NOTHING: "no number",
}


def page(analysis: Analysis, decision: Decision, history: Sequence[Analysis] = ()) -> str:
    """Write the report.

    Args:
        analysis: The analysis.
        decision: The decision.
        history: Analyses of the experiment at earlier looks, oldest first, for the effect over time.

    Returns:
        A complete HTML document that loads nothing.
    """
    experiment = analysis.declared.experiment
    style = files(__package__ or "").joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(experiment.name)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<style>{style}</style></head><body>{sections(analysis, decision, history)}</body></html>\n"
    )


def sections(analysis: Analysis, decision: Decision, history: Sequence[Analysis] = ()) -> str:
    """Write the body of the report, to embed in another page; arguments as for `page`."""
    analysis = trusted(analysis, decision)
    parts = (
        _head(analysis, decision),
        _effects(analysis, decision),
        _over_time(analysis, history),
        _allocation(analysis),
        _metrics(analysis),
        _segments(analysis),
        _left_out(analysis),
        _computed(analysis),
    )
    return "".join(parts)


def _head(analysis: Analysis, decision: Decision) -> str:
    experiment, collected = analysis.declared.experiment, analysis.collected
    reasons = "".join(
        f"<li>{escape(each)}</li>" for each in decision.reasons if each not in decision.sentence
    )
    state = decision.state.value
    return (
        f"<h1>{escape(metric_title(experiment.name).capitalize())}</h1>"
        f'<p class="soft">Version {experiment.version} in {escape(collected.environment)}, '
        f"{collected.now:%d %B %Y, %H:%M} UTC. Owner: {escape(experiment.owner)}</p>"
        f'<div class="verdict {state.replace(" ", "-")}"><b>{state}</b>{escape(decision.sentence)}</div>'
        f"<p>Hypothesis: {escape(experiment.hypothesis)}</p>" + (f"<ul>{reasons}</ul>" if reasons else "")
    )


def _shown(found: Sequence[Comparison]) -> Iterator[drawing.PlottedInterval]:
    for each in found:
        if each.effect is None or each.relative is None or not isfinite(each.effect.relative):
            continue
        low, high = each.relative
        middle = each.effect.relative
        text = f"{signed(middle)} ({interval_text(low, high)})"
        label = f"{metric_title(each.metric)}, {each.arm}"
        yield drawing.PlottedInterval(
            label, low, middle, high if isfinite(high) else 10.0, each.outcome.value, text
        )


def _effects(analysis: Analysis, decision: Decision) -> str:
    parts = ["<h2>Effect</h2>"]
    if decision.state is State.INVALID:
        parts[0] += "<p>The arms can't be compared, so these effects tell nothing about the arms.</p>"
    for role, title in ((MetricRole.GOAL, "Goals"), (MetricRole.GUARDRAIL, "Guardrails")):
        if bars := list(_shown(analysis.of_role(role))):
            control = analysis.declared.experiment.control
            caption = f"{title}: change against {control}, with the interval that holds at every look"
            parts.append(_figure(drawing.intervals(bars, caption), caption))
    return f'{parts[0]}<div class="figures">{"".join(parts[1:])}</div>' if len(parts) > 1 else ""


def _over_time(analysis: Analysis, history: Sequence[Analysis]) -> str:
    looks: defaultdict[tuple[str, str], list[drawing.Look]] = defaultdict(list)
    for each in (*history, analysis):
        for goal in each.of_role(MetricRole.GOAL):
            if goal.effect is not None and goal.relative is not None and isfinite(goal.effect.relative):
                look = drawing.Look(
                    each.collected.now, goal.relative[0], goal.effect.relative, goal.relative[1]
                )
                looks[goal.metric, goal.arm].append(look)
    parts = [
        _figure(drawing.over_time(found, caption), caption)
        for (metric, arm), found in looks.items()
        if len(found) > 1 and (caption := f"{metric_title(metric).capitalize()} in {arm}, look by look")
    ]
    return f'<h2>Over time</h2><div class="figures">{"".join(parts)}</div>' if parts else ""


def _allocation(analysis: Analysis) -> str:
    ratio, exposed = analysis.ratio, analysis.collected.exposed
    total = sum(ratio.counts.values())
    rows = "".join(
        f'<tr><td>{escape(arm)}</td><td class="n">{count:,}</td>'
        f'<td class="n">{percent(count / total, 2) if total else "–"}</td>'
        f'<td class="n">{percent(ratio.shares[arm], 2)}</td></tr>'
        for arm, count in ratio.counts.items()
    )
    series: dict[str, list[tuple[str, int]]] = {arm: [] for arm in ratio.counts}
    for day in exposed.days:
        series.setdefault(day.arm, []).append((day.date, day.units))
    chart = ""
    if exposed.days:
        caption = "Units exposed, added up by day"
        chart = _figure(drawing.cumulative(series, caption), caption)
    return (
        '<h2>Who was exposed</h2><div class="wide" tabindex="0" role="region" aria-label="Who was exposed">'
        '<table><thead><tr><th>Arm</th><th class="n">Units</th>'
        f'<th class="n">Share</th><th class="n">Declared</th></tr></thead><tbody>{rows}</tbody></table></div>'
        f"<p>{_sizes(ratio)}</p>{chart}"
    )


def _sizes(ratio: SampleRatio) -> str:
    """Whether the arms have the declared sizes; without a unit there is nothing to test."""
    if not any(ratio.counts.values()):
        return "Nobody was exposed, so the arms' sizes can't be compared with the declared ones yet."
    verdict = (
        "The arms differ from the declared sizes by more than chance explains: do not trust any effect here."
        if ratio.mismatch
        else "The arms have the declared sizes, as far as chance lets them."
    )
    return f"{verdict} (Sample ratio mismatch: p = {ratio.p_value:.3g}, valid at every look.)"


def _metrics(analysis: Analysis) -> str:
    names = ("Metric", "Arm", "Control", "Treatment", "Change", "Interval", "p", "Says")
    head = "".join(f"<th{' class=n' if name in names[2:7] else ''}>{name}</th>" for name in names)
    rows = "".join(_metric_row(each, names) for each in analysis.comparisons)
    table = f'<table class="metrics"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    slow = slow_requests(analysis)
    below = f'<p class="soft">{escape(slow)}</p>' if slow else ""
    return f"<h2>Every metric</h2>{table}{below}"


def _segments(analysis: Analysis) -> str:
    """The goals by segment, below a sentence on how to read them."""
    found = segments(analysis)
    if not found:
        reason = analysis.collected.unsplit
        return f"<h2>Segments</h2><p>Units cannot be split: {escape(reason)}.</p>" if reason else ""
    names = ("Segment", "Arm", "Control", "Treatment", "Change", "Interval", "p", "Says")
    head = "".join(f"<th{' class=n' if name in names[2:7] else ''}>{name}</th>" for name in names)
    rows = "".join(
        _row(each.comparison, names, f"{escape(each.attribute)}: {escape(each.value)}", _segment_note(each))
        for each in found
    )
    return (
        f"<h2>Segments</h2><p>{escape(SEGMENTS_NOTE)}</p>"
        f'<table class="metrics"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _segment_note(each: Segment) -> str:
    control, treatment = each.comparison.units
    return f"{escape(metric_title(each.comparison.metric))}, {control:,} and {treatment:,} units"


def _metric_row(each: Comparison, names: Sequence[str]) -> str:
    margin = f", margin {percent(each.margin)}" if each.margin else ""
    return _row(each, names, escape(metric_title(each.metric)), f"{each.role.value}{margin}")


def _row(each: Comparison, names: Sequence[str], title: str, below: str) -> str:
    effect = each.effect
    change, interval = "–", "–"
    if effect is not None and each.relative is not None and isfinite(effect.relative):
        change, interval = signed(effect.relative), interval_text(*each.relative)
    elif effect is not None and each.interval is not None:
        change = number(effect.absolute)
        interval = f"{number(each.interval[0])} to {number(each.interval[1])}"
    p_value = "–" if each.p_value is None else f"{each.p_value:.3f}" if each.p_value >= 0.001 else "< 0.001"
    tone = (
        f' class="{each.outcome.value}"'
        if each.outcome in (ComparisonOutcome.BETTER, ComparisonOutcome.WORSE)
        else ""
    )
    note = f'<div class="soft">{escape(each.note)}</div>' if each.note else ""
    cells = (
        f"{title}<div class=soft>{below}</div>",
        escape(each.arm),
        number(effect.control) if effect else "–",
        number(effect.treatment) if effect else "–",
        change,
        interval,
        p_value,
        f"<span{tone}>{_OUTCOMES[each.outcome]}</span>{note}",
    )
    numeric = ("", "", ' class="n"', ' class="n"', ' class="n"', ' class="n"', ' class="n"', "")
    return "<tr>" + "".join(
        f'<td data-name="{name}"{kind}><span>{cell}</span></td>'
        for name, kind, cell in zip(names, numeric, cells, strict=True)
    ) + "</tr>"  # fmt: skip


def _left_out(analysis: Analysis) -> str:
    items = "".join(f"<li>{escape(each)}</li>" for each in left_out(analysis))
    exposed, which = analysis.collected.exposed, ""
    if exposed.crossed or exposed.excluded:
        which = (
            "<p>To see which units these are, run the query “the units” below: it gives one row for each.</p>"
        )
    return f"<h2>What was left out</h2>{f'<ul>{items}</ul>' if items else '<p>Nothing.</p>'}{which}"


def _computed(analysis: Analysis) -> str:
    caps = "".join(
        f"<li>{escape(metric_title(name)).capitalize()} is capped at {number(cap)} per unit.</li>"
        for name, cap in analysis.collected.caps.items()
    )
    queries = "".join(
        f"<details><summary>{escape(question)}</summary><pre>{escape(query)}</pre></details>"
        for question, query in analysis.collected.sql.items()
    )
    steps = "".join(f"<li>{escape(each)}</li>" for each in method(analysis))
    return f"<h2>How it was computed</h2><ul>{steps}{caps}{_newest(analysis)}</ul><h3>Queries</h3>{queries}"


def _newest(analysis: Analysis) -> str:
    """The time of each source's newest row, to see one that was exported earlier than the others."""
    newest = analysis.collected.newest
    rows = ", ".join(f"{escape(name)} {at:%Y-%m-%d %H:%M}" for name, at in newest.items())
    return f"<li>Newest rows, in UTC: {rows}.</li>" if rows else ""


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"
