"""Usage: requests, latency, cost and errors, over time and in total; and every detail of one request."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from windsock.console.drawing import MOST, legend
from windsock.console.page_errors import NotFoundError
from windsock.console.reading import QUERIES
from windsock.console.views.usage import BY, SPANS, part_of, plots
from windsock.console.visits import Answer, Page, Route, Visit
from windsock.usage.reading import Selection, read

_REQUESTS: Final = 50


def usage(visit: Visit) -> Answer:
    """The usage overview."""
    by = visit.asked.get("by", "") if visit.asked.get("by") in BY else "profile"
    span = visit.asked.get("span", "") if visit.asked.get("span") in SPANS else "day"
    flag = visit.asked.get("flag") or None
    back, step = SPANS[span]
    now = datetime.now(UTC)
    asked: dict[str, object] = {"since": now - back, "flag": flag, "step": step.total_seconds()}
    found = visit.connection.execute(_of(by, "totals"), asked).fetchall()
    drawn = [row[0] for row in found[:MOST]]
    asked |= {"parts": [part for part in drawn if part is not None], "none": None in drawn}
    rows = visit.connection.execute(_of(by, "over_time"), asked).fetchall() if found else []
    label = _labels(visit, by)
    totals = [part_of((label(part), *rest)) for part, *rest in found]
    rows = [(at, label(part), *rest) for at, part, *rest in rows]
    names = [part.name for part in totals[:MOST]]
    values = {
        "by": by,
        "choices": tuple(BY),
        "span": span,
        "spans": tuple(SPANS),
        "flag": flag,
        "classes": visit.console.declarations,
        "totals": totals,
        "legend": legend(names),
        "others": max(0, len(totals) - MOST),
        "plots": plots(rows, names, now - back, now, step) if totals else (),
        "requests": read(visit.connection, Selection(healed="healed" in visit.asked, limit=_REQUESTS)),
        "healed": "healed" in visit.asked,
    }
    return Page("usage.html", "Usage", values)


def _of(by: str, query: str) -> bytes:
    """A query with the requested grouping; the column comes from our table, never from the URL."""
    return QUERIES[query].replace(b"{part}", BY[by].column.encode())


def _labels(visit: Visit, by: str) -> Callable[[object], str]:
    """Labels for the groups: a profile's name rather than its id."""
    names = dict(visit.connection.execute(QUERIES["names"]).fetchall()) if by == "profile" else {}

    def label(part: object) -> str:
        return BY[by].none if part is None else names.get(str(part), str(part))

    return label


def request(visit: Visit) -> Answer:
    """One row of the log in full detail."""
    try:
        number = UUID(visit.asked.get("id", ""))
    except ValueError:
        raise NotFoundError("There is no such request.") from None
    row = visit.connection.execute(QUERIES["one_request"], {"id": number}).fetchone()
    if row is None:
        raise NotFoundError("This request is not in the log; old rows may have been deleted.")
    facts = dict(row[0])
    said, healed = facts.pop("values"), facts.pop("healed")
    values = {
        "facts": {name: value for name, value in facts.items() if value is not None},
        "said": said,
        "healed": [json.dumps(each, ensure_ascii=False) for each in healed],
        "user": facts.get("user_id"),
        "flag": facts.get("flag"),
    }
    return Page("request.html", "A request", values)


ROUTES: Final = (Route("/usage", usage), Route("/request", request))
