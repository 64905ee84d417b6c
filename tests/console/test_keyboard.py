"""The keyboard alone gets everywhere, in a real Chromium: every control, seen, in order, without a trap."""

import pytest
from tests.console.browser import PAGES, needs_chromium
from tests.console.records import fill

pytestmark = needs_chromium

REACHABLE = """() => {
  const found = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')]
    .filter(e => !e.disabled && e.type !== 'hidden' && e.tabIndex >= 0 && e.checkVisibility());
  found.forEach((e, n) => e.dataset.walk = n);
  return found.length;
}"""
FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  return {
    walk: e.dataset.walk ?? null, html: e.outerHTML.slice(0, 160),
    ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1,
    seen: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""


@pytest.mark.parametrize("width", [360, 1440])
def test_tab_reaches_every_control_and_leaves_the_page(visitor, connection, width):
    fill(connection, 30)
    page = visitor(width)
    for path in PAGES.values():
        page.goto(path)
        total = page.evaluate(REACHABLE)
        reached = set()
        for _ in range(total + 40):  # what scrolls is a stop too, if the browser makes it one
            page.keyboard.press("Tab")
            focused = page.evaluate(FOCUSED)
            if focused is None:  # beyond the last one is the browser itself
                break
            assert focused["ring"], (path, focused["html"], "the focus is not seen")
            assert focused["seen"], (path, focused["html"], "what has the focus is outside the window")
            if focused["walk"] is not None:
                reached.add(focused["walk"])
        assert len(reached) == total, (path, total, len(reached))


def test_the_first_stop_skips_to_the_content(visitor):
    page = visitor()
    page.goto("/flags")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_a_profile_is_changed_and_undone_with_the_keyboard_alone(visitor, connection):
    """From the page of a user who got a value, to the value they get after it, and back."""
    page = visitor()

    def go(name, role="link"):
        for _ in range(80):
            page.keyboard.press("Tab")
            here = page.evaluate("document.activeElement.innerText || document.activeElement.id")
            if here == name:
                break
        else:
            raise AssertionError(f"no {role} {name} on {page.url}")

    page.goto("/user?id=00000000-0000-0000-0000-000000000001")
    go("warm")
    page.keyboard.press("Enter")
    page.wait_for_url("**/profile?**")
    go("Edit Teacher")
    page.keyboard.press("Enter")
    page.wait_for_url("**/profile/edit**")
    go("f:temperature", "field")
    page.keyboard.press("Control+A")
    page.keyboard.type("1.3")
    page.keyboard.press("Enter")
    page.wait_for_url("**/profile/plan")
    assert "~ temperature  1.1 → 1.3" in page.inner_text("main")
    assert "1 user" in page.inner_text("main")
    go("Apply", "button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/profile?**done=**")
    assert connection.execute("select settings->>'temperature' from app_configurations").fetchone() == (
        "1.3",
    )
    go("Undo", "button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/change?**")
    assert connection.execute("select settings->>'temperature' from app_configurations").fetchone() == (
        "1.1",
    )
