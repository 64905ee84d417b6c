"""The console in a real Chromium: what it looks like, what axe finds, and what HTML in data does."""

import os
import shutil
from pathlib import Path

import pytest
from tests.console.records import fill
from tests.node_packages import node_packages_unavailable

from windsock.api import Role

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = Path(__file__).with_name("axe")
PICTURE = Path(__file__).parents[2] / "docs" / "console.png"
SHOTS = os.environ.get("CONSOLE_SHOTS")
"""A folder for a picture of every page at every width."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]

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
    "user": "/user?id=00000000-0000-0000-0000-000000000001",
    "profile": "/profile?name=warm",
    "profile-form": "/profile/edit?name=warm",
    "base-form": "/base?flag=teacher",
    "changes": "/changes",
    "missing": "/nowhere",
}


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visitor(browser, address, tokens):
    """Make a page of an admin's browser."""
    contexts = []

    def made(width=1440, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, base_url=address
        )
        contexts.append(context)
        page = context.new_page()
        page.goto("/sign-in")
        page.get_by_label("Token").fill(tokens[Role.ADMIN])
        page.keyboard.press("Enter")
        page.locator("main#main").wait_for()
        return page

    yield made
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_no_page_is_wider_than_the_window(visitor, connection, width, scheme):
    fill(connection)
    page = visitor(width, scheme)
    for name, path in PAGES.items():
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        if SHOTS:
            page.screenshot(path=f"{SHOTS}/{name}-{width}-{scheme}.png", full_page=True)


def test_the_picture_of_the_documentation(visitor, connection, tmp_path):
    """Made again with CONSOLE_PICTURE=1; fonts differ between machines, so pixels are not compared."""
    fill(connection)
    page = visitor()
    page.goto("/settings")
    page.screenshot(
        path=PICTURE if os.environ.get("CONSOLE_PICTURE") else tmp_path / "console.png", full_page=True
    )
    assert PICTURE.stat().st_size > 10_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visitor, connection, scheme):
    if why := node_packages_unavailable(AXE):
        pytest.skip(why)
    fill(connection)
    page = visitor(1440, scheme)
    axe = (AXE / "node_modules" / "axe-core" / "axe.min.js").read_text()
    for path in PAGES.values():
        page.goto(path)
        found = page.evaluate(f"() => {{ {axe}; return axe.run() }}")
        seen = [
            (each["id"], each["nodes"][0]["html"][:200], each["nodes"][0].get("failureSummary"))
            for each in found["violations"]
        ]
        assert seen == [], path
