"""Templates: all output is escaped text, with invisible characters spelled out."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from windsock.text import escaped

_CODE: Final = re.compile("`([^`\n]+)`")

NAVIGATION: Final = (
    ("/", "Home", ()),
    ("/settings", "Settings", ("/settings", "/profile", "/base")),
    ("/people", "People", ("/people", "/user")),
    ("/flags", "Flags", ("/flag",)),
    ("/experiments", "Experiments", ("/experiment",)),
    ("/usage", "Usage", ("/usage", "/request")),
    ("/quarantine", "Quarantine", ("/quarantine",)),
    ("/changes", "Changes", ("/change",)),
)
"""Each area: its page, its name, and how the paths of its pages begin."""


def rendered(template: str, root: str, values: Mapping[str, object]) -> str:
    """Render a page.

    Args:
        template: Its file in ``templates``.
        root: Where the console is mounted: ``""`` or ``/console``.
        values: The template's variables.
    """

    def href(path: str, **query: object) -> str:
        return address(root, path, query)

    return environment().get_template(template).render(href=href, navigation=NAVIGATION, **values)


def address(root: str, path: str, query: Mapping[str, object]) -> str:
    """A page's URL, with its query."""
    encoded = urlencode(
        {name: str(value) for name, value in query.items() if value not in (None, "")}, errors="replace"
    )
    return f"{root}{path}?{encoded}" if encoded else f"{root}{path}"


@cache
def environment() -> Environment:
    """The template environment, with its filters."""
    environment = Environment(
        loader=PackageLoader("windsock.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_seen,
    )
    environment.filters.update(exact=exact, prose=prose, json=written, lines=lines)
    environment.filters.update(ago=ago, old=old, when=when, number=number, age=age)
    return environment


def compile_templates() -> None:
    """Compile every template, so that the first visitor of a page doesn't wait for it."""
    for name in environment().list_templates(["html"]):
        environment().get_template(name)


@cache
def style_sheet() -> str:
    """The combined style sheet: the console's, plus the experiment report's scoped to ``.report``."""
    own = files("windsock.console").joinpath("console.css").read_text(encoding="utf-8")
    report = files("windsock.experiments.reporting").joinpath("style.css").read_text(encoding="utf-8")
    return f"{own}\n.report {{\n{report}\n}}\n"


def written(value: object) -> str:
    """Format a value as one line of JSON."""
    return json.dumps(value, ensure_ascii=False, default=str)


def lines(text: str) -> Markup:
    """Multi-line text for ``pre`` and ``textarea``."""
    return Markup("\n").join(escape(escaped(line)) for line in text.split("\n"))


def prose(text: str) -> Markup:
    """A message, line by line; text between backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(lines(text))))  # noqa: S704 - `lines` escaped it


def exact(value: object) -> Markup:
    """A hidden value for a form to send back unchanged, invisible characters included."""
    return escape(str(value))


def when(moment: datetime | str) -> str:
    """Format a point in time, or its ISO 8601 text, for readers: in UTC."""
    moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def ago(moment: datetime) -> str:
    """Format how long ago something was."""
    return f"{old(moment)} ago"


def old(moment: datetime) -> str:
    """Format how long something has existed since a point in time."""
    return age((datetime.now(UTC) - moment).total_seconds())


def age(seconds: float) -> str:
    """Format a duration in the largest unit that it spans at least twice."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def number(value: float, digits: int = 0) -> str:
    """Format a number with thousands separators."""
    return f"{value:,.{digits}f}"


def _seen(value: object) -> object:
    """Spell out characters that could hide or reverse neighbouring text; leave markup as it is."""
    if value is None:
        return ""
    return escaped(value) if isinstance(value, str) and not isinstance(value, Markup) else value
