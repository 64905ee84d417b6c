"""Flags: the list, one flag in words, its Git history, and what a given user would get."""

import time
from typing import Final

from windsock.console.page_errors import NotFoundError
from windsock.console.plan_users import count_users
from windsock.console.reading import git_flags, pages, shown_flag
from windsock.console.shared import COMMITS
from windsock.console.views.flags import REASONS, ages, bars, matching, summary
from windsock.console.visits import Answer, Page, Route, Visit
from windsock.evaluator import CompiledFlag
from windsock.flags import Flag
from windsock.flags.words import rule_in_words
from windsock.gitops.contexts import context_of
from windsock.provenance.rule import trace
from windsock.runtime.state import health
from windsock.settings.arms import EXPERIMENT
from windsock.text import did_you_mean

_SIZE: Final = 50
_EVENTS: Final = 15
"""Maximum commits shown for one flag."""


def flags(visit: Visit) -> Answer:
    """The flags in Git, in file order."""
    search = visit.query.get("q", "").strip()[:200]
    served = git_flags(visit.console)
    found = matching(list(served.flags.values()), search)
    page, before = pages(visit.query, _SIZE)
    past = visit.shared.past.now()
    shown = found[before : before + _SIZE]
    values = {
        "search": search,
        "rows": [(summary(flag), ages(past.value.by_key.get(flag.key, ()))) for flag in shown],
        "past": past,
        "most": COMMITS,
        "total": len(found),
        "page": page,
        "more": len(found) > before + _SIZE,
        "problems": served.problems[:20],
        "classes": {each.flag for each in visit.console.declarations},
        "folder": str(visit.console.flags),
    }
    return Page("flags.html", "Flags", values)


def flag(visit: Visit) -> Answer:
    """One flag."""
    key = visit.query.get("key", "")
    served = git_flags(visit.console)
    found = served.flags.get(key)
    if found is None:
        raise NotFoundError(f"No flag in Git is named {key!r}{did_you_mean(key, list(served.flags))}")
    past = visit.shared.past.now()
    events = past.value.by_key.get(key, ())
    committed = past.value.flags.get(key)
    is_committed = committed is not None and found.same_as(committed)
    may_go_back = visit.person.may_change(key) and EXPERIMENT not in found.metadata
    if may_go_back:
        count_users(visit)
    found = shown_flag(visit.console, found)
    values = {
        "summary": summary(found),
        "lines": rule_in_words(found.targeting, found.default_variant),
        "bars": bars(found),
        "events": events[:_EVENTS],
        "is_committed": is_committed,
        "may_go_back": may_go_back,
        "past": past,
        "most": COMMITS,
        "is_class": key in {each.flag for each in visit.console.declarations},
        **_what_if(visit, found),
    }
    return Page("flag.html", key, values)


def _what_if(visit: Visit, found: Flag) -> dict[str, object]:
    """What the flag returns for the entered user and attributes, and why."""
    user, text = visit.query.get("user", "")[:500], visit.query.get("attributes", "")[:5_000]
    shown: dict[str, object] = {"user": user, "attributes": text, "outcome": None, "seen": ()}
    if not user and not text.strip():
        return shown
    pairs = list(filter(None, map(str.strip, text.split("\n"))))
    context = context_of(pairs, user or None, health().environment)
    shown["outcome"] = outcome = CompiledFlag(found).evaluate(context)
    shown["reason"] = REASONS.get(outcome.reason, outcome.reason)
    shown["seen"] = trace(found, context, int(time.time()))[:200]
    return shown


ROUTES: Final = (Route("/flags", flags), Route("/flag", flag))
