"""A form that is opened and sent as it is changes nothing, whatever the values hold: in a real Chromium."""

import json
from urllib.parse import urlencode

from tests.console.browser import needs_chromium
from tests.console.test_editing import said

from windsock.mirror import profiles
from windsock.mirror.profiles import ProfileRow

pytestmark = needs_chromium

TEXTS = {
    "joined": "a family: \N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}",
    "Persian": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "turned": "a\u202eevil\u202c b",
    "soft hyphen and tag": "so\u00adft \U000e0041",
    "tab": "one\ttwo",
    "lines": "one\ntwo",
    "lines of a prompt": "\n\nYou are a teacher.\n\n\t1. Ask.\n" * 4,
    "carriage return": "one\rtwo\r\nthree",
    "blank": "  ",
    "around": " padded ",
    "quoted": '"quoted"',
    "escaped": "a\\u200db \\n c",
    "entities": "&amp; &#13; <b>",
    "control": "bell \x07 \x85",
}


def test_a_profile_that_is_sent_as_it_was_opened_stays(visitor, connection):
    """Its name and its description, too; and what it set stays if another value is changed, after a mistake."""
    page = visitor()
    for kind, text in TEXTS.items():
        settings = {"temperature": 1, "greeting": text, "channels": [text, "web"]}
        name = f"{kind} {text}".replace("\r", "")  # browsers send no such end of a line
        profiles.save(connection, name, None, ProfileRow(settings, f"for {text}"))
        page.goto("/profile/edit?" + urlencode({"name": name}))
        page.get_by_role("button", name="Show the plan").click()
        assert "Nothing changes." in page.inner_text("main"), kind
    name = f"joined {TEXTS['joined']}"
    page.goto("/profile/edit?" + urlencode({"name": name}))
    for temperature in "hot", "0.5":
        page.get_by_label("temperature").fill(temperature)
        page.get_by_role("button", name="Show the plan").click()
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**/profile?**done=**")
    assert said(connection, name)["greeting"] == TEXTS["joined"]
    assert said(connection, name)["temperature"] == 0.5
    row = connection.execute("select description from app_configurations where name = %s", [name])
    assert row.fetchone() == (f"for {TEXTS['joined']}",)


def test_base_values_that_are_sent_as_they_were_opened_stay(visitor, connection, folder):
    path = folder / "teacher.flagd.json"
    document = json.loads(path.read_text())
    values = {"greeting": TEXTS["joined"], "channels": list(TEXTS.values())}
    document["flags"]["teacher"]["variants"]["production"] |= values
    path.write_text(json.dumps(document))
    page = visitor()
    page.goto("/base?flag=teacher")
    page.get_by_role("button", name="Show the plan").click()
    assert "Nobody." in page.inner_text("main")
    assert page.get_by_role("button", name="Apply").count() == 0
