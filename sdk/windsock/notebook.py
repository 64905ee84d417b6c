"""Tables for notebooks, to return from `_repr_html_`. All text in them is escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from windsock.text import escaped

_LEFT: Final = ' style="text-align: left"'
"""Notebooks align cells to the right, which makes text hard to read."""


def table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table.

    Args:
        caption: A line above it.
        headings: One for each column.
        rows: One cell per heading, shown as text; None is an empty cell.
    """
    head = "".join(f"<th{_LEFT}>{_text(each)}</th>" for each in headings)
    body = "".join(f"<tr>{''.join(f'<td{_LEFT}>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    head = f"<caption>{_text(caption)}</caption><thead><tr>{head}</tr></thead>"
    return f"<table>{head}<tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    return "" if value is None else escape(escaped(str(value)))
