"""Usage: requests, latency, cost and errors, over time and in total; and every detail of one request."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from windsock.console.drawing import MOST, legend
from windsock.console.page_errors import NotFoundError
from windsock.console.reading import QUERIES, profile_names
from windsock.console.rendering import when
from windsock.console.usage_counts import NOTHING_YET, UsageQuestion
from windsock.console.views.usage import BY, SPANS, part_of, plots
from windsock.console.visits import Answer, Page, Route, Visit
from windsock.runtime.state import health
from windsock.usage.reading import Selection, read
from windsock.usage.record import read_json
from windsock.usage.wording import healed_words

_REQUESTS: Final = 50
_MOMENTS: Final = ("requested_at", "recorded_at")
_WORDS: Final = {
    "requested_at": "when",
    "user_id": "user",
    "config_id": "profile",
    "flag": "settings",
    "variant": "variant",
    "status": "ended",
    "error_class": "error",
    "latency_ms": "latency, ms",
    "answered_model": "model that answered",
    "input_tokens": "tokens in",
    "output_tokens": "tokens out",
    "cost": "cost",
}
"""What people ask of a request first, in this order and these words; the other columns follow."""


def usage(visit: Visit) -> Answer:
    """The usage overview."""
    by = visit.query.get("by", "") if visit.query.get("by") in BY else "profile"
    span = visit.query.get("span", "") if visit.query.get("span") in SPANS else "day"
    flag = visit.query.get("flag") or None
    flag = flag if flag in {each.flag for each in visit.console.declarations} else None
    made = visit.shared.usage(UsageQuestion(by, span, flag))
    counts = made.value if made else NOTHING_YET
    healed, since = "healed" in visit.query, datetime.now(UTC) - SPANS[span][0]
    requests = read(visit.connection, Selection(healed=healed, limit=_REQUESTS, flag=flag, since=since))
    used = [row[0] for row in counts.totals] if by == "profile" else []
    profiles = profile_names(visit.connection, [*used, *(each.config_id for each in requests)])
    label = _labels(by, profiles)
    totals = [part_of((label(part), *rest)) for part, *rest in counts.totals]
    rows = [(at, label(part), *rest) for at, part, *rest in counts.over_time]
    names = [part.name for part in totals[:MOST]]
    step = SPANS[span][1]
    values = {
        "by": by,
        "choices": tuple(BY),
        "span": span,
        "spans": tuple(SPANS),
        "flag": flag,
        "classes": visit.console.declarations,
        "counted": made,
        "totals": totals,
        "legend": legend(names),
        "others": max(0, len(totals) - MOST),
        "plots": plots(rows, names, counts.since, counts.until, step) if totals else (),
        "requests": requests,
        "names": profiles,
        "healed": healed,
    }
    return Page("usage.html", "Usage", values, again=made is None)


def _labels(by: str, names: Mapping[str, str]) -> Callable[[object], str]:
    """Labels for the groups: a profile's name rather than its id."""

    def label(part: object) -> str:
        return BY[by].none if part is None else names.get(str(part), str(part))

    return label


def request(visit: Visit) -> Answer:
    """One row of the log in full detail."""
    try:
        number = UUID(visit.query.get("id", ""))
    except ValueError:
        raise NotFoundError("There is no such request.") from None
    row = visit.connection.execute(QUERIES["one_request"], {"id": number}).fetchone()
    if row is None:
        raise NotFoundError("This request is not in the log; old rows may have been deleted.")
    facts, read = dict(row[0]), read_json(row[1], dict)
    healed = [each for each in read_json(row[2], list) if isinstance(each, dict)]
    asked_at = facts["requested_at"] if facts.get("environment") == health().environment else ""
    facts |= {name: f"{when(datetime.fromisoformat(facts[name]))} UTC" for name in _MOMENTS if facts[name]}
    names = profile_names(visit.connection, [facts.get("config_id")])
    ordered = (*(name for name in _WORDS if name in facts), *(name for name in facts if name not in _WORDS))
    values = {
        "facts": {_WORDS.get(name, name): facts[name] for name in ordered if facts[name] is not None},
        "read": read,
        "healed": [f"{healed_words(each)}: {each.get('error', '?')}" for each in healed],
        "profile": next(iter(names.values()), ""),
        "user": facts.get("user_id"),
        "then": asked_at,
        "flag": facts.get("flag"),
    }
    return Page("request.html", "A request", values)


ROUTES: Final = (Route("/usage", usage), Route("/request", request))
