"""What scripts hostile text runs in a real Chromium: none, on no page, whatever a field holds."""

import urllib.parse

import pytest
from tests.console.browser import needs_chromium, pages_about, visits
from tests.console.hostile import addresses, plant
from tests.console.scenes import Names

pytestmark = needs_chromium


def watch(page):
    """Note all that a script could do, and all that the policy had to stop."""
    seen = []
    page.on("dialog", lambda dialog: (seen.append(("dialog", dialog.message)), dialog.dismiss()))
    page.on(
        "console",
        lambda message: seen.append((message.type, message.text)) if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: seen.append(("script", str(error))))
    page.add_init_script(
        "window.stopped = []; document.addEventListener('securitypolicyviolation',"
        " event => window.stopped.push(event.violatedDirective + ' ' + event.sample));"
        "Object.defineProperty(window, 'owned', {set() { window.stopped.push('a script ran'); }});"
    )
    return seen


@pytest.mark.parametrize("evil", [
    "<script>window.owned=1;alert(1)</script>",
    "<img src=x onerror='window.owned=1;alert(1)'>",
    "javascript:window.owned=1;alert(1)//",
    '"onmouseover="window.owned=1" autofocus onfocus="window.owned=1" x="',
    "</title></style></textarea><svg onload=window.owned=1><a href=javascript:alert(1)>x</a>",
])  # fmt: skip
def test_nothing_that_a_field_says_is_run(visitor, connection, folder, evil):
    """On no page, in no plan, in no form that is refused, and not for somebody whose own name says it."""
    plant(connection, folder, evil)
    page = visitor()
    connection.execute("update windsock.api_tokens set name = %s where role = 'admin'", [evil])
    seen = watch(page)

    def check(where):
        assert page.locator("main").count() == 1, where
        assert page.evaluate("window.stopped") == [], where
        foreign = "[...document.links].filter(a => !a.href.startsWith(location.origin)).map(a => a.href)"
        assert page.evaluate(foreign) == [], where
        made = "[...document.querySelectorAll('script, img, iframe, object, embed, base, style, [onfocus], [onload]')]"
        assert page.evaluate(f"{made}.length") == 0, where

    for path, asked in addresses(connection, evil):
        query = urllib.parse.urlencode(asked, errors="replace")
        page.goto(urllib.parse.quote(path) + (f"?{query}" if query else ""))
        check(path)
    assert page.locator(".who").inner_text().startswith(evil[:20]), "the name is shown"
    plans = set()
    for name in visits(page, pages_about(connection, Names(evil, evil, evil))):
        check(name)
        plans.add(name)
    assert plans >= {"profile-plan", "base-plan", "experiment-plan"}
    page.goto("/profile/edit?" + urllib.parse.urlencode({"name": evil}))
    page.get_by_label("temperature").fill(evil)
    page.get_by_label("Description").fill(evil + evil)
    page.get_by_role("button", name="Show the plan").click()
    assert page.get_by_text("Write a number").count() == 1
    check("a form that was refused")
    assert [each for each in seen if "404" not in each[1] and "422" not in each[1]] == []
