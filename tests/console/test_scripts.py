"""What scripts hostile text runs in a real Chromium: none, on no page, whatever a field holds."""

import urllib.parse

import pytest
from tests.console.browser import needs_chromium
from tests.console.hostile import addresses, plant

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
    plant(connection, folder, evil)
    page = visitor()
    seen = watch(page)
    for path, asked in addresses(connection, evil):
        query = urllib.parse.urlencode(asked, errors="replace")
        page.goto(urllib.parse.quote(path) + (f"?{query}" if query else ""))
        assert page.locator("main").count() == 1, path
        assert page.evaluate("window.stopped") == [], path
        foreign = "[...document.links].filter(a => !a.href.startsWith(location.origin)).map(a => a.href)"
        assert page.evaluate(foreign) == [], path
        assert (
            page.evaluate("[...document.querySelectorAll('script, img, iframe, object, embed')].length") == 0
        ), path
    assert [each for each in seen if "404" not in each[1] and "422" not in each[1]] == []
