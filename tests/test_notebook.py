"""What notebooks show: settings, explanations, usage and plans as tables, with nothing in them that could run."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from uuid import uuid4

import pytest
from pydantic import SecretStr

import windsock
from windsock import testing
from windsock.gitops.impact import Impact, Move, PlanEffect
from windsock.gitops.plan import Plan, PlanStep
from windsock.usage.reading import UsageRecords
from windsock.usage.record import UsageRecord

HOSTILE = "<script>alert('x')</script>&amp;\x1b[31m\u202e"


class Notes(windsock.Settings, flag="notes"):
    title: str = "plain"
    size: int = 3
    key: SecretStr = SecretStr("hidden")


class _Cells(HTMLParser):
    """The text of each cell, and every tag."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert attrs == ([("style", "text-align: left")] if tag in {"th", "td"} else [])
        self.tags.add(tag)
        self._inside = tag in {"td", "caption"}
        if self._inside:
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.cells[-1] += data


def cells(shown: object) -> list[str]:
    parser = _Cells()
    parser.feed(shown._repr_html_())
    parser.close()
    assert parser.tags == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert "\x1b" not in "".join(parser.cells)
    assert "\u202e" not in "".join(parser.cells)
    return parser.cells


def test_settings_and_their_explanation() -> None:
    with testing.override(Notes, title=HOSTILE):
        view = Notes.for_user(HOSTILE)
        shown = cells(view)
        assert shown[0] == "Notes"
        assert shown[1] == "title"
        assert shown[2].startswith("<script>alert('x')</script>&amp;")
        assert shown[3:6] == ["profile", "size", "3"]
        assert "hidden" not in view._repr_html_()
        explained = windsock.explain(view)
        assert "<script>" in cells(explained)[0]
        assert "hidden" not in explained._repr_html_()


def test_an_ordinary_instance() -> None:
    assert cells(Notes(size=4))[1:5] == ["title", "plain", "size", "4"]


def test_showing_settings_reads_nothing_of_them(usage) -> None:
    with windsock.request():
        Notes.for_user("ada")._repr_html_()
    assert usage.rows == []


def test_usage() -> None:
    record = UsageRecord(
        id=uuid4(), requested_at=datetime(2031, 5, 1, tzinfo=UTC), user_id=HOSTILE, request_id=None,
        environment="production", flag="notes", variant="override", config_id=None, revision=None, reason=None,
        values_json='{"title": "\\u003cb\\u003e"}',
    )  # fmt: skip
    shown = cells(UsageRecords([record]))
    assert shown[:2] == ["1 row of usage_logs", "2031-05-01 00:00:00"]
    assert shown[2].startswith("<script>")


@pytest.mark.parametrize("moves", [(), (Move("a", None, "STATIC", 7, ("ada",)),)])
def test_a_plan(moves: tuple[Move, ...]) -> None:
    impact = Impact(HOSTILE, PlanEffect.MOVES, 10, moves)
    plan = Plan(
        "0" * 40, "2031-05-01", HOSTILE, (PlanStep("flagd/a.json", None, "{}", (), (impact,)),), (HOSTILE,)
    )
    shown = cells(plan)
    assert (shown[1], shown[3]) == ("flagd/a.json", "moves users")
    assert shown[2].startswith("<script>")
    assert shown[4:7] == (["7", "a", ""] if moves else ["", "", ""])
    assert shown[7] == "finding"
