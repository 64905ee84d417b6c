"""What a test runs under: variants, pairs of them, profiles by name, another time; and overrides that nothing asks for."""

import json
from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

import windsock
from windsock import testing
from windsock.errors import OverrideError
from windsock.settings.marks import Fixed
from windsock.testing import overriding
from windsock.testing.pairs import pairwise_rows

UUID = "5f0c1d5e-0000-4000-8000-000000000001"


class Coach(windsock.Settings, flag="coach"):
    top_k: int = 10
    model: str = "small"
    endpoint: Annotated[str, Fixed] = "https://one.test"


class Referee(windsock.Settings, flag="referee"):
    top_k: int = 3


whistle = windsock.feature("whistle", default=False)


def flag(variants: dict[str, object], default: str, **more: object) -> dict[str, object]:
    return {"state": "ENABLED", "variants": variants, "defaultVariant": default, **more}


DOCUMENT = {
    "coach": flag({"production": {}, "staging": {"top_k": 5}}, "production"),
    "coach.experiment": flag({"control": {}, "wide": {"top_k": 40}}, "control"),
    "coach.profile": flag(
        {"none": {}, UUID: {"model": "large", "pitch": 3, "endpoint": "https://two.test"}},
        "none",
        metadata={f"config.{UUID}": "experimental_v1"},
    ),
    "referee.profile": flag(
        {"none": {}, UUID: {"top_k": 4}}, "none", metadata={f"config.{UUID}": "experimental_v1"}
    ),
    "theme": flag({"light": "light", "dark": "dark"}, "light"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "flagd").mkdir()
    (tmp_path / "flagd/a.flagd.json").write_text(json.dumps({"flags": DOCUMENT}))
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "flagd"
    windsock.stop()


@pytest.mark.parametrize("name", ["experimental_v1", UUID])
def test_a_profile_by_its_name_or_its_id_sets_what_it_sets_when_it_serves(folder: Path, name: str) -> None:
    with testing.override(testing.profile(name)):
        coach = Coach.for_user("ada")
        assert (coach.model, coach.top_k, coach.endpoint) == ("large", 10, "https://one.test")
        assert Referee.for_user("ada").top_k == 4
    assert Coach.for_user("ada").model == "small"


def test_a_profile_in_the_mirrors_folder_counts_too(folder: Path) -> None:
    (folder / "a.flagd.json").write_text('{"flags": {}}')
    (folder / "mirror").mkdir()
    mirrored = {
        "coach.profile": flag({"none": {}, UUID: {"top_k": 77}}, "none", metadata={f"config.{UUID}": "warm"})
    }
    (folder / "mirror/profiles.flagd.json").write_text(json.dumps({"flags": mirrored}))
    assert testing.profile("warm") == {Coach: {"top_k": 77}}


def test_a_profile_that_no_file_has_is_an_error(folder: Path) -> None:
    with pytest.raises(OverrideError, match=r"no flag file has a profile 'experimental_v2'; did you mean"):
        testing.profile("experimental_v2")


def test_a_profile_of_a_class_that_is_not_imported_is_an_error(folder: Path) -> None:
    other = {
        "stranger.profile": flag({"none": {}, UUID: {"top_k": 1}}, "none", metadata={f"config.{UUID}": "odd"})
    }
    (folder / "b.flagd.json").write_text(json.dumps({"flags": other}))
    with pytest.raises(
        OverrideError, match=r"profile 'odd' is for stranger: import its settings class first"
    ):
        testing.profile("odd")


def test_pairwise_has_every_pair_and_each_combination_can_be_forced(folder: Path) -> None:
    found = testing.pairwise(Coach, "whistle", "theme")
    names = [set(name.split(", ")) for name, _ in found]
    factors = [
        ["coach/production", "coach/staging"],
        ["no coach.experiment", "coach.experiment/control", "coach.experiment/wide"],
        ["whistle/on", "whistle/off"],
        ["theme/light", "theme/dark"],
    ]
    for one, other in combinations(factors, 2):
        for pair in product(one, other):
            assert any(set(pair) <= each for each in names), pair
    assert len(found) < 2 * 3 * 2 * 2
    windsock.start(flags=folder, usage=False)
    for name, values in found:
        with testing.override(
            {**values, Coach: {k: v for k, v in values[Coach].items() if k in {"top_k", "model"}}}
        ):
            assert whistle() is ("whistle/on" in name)
            expected = 40 if "experiment/wide" in name else 5 if "coach/staging" in name else 10
            assert Coach.for_user("ada").top_k == expected


def test_pairwise_of_an_unknown_flag_is_an_error(folder: Path) -> None:
    with pytest.raises(OverrideError, match=r"'whistel' is neither declared .*; did you mean 'whistle'"):
        testing.pairwise("whistel")


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_rows_cover_every_pair_with_few_rows(sizes: list[int]) -> None:
    columns = [list(range(size)) for size in sizes]
    rows = pairwise_rows(columns)
    for first, second in combinations(range(len(columns)), 2):
        assert {(row[first], row[second]) for row in rows} == set(product(columns[first], columns[second]))
    assert {row[0] for row in rows} == set(columns[0])
    largest = sorted(sizes)[-2:]
    assert len(rows) <= 3 * largest[0] * largest[-1]  # two columns alone need their product


BEGIN = datetime(2031, 5, 1, tzinfo=UTC)


def test_a_rollout_at_another_time(folder: Path) -> None:
    begins = {">=": [{"var": "$flagd.timestamp"}, int(BEGIN.timestamp())]}
    document = {"whistle": flag({"on": True, "off": False}, "off", targeting={"if": [begins, "on", "off"]})}
    (folder / "b.flagd.json").write_text(json.dumps({"flags": document}))
    windsock.start(flags=folder, usage=False)
    assert not whistle("ada")
    with testing.at(BEGIN):
        assert whistle("ada")
        with testing.at(BEGIN - timedelta(seconds=1)), testing.override(Coach, top_k=1):
            assert not whistle("ada")
        with testing.override(Coach, top_k=1):  # a hook takes another path to the rule
            assert whistle("ada")
        assert whistle("ada")
    with testing.at("2031-05-01T02:00:00+02:00"):
        assert whistle("ada")
    assert not whistle("ada")


@pytest.mark.parametrize(
    ("moment", "message"),
    [("tomorrow", "is not an ISO 8601 date"), ("2031-05-01T00:00:00", r"write 2031-05-01T00:00:00Z for UTC")],
)
def test_an_invalid_moment_is_an_error(moment: str, message: str) -> None:
    with pytest.raises(OverrideError, match=message), testing.at(moment):
        pass


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overriding, "_strict", True)


def test_what_code_asks_for_is_not_reported(strict: None, folder: Path) -> None:
    with testing.override({Coach: {"top_k": 1}, "whistle": True}):
        assert (Coach.live().top_k, whistle()) == (1, True)
    with testing.override(Coach.for_user("ada"), top_k=2):
        assert Coach.for_user("ada").top_k == 2


def test_what_no_code_asks_for_is_an_error_at_the_end_of_the_block(strict: None, folder: Path) -> None:
    with (
        pytest.raises(OverrideError, match=r"no code asked for 'whistle' while"),
        testing.override({"whistle": True}),
    ):
        assert Coach.live().top_k == 10
    with pytest.raises(OverrideError, match=r"no code asked for 'coach' while"):  # noqa: SIM117 - the block raises
        with testing.override(Coach.for_user("ada"), top_k=2):
            assert Coach.for_user("bob").top_k == 10


def test_an_error_of_the_test_itself_is_not_hidden(strict: None, folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), testing.override({"whistle": True}):
        1 / 0  # noqa: B018 - raises
