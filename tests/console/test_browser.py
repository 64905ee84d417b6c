"""The console in a real Chromium: what it looks like, and what axe finds."""

import os
import struct
import zlib
from pathlib import Path

import pytest
from tests.console.browser import PAGES, SHOTS, needs_chromium, pages_about, visits
from tests.console.records import fill
from tests.console.scenes import SCENES
from tests.node_packages import node_packages_unavailable

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
