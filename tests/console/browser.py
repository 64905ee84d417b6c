"""The console's pages for tests in a real Chromium; the fixtures `browser` and `visitor` open them."""

import os
import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SHOTS = os.environ.get("CONSOLE_SHOTS")
"""A folder for a picture of every page at every width."""

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
    "user": "/user?id=00000000-0000-0000-0000-000000000001",
    "profile": "/profile?name=warm",
    "profile-form": "/profile/edit?name=warm",
    "base-form": "/base?flag=teacher",
    "changes": "/changes",
    "missing": "/nowhere",
}
