"""Draws SVG: intervals, and lines over time. Widths suit a phone; the page scales them up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from textwrap import wrap

from windsock.experiments.wording import signed

WIDTH, LEFT, RIGHT = 360, 8, 8
_LABEL, _LINE = 50, 16
"""Characters that fit a label's line, and how far its lines are apart."""


@dataclass(frozen=True, slots=True)
class PlottedInterval:
    """One interval in a plot.

    Attributes:
        label: What it measures.
        low: Its lower end.
        middle: The effect.
        high: Its upper end.
        tone: A class of the style sheet: `better`, `worse`, `open` or `within`.
        text: The numbers in words.
    """

    label: str
    low: float
    middle: float
    high: float
    tone: str
    text: str


def intervals(bars: Sequence[PlottedInterval], title: str) -> str:
    """Draw intervals below each other around a line at zero."""
    edge = max((abs(end) for bar in bars for end in (bar.low, bar.high)), default=0.0) * 1.08 or 1.0
    edge = min(edge, 3 * max((abs(bar.middle) for bar in bars), default=edge) + 0.25)

    def x(value: float) -> float:
        clipped = max(-edge, min(edge, value))
        return LEFT + (clipped + edge) / (2 * edge) * (WIDTH - LEFT - RIGHT)

    parts, y = [], -30
    for bar in bars:
        label = wrap(bar.label, _LABEL)
        y += 56 + _LINE * (len(label) - 1)
        parts += [
            f'<text class="label" x="{LEFT}" y="{y - 14 - _LINE * above}">{escape(line)}</text>'
            for above, line in enumerate(reversed(label))
        ]
        parts.append(
            f'<text class="value" x="{WIDTH - RIGHT}" y="{y + 19}">{escape(bar.text)}</text>'
            f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="{y - 9}" y2="{y + 9}"/>'
            f'<line class="bar {bar.tone}" x1="{x(bar.low):.1f}" x2="{x(bar.high):.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="dot {bar.tone}" cx="{x(bar.middle):.1f}" cy="{y}" r="4.5"/>'
        )
    return _svg(y + 30, title, parts)


@dataclass(frozen=True, slots=True)
class Look:
    """An interval at one time."""

    at: datetime
    low: float
    middle: float
    high: float


def over_time(looks: Sequence[Look], title: str) -> str:
    """Draw an effect over time with its interval as a band, and a line at zero."""
    top, bottom, left = 12.0, 150.0, 50.0
    edge = 3 * max(0.02, *(abs(look.middle) for look in looks))
    edge = min(edge, max(max(abs(look.low), abs(look.high)) for look in looks) * 1.05)
    first, last = looks[0].at, looks[-1].at
    span = (last - first).total_seconds() or 1.0

    def x(at: datetime) -> float:
        return left + (at - first).total_seconds() / span * (WIDTH - left - RIGHT)

    def y(value: float) -> float:
        return top + (edge - max(-edge, min(edge, value))) / (2 * edge) * (bottom - top)

    band = [f"{x(look.at):.1f},{y(look.high):.1f}" for look in looks]
    band += [f"{x(look.at):.1f},{y(look.low):.1f}" for look in reversed(looks)]
    middle = " ".join(f"{x(look.at):.1f},{y(look.middle):.1f}" for look in looks)
    parts = [
        *(
            f'<text class="tick end" x="{left - 6}" y="{y(value) + 4:.1f}">{signed(value, 0)}</text>'
            for value in (edge, 0.0, -edge)
        ),
        f'<line class="zero" x1="{left}" x2="{WIDTH - RIGHT}" y1="{y(0):.1f}" y2="{y(0):.1f}"/>',
        f'<polygon class="band" points="{" ".join(band)}"/><polyline class="line a0" points="{middle}"/>',
        _dates(first, last, left, bottom + 18),
    ]
    return _svg(int(bottom) + 26, title, parts)


def cumulative(series: Mapping[str, Sequence[tuple[str, int]]], title: str) -> str:
    """Draw the cumulative units of each arm by day."""
    top, bottom, left = 12.0, 150.0, 50.0
    days = sorted({day for points in series.values() for day, _ in points})
    sums = {arm: _running(dict(points), days) for arm, points in series.items()}
    most = max((values[-1] for values in sums.values()), default=1) or 1

    def at(index: int, value: int) -> str:
        x = left + index / max(len(days) - 1, 1) * (WIDTH - left - RIGHT)
        return f"{x:.1f},{bottom - value / most * (bottom - top):.1f}"

    parts = [
        f'<text class="tick end" x="{left - 6}" y="{top + 4}">{most:,}</text>',
        f'<text class="tick end" x="{left - 6}" y="{bottom + 4}">0</text>',
        f'<line class="zero" x1="{left}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>',
    ]
    keys = []
    for number, (arm, values) in enumerate(sums.items()):
        points = " ".join(at(index, value) for index, value in enumerate(values))
        tone, y, text = f"a{number % 4}", top + 2 + 16 * number, f"{escape(arm)}: {values[-1]:,}"
        parts.append(f'<polyline class="line {tone}" points="{points}"/>')
        keys.append(
            f'<rect class="key {tone}" x="{left + 6}" y="{y}" width="10" height="4"/>'
            f'<text class="tick key" x="{left + 22}" y="{y + 6}">{text}</text>'
        )
    parts += keys  # above every line
    first, last = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (days[0], days[-1]))
    parts.append(_dates(first, last, left, bottom + 18))
    return _svg(int(bottom) + 26, title, parts)


def _running(points: Mapping[str, int], days: Sequence[str]) -> list[int]:
    total, values = 0, []
    for day in days:
        total += points.get(day, 0)
        values.append(total)
    return values if len(values) > 1 else [0, *values]  # a single day is also a line: from zero to its units


def _dates(first: datetime, last: datetime, left: float, y: float) -> str:
    return (
        f'<text class="tick" x="{left}" y="{y}">{first:%d %b %Y}</text>'
        f'<text class="tick end" x="{WIDTH - RIGHT}" y="{y}">{last:%d %b %Y}</text>'
    )


def _svg(height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
