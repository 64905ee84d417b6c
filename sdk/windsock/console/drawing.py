"""Time-series line charts as SVG: no scripts, colours from the style sheet, and the numbers also as text."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final

from markupsafe import Markup

from windsock.text import escaped

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 420, 150, 46, 20, 8
MOST: Final = 4
"""Maximum lines in one plot: one per available colour."""

Series = Mapping[str, Sequence[float | None]]

_SVG: Final = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
_TICK: Final = Markup('<text class="tick {}" x="{}" y="{:.1f}">{}</text>')
_ACROSS: Final = Markup('<line class="{}" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>')
_LINE: Final = Markup('<polyline class="line a{}" points="{}"/>')
_UNFINISHED: Final = Markup('<polyline class="line a{} unfinished" points="{}"/>')
_DOT: Final = Markup('<circle class="a{}" cx="{}" cy="{}" r="2"/>')
_STEPS: Final = (1.0, 1.2, 1.6, 2.0, 2.4, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""What an axis may end at, times a power of ten: half of it is a round number too."""

_KEY: Final = Markup(
    '<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="a{}" width="10" height="10" rx="2"/></svg>'
    "<bdi>{}</bdi></li>"
)


def lines(title: str, times: Sequence[datetime], series: Series) -> Markup:
    """Plot several lines on a scale that starts at zero; missing numbers leave gaps.

    The last point is of an interval that isn't over: the line to it is dotted.

    Args:
        title: What the plot shows.
        times: The points in time, oldest first.
        series: At most `MOST` lines, each with one number per point in time.
    """
    numbers = [value for values in series.values() for value in values if value is not None]
    top = _rounded_up(max(numbers, default=0.0) or 1.0)
    parts = _scale(top)
    for number, values in enumerate(list(series.values())[:MOST]):
        parts += _line(values, top, number)
    if times:
        parts.append(_TICK.format("", LEFT, HEIGHT - 4, f"{times[0]:%d %b %H:%M}"))
        parts.append(_TICK.format("end", WIDTH, HEIGHT - 4, f"{times[-1]:%d %b %H:%M}"))
    ends = "; ".join(f"{name} {_last(values)} at the end" for name, values in series.items())
    return _SVG.format(WIDTH, HEIGHT, escaped(f"{title}: {ends}"), Markup("").join(parts))


def legend(names: Sequence[str]) -> Markup:
    """The legend: each line's name and colour."""
    keys = (_KEY.format(number, escaped(name)) for number, name in enumerate(names[:MOST]))
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(keys))


def short(value: float) -> str:
    """Format a number for an axis: ``1.2k``, ``3M``, ``0.004``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _rounded_up(value: float) -> float:
    """The end of an axis that holds a positive value."""
    size: float = 10.0 ** math.floor(math.log10(value))
    return next((step * size for step in _STEPS if value <= step * size), 10.0 * size)


def _scale(top: float) -> list[Markup]:
    """Three grid lines: zero, half and the maximum."""
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = _y(top * share, top)
        parts.append(_ACROSS.format("grid-line" if share else "zero", LEFT, WIDTH, y, y))
        parts.append(_TICK.format("end", LEFT - 6, y + 4, short(top * share)))
    return parts


def _line(values: Sequence[float | None], top: float, number: int) -> list[Markup]:
    """Draw a line, broken at each gap; a lone number between two gaps becomes a dot."""
    step = (WIDTH - LEFT - 4) / max(len(values) - 1, 1)
    points = [
        None if value is None else (f"{LEFT + 2 + index * step:.1f}", f"{_y(value, top):.1f}")
        for index, value in enumerate(values)
    ]
    *over, last = points or [None]
    parts: list[Markup] = []
    for has_value, run in groupby(over, lambda point: point is not None):
        between = [point for point in run if point is not None]
        if len(between) == 1 and not (last and between == over[-1:]):
            parts.append(_DOT.format(number, *between[0]))
        elif has_value:
            parts.append(_LINE.format(number, _path(between)))
    if last and over and (before := over[-1]):
        parts.append(_UNFINISHED.format(number, _path([before, last])))
    elif last:
        parts.append(_DOT.format(number, *last))
    return parts


def _path(points: Sequence[tuple[str, str]]) -> str:
    return " ".join(map(",".join, points))


def _y(value: float, top: float) -> float:
    return TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM)


def _last(values: Sequence[float | None]) -> str:
    return next((short(value) for value in reversed(values) if value is not None), "nothing")
