"""`windsock history`, `refs` and `stale` as programs."""

import json

import pytest
from tests.cli.conftest import boolean

CODE = 'import windsock\n\nbeta = windsock.feature("beta", default=False)\n'


@pytest.fixture
def versions(write, git):
    """Three commits that change `beta`, one that does not, and one that breaks the file."""

    def commit(message: str) -> None:
        git("add", ".")
        git("commit", "-qm", message)

    write({"beta": boolean()})
    commit("begin")
    write({"beta": boolean(), "other": boolean()})
    commit("something else")
    path = write({"beta": boolean(default="on")})
    commit("on for everybody")
    good = path.read_text()
    path.write_text("{")
    commit("broken")
    path.write_text(good)
    commit("mended")
    write({})
    commit("gone")
    return git


def test_history_is_the_commits_that_changed_the_flag(windsock, versions):
    done = windsock("history", "beta", "--json")
    assert done.returncode == 0, done.stderr
    events = json.loads(done.stdout)
    assert [event["commit"]["subject"] for event in events] == ["gone", "on for everybody", "begin"]
    assert [change["kind"] for event in events for change in event["changes"]] == [
        "removed",
        "changed",
        "added",
    ]
    assert "flagd/a.flagd.json:1:2" in done.stderr, "the commit that broke the file is told"
    lines = windsock("history", "beta").stdout.splitlines()
    assert '  ~ beta/defaultVariant  "off" → "on"' in lines
    done = windsock("history", "bta")
    assert (done.returncode, done.stdout) == (1, "")


def test_refs(windsock, tmp_path):
    (tmp_path / "app.py").write_text(CODE)
    done = windsock("refs", "beta")
    assert (done.returncode, done.stdout) == (0, "app.py:3:8  feature  beta\n")
    assert windsock("refs", "gamma").returncode == 1
    assert windsock("refs", "--code", "nowhere").returncode == 4


def test_stale(windsock, write, tmp_path):
    (tmp_path / "app.py").write_text(CODE)
    write({"beta": boolean(owner="us")})
    assert windsock("stale").returncode == 0
    write({"beta": boolean(owner="us"), "gamma": boolean()})
    done = windsock("stale", "--json")
    assert done.returncode == 1
    assert [(each["flag"], each["why"]) for each in json.loads(done.stdout)] == [
        ("gamma", "unused"),
        ("gamma", "without owner"),
    ]
