"""A class without flags is what pydantic-settings makes of it: proven by classes made at random.

`python -m bench.same_as_pydantic` compares others in each run, for as long as it is told to.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.settings.both_bases import differences
from tests.settings.generated import Drawn, Surroundings, drawn, surroundings

import windsock


@settings(
    max_examples=100,
    derandomize=True,  # the same classes in each run of CI
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(of=drawn(), data=st.data())
def test_the_same_values_in_every_form(of: Drawn, data: st.DataObject, tmp_path: Path) -> None:
    assert not differences(of, data.draw(surroundings(of)), tmp_path)


def test_a_difference_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windsock.Settings, "__repr_args__", lambda _: [])
    around = Surroundings({}, {}, "utf-8", {}, "{}", {})
    found = differences(Drawn({"f0_int": "int"}, config={"env_file": None}), around, tmp_path)
    assert found is not None
    assert found.keys() == {"with arguments", "without arguments", "for_user", "live"}
