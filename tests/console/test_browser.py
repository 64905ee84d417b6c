"""The console in a real Chromium: what it looks like, and what axe finds."""

import os
import struct
import zlib
from pathlib import Path

import pytest
from tests.console.browser import SHOTS, needs_chromium, pages_about, visits
from tests.console.records import fill
from tests.console.scenes import SCENES, Names
from tests.experiments import engines
from tests.experiments.data import NOW, experiment_rows
from tests.experiments.test_source_checks import flags
from tests.node_packages import node_packages_unavailable

from windsock.api import Role, create_token
from windsock.experiments import analyze

AXE = Path(__file__).with_name("axe")
PICTURE = Path(__file__).parents[2] / "docs" / "console.png"

pytestmark = needs_chromium


@pytest.mark.parametrize("scene", SCENES)
def test_no_page_is_wider_than_the_window(visitor, connection, folder, scene):
    names = SCENES[scene](connection, folder)
    page, wider = visitor(), []
    for name in visits(page, pages_about(connection, names)):
        for width in (360, 768, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            if (taken := page.evaluate("document.documentElement.scrollWidth")) > width:
                wider.append((name, width, taken))
            for scheme in ("light", "dark") if SHOTS else ():
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                page.screenshot(path=f"{SHOTS}/{scene}-{name}-{width}-{scheme}.png", full_page=True)
    assert wider == []


def test_a_long_name_of_the_person_leaves_the_brand_on_one_line(browser, address, connection):
    token = create_token(connection, "dev 2026-11-29 23:23:39.218105 " + "w" * 80, Role.ADMIN)
    page = browser.new_page(viewport={"width": 390, "height": 900}, base_url=address)
    page.goto("/sign-in")
    page.get_by_label("Token").fill(token)
    page.keyboard.press("Enter")
    brand = page.locator("header .brand")
    brand.wait_for()
    assert brand.bounding_box()["height"] < 40
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.close()


def pixels(path):
    """A PNG's size and its rows of 8-bit pixels (RFC 2083), as Chromium writes them: not interlaced."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        part = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", part[:10])
            assert (depth, colour) in {(8, 2), (8, 6)}
        packed += part if kind == b"IDAT" else b""
        at += size + 12
    return width, height, len(set(zlib.decompress(packed)))


def test_the_picture_of_the_documentation(visitor, connection, tmp_path):
    """Made again each time, and kept with CONSOLE_PICTURE=1. Fonts differ between machines: sizes may differ a little."""
    fill(connection)
    page = visitor()
    page.goto("/settings")
    made = tmp_path / "console.png"
    page.screenshot(path=made, full_page=True)
    if os.environ.get("CONSOLE_PICTURE"):
        PICTURE.write_bytes(made.read_bytes())
    width, height, bytes_used = pixels(made)
    kept_width, kept_height, kept_used = pixels(PICTURE)
    assert width == kept_width == 1440
    assert abs(height - kept_height) <= 0.15 * kept_height, "the page has changed: make the picture again"
    assert min(bytes_used, kept_used) > 100, "a picture of nothing"


def violations(page, axe):
    """What axe-core finds on the page that is open: the rule, the first element and what to do about it."""
    found = page.evaluate(f"() => {{ {axe}; return axe.run() }}")
    return [
        (each["id"], each["nodes"][0]["html"][:200], each["nodes"][0].get("failureSummary"))
        for each in found["violations"]
    ]


@pytest.fixture(scope="module")
def axe():
    if why := node_packages_unavailable(AXE):
        pytest.skip(why)
    return (AXE / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visitor, connection, axe, width, scheme):
    """On every page, plan and error, and at the door, for a stranger and after a wrong token."""
    fill(connection)
    page = visitor(width, scheme)
    for name in visits(page, pages_about(connection, Names())):
        assert violations(page, axe) == [], name
    page.goto("/profile/edit?name=warm")
    page.get_by_label("temperature").fill("hot")
    page.get_by_role("button", name="Show the plan").click()
    assert page.get_by_text("number").first.is_visible()
    assert violations(page, axe) == [], "a form that was refused"
    page.get_by_role("button", name="Sign out").click()
    assert violations(page, axe) == [], "the door"
    page.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert violations(page, axe) == [], "a wrong token"


def test_on_paper_a_page_is_white_and_whole_and_has_no_controls(visitor, connection):
    fill(connection)
    page = visitor(718, "dark")  # A4 without margins of 1 cm, at 96 pixels an inch
    for name in visits(page, pages_about(connection, Names())):
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)", name
        shown = page.locator("button:visible, select:visible, nav:visible")
        assert shown.count() == 0, (name, shown.all_inner_texts())
        assert page.evaluate("document.documentElement.scrollWidth") <= 718, name
        kept_whole = (
            "[...document.querySelectorAll('main > .card')].map(each => getComputedStyle(each).breakInside)"
        )
        assert set(page.evaluate(kept_whole)) <= {"auto"}, (
            f"{name}: what may be longer than a sheet begins on a new one"
        )
        page.emulate_media(media="screen", color_scheme="dark")


def test_on_paper_a_report_has_its_table_and_on_a_phone_a_list(browser, tmp_path):
    (tmp_path / "data").mkdir()
    folder = flags(tmp_path / "flagd", "{event: revenue}", goal="cost_per_request")
    with engines.parquet(experiment_rows(20), tmp_path / "data") as warehouse:
        report = analyze("cheaper_model", warehouse, flags=folder, now=NOW).report()
    page = browser.new_page(viewport={"width": 718, "height": 1047})
    page.set_content(report)
    seen = {}
    for media in ("print", "screen"):
        page.emulate_media(media=media)
        seen[media] = page.locator(".metrics thead").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 718, media
    page.close()
    assert seen == {"print": True, "screen": False}
