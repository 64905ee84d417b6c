"""The console's pages for tests in a real Chromium; the fixtures `browser` and `visitor` open them."""

import os
import shutil
from urllib.parse import urlencode

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SHOTS = os.environ.get("CONSOLE_SHOTS")
"""A folder for a picture of every page with every scene, at every width, light and dark."""

needs_chromium = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]

PAGES = {
    "home": "/",
    "settings": "/settings",
    "flags": "/flags",
    "flag": "/flag?key=new_editor&user=ada&attributes=tier%3Dpro",
    "experiments": "/experiments",
    "experiment": "/experiment?name=cheaper",
    "usage": "/usage?span=week",
    "quarantine": "/quarantine",
    "people": "/people",
    "people-found": "/people?q=0000",
    "user": "/user?id=00000000-0000-0000-0000-000000000001",
    "profile": "/profile?name=warm",
    "profile-form": "/profile/edit?name=warm",
    "base-form": "/base?flag=teacher",
    "changes": "/changes",
    "missing": "/nowhere",
}


def pages_about(connection, names):
    """`PAGES` for some names, and the pages of the newest change and request."""

    def newest(statement):
        row = connection.execute(statement).fetchone()
        return row[0] if row else 0

    change = newest("select id from windsock.profile_changes order by id desc limit 1")
    request = newest("select id from usage_logs order by requested_at desc limit 1")
    return PAGES | {
        "flag": "/flag?" + urlencode({"key": names.flag, "user": names.user, "attributes": "tier=pro"}),
        "user": "/user?" + urlencode({"id": names.user}),
        "profile": "/profile?" + urlencode({"name": names.profile}),
        "profile-form": "/profile/edit?" + urlencode({"name": names.profile}),
        "change": f"/change?id={change}",
        "request": f"/request?id={request}",
    }


PLANS = {
    "profile-plan": ("profile-form", "Show the plan"),
    "base-plan": ("base-form", "Show the plan"),
    "assign-plan": ("user", "Show the plan"),
    "experiment-plan": ("experiment", "Start…"),
    "experiment-decision": ("experiment", "Decide…"),
    "flag-plan": ("flag", "Go back…"),
}
"""Pages that a form of another page leads to, and the button that sends it."""


def visits(page, paths):
    """Open each page, and each plan that its form leads to; gives its name."""
    for name, path in paths.items():
        page.goto(path)
        while page.get_by_text("Counting the last").count():  # it asks again by itself
            page.goto(path)
        yield name
    for name, (start, button) in PLANS.items():
        page.goto(paths[start])
        if (field := page.locator("[id='f:temperature']")).count():
            field.fill("1.3")
        if (found := page.locator("button", has_text=button)).count() and found.first.is_enabled():
            with page.expect_navigation():  # a click doesn't wait for the answer
                found.first.click()
            yield name
