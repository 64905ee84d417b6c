"""Somebody who knows neither terminal nor addresses, in a real Chromium: by what the pages say alone."""

import subprocess

from tests.cli.conftest import WINDSOCK
from tests.console.browser import SHOTS, needs_chromium
from tests.console.conftest import ADA
from tests.console.records import fill

pytestmark = needs_chromium


class Newcomer:
    """Clicks what is in sight, and counts the clicks."""

    def __init__(self, page):
        self.page = page
        self.clicks = 0

    def click(self, name, role="link"):
        found = self.page.get_by_role(role, name=name).first
        found.click()
        self.page.wait_for_load_state()
        self.clicks += 1
        if SHOTS:
            self.page.screenshot(path=f"{SHOTS}/newcomer-{self.clicks:02}.png", full_page=True)

    def reads(self, text):
        return text in self.page.inner_text("main")


def mirrored(database, folder):
    """What a running mirror does within seconds."""
    subprocess.run(
        [WINDSOCK, "mirror", "once", "--flag", "teacher"], cwd=folder.parent, check=True, capture_output=True,
        env={"DATABASE_URL": database, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip


def value_of(newcomer, field):
    """The line of the user's page about one field, read again until it says what is served now."""
    return newcomer.page.locator("tr", has_text=field).first.inner_text()


def test_why_a_user_has_a_value_then_another_one_then_the_first_again(visitor, connection, database, folder):
    fill(connection, 30)
    mirrored(database, folder)
    newcomer = Newcomer(visitor())
    newcomer.click("Why did a user get a value?")
    newcomer.page.get_by_label("User id, or its beginning").fill(str(ADA)[:4])
    newcomer.click("Find", "button")
    newcomer.click(str(ADA))
    why = value_of(newcomer, "temperature")
    assert "1.1" in why
    assert "warm" in why
    newcomer.click("warm")
    newcomer.click("Edit Teacher")
    newcomer.page.get_by_label("temperature").fill("1.3")
    newcomer.click("Show the plan", "button")
    assert newcomer.reads("1 user with warm gets other values")
    newcomer.click("Apply", "button")
    assert newcomer.reads("Done.")
    mirrored(database, folder)
    newcomer.click(str(ADA))
    while "1.3" not in value_of(newcomer, "temperature"):
        newcomer.page.reload()
    newcomer.click("Changes")
    newcomer.click("edit warm")
    newcomer.click("Undo", "button")
    mirrored(database, folder)
    newcomer.click("People")
    newcomer.click(str(ADA))
    while "1.1" not in value_of(newcomer, "temperature"):
        newcomer.page.reload()
    assert newcomer.clicks <= 13
