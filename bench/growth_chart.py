"""Draws bench/results/growth.json, a panel for each curve on logarithmic axes, and lists the slopes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

Points: TypeAlias = Sequence[tuple[int, float]]
Found: TypeAlias = dict[str, dict[str, object]]

WIDTH, HEIGHT, COLUMNS = 440, 346, 2
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 104, 40
COLOURS = ("#0b62a8", "#b5460f", "#2f7d32", "#7a3b9a", "#7a6a00")
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1c2430}.title{font-size:15px;font-weight:600}"
    ".tick{font-size:11px;fill:#4b5563}.grid{stroke:#e3e7ec}.axis{stroke:#9aa4b0}"
    ".linear{stroke:#9aa4b0;stroke-dasharray:4 4}"
)


def slope(points: Points) -> float:
    """The exponent of the growth: 0 is flat, 1 is linear, 2 is quadratic; of the least squares in logarithms.

    The first points are mostly what a start or a call costs whatever the size, so the larger half counts.
    """
    last = [(math.log10(size), math.log10(cost)) for size, cost in points][-max(2, (len(points) + 1) // 2) :]
    x_mean, y_mean = (sum(each[axis] for each in last) / len(last) for axis in (0, 1))
    return sum((x - x_mean) * (y - y_mean) for x, y in last) / sum((x - x_mean) ** 2 for x, _ in last)


def word(exponent: float) -> str:
    """What a slope means."""
    if exponent < 0.2:
        return "flat"
    if exponent < 0.85:
        return "less than linear"
    return "linear" if exponent <= 1.15 else "more than linear"


def chart(found: Found) -> str:
    """All panels, as one SVG."""
    rows = math.ceil(len(found) / COLUMNS)
    panels = []
    for number, (name, curve) in enumerate(found.items()):
        x, y = number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT
        panels.append(f'<g transform="translate({x} {y})">{_panel(name, curve["costs"])}</g>')  # type: ignore[arg-type]
    width, height = WIDTH * COLUMNS, HEIGHT * rows
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}"'
        f' role="img" aria-label="Costs against size, on logarithmic axes"><style>{STYLE}</style>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(panels)}</svg>\n'
    )


def table_rows(found: Found) -> list[list[str]]:
    """What grows, the cost, its first and last value, and the slope."""
    rows = []
    for name, curve in found.items():
        for cost, points in curve["costs"].items():  # type: ignore[attr-defined]
            (first, least), (last, most) = points[0], points[-1]
            exponent = slope(points)
            unit = cost[cost.rindex("(") + 1 : -1]
            rows.append([
                name, cost[: cost.rindex("(")].strip(),
                f"{first:,}: {amount(least, unit)}", f"{last:,}: {amount(most, unit)}",
                f"{exponent:.2f}, {word(exponent)}",
            ])  # fmt: skip
    return rows


def amount(value: float, unit: str) -> str:
    """A cost for people, with two or three digits."""
    if unit == "s":
        for factor, smaller in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
            if value * factor >= 1 or smaller == "µs":
                return f"{_digits(value * factor)} {smaller}"
    return f"{_digits(value)} {unit}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where sizes and multiples are in a panel; `low` and `high` are powers of ten."""

    first: int
    last: int
    low: int
    high: int

    def x(self, size: float) -> float:
        return LEFT + math.log10(size / self.first) / math.log10(self.last / self.first) * (
            WIDTH - LEFT - RIGHT
        )

    def y(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _panel(name: str, costs: dict[str, Points]) -> str:
    """One curve: its costs, each as a multiple of the first, so that units can share an axis."""
    lines = {cost: [(size, value / points[0][1]) for size, value in points] for cost, points in costs.items()}
    sizes = sorted({size for points in lines.values() for size, _ in points})
    powers = [math.log10(value) for points in lines.values() for _, value in points]
    low, high = math.floor(min(0.0, min(powers) + 0.3)), math.ceil(max(1.0, *powers))
    axes = _Axes(sizes[0], sizes[-1], low, high)
    parts = [f'<text class="title" x="{LEFT}" y="20">{escape(name)}</text>', _grid(axes, sizes)]
    for number, (cost, points) in enumerate(lines.items()):
        colour, at = COLOURS[number % len(COLOURS)], 36 + 14 * number
        places = [(axes.x(size), axes.y(max(value, 10.0**low))) for size, value in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            + "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)
            + f'<rect x="{LEFT}" y="{at - 7}" width="10" height="5" fill="{colour}"/>'
            f'<text x="{LEFT + 16}" y="{at}">{escape(cost)}: slope {slope(costs[cost]):.2f}</text>'
        )
    return "".join(parts)


def _grid(axes: _Axes, sizes: Sequence[int]) -> str:
    """The lines of the powers of ten, the sizes, and a dashed line that grows as the size does."""
    bottom, parts = axes.y(10.0**axes.low), []
    for power in range(axes.low, axes.high + 1):
        at = axes.y(10.0**power)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text class="tick" text-anchor="end" x="{LEFT - 6}" y="{at + 4:.1f}">{_multiple(power)}</text>'
        )
    for size in sizes:
        at = axes.x(size)
        parts.append(
            f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{bottom:.1f}" y2="{bottom + 4:.1f}"/>'
            f'<text class="tick" text-anchor="middle" x="{at:.1f}" y="{bottom + 17:.1f}">'
            f"{_short(size)}</text>"
        )
    end = min(axes.last, axes.first * 10**axes.high)
    parts.append(
        f'<line class="linear" x1="{axes.x(axes.first):.1f}" y1="{axes.y(1):.1f}" x2="{axes.x(end):.1f}"'
        f' y2="{axes.y(end / axes.first):.1f}"/>'
    )
    return "".join(parts)


def _multiple(power: int) -> str:
    return f"{10**power:,} ×" if power >= 0 else f"{10.0**power:g} ×"


def _short(size: int) -> str:
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit:
            return f"{size // unit}{letter}"
    return str(size)
