"""The experiment in a row: who was exposed to which arm of it, and who was not."""

import pytest
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from tests.flagfiles import object_flag, profile_flag, write_flags
from tests.healing.conftest import anyio_backend, fresh_process, serve
from tests.healing.teachers import CONFIG, TYPO, Provider, Teacher

import windsock
from windsock.usage import MemorySink

__all__ = ["anyio_backend", "fresh_process", "serve"]


def experiment(arms, users, **metadata):
    """An experiment over these users; everybody else gets the flag's default."""
    targeting = {
        "if": [{"in": [{"var": "targetingKey"}, list(users)]}, {"fractional": [[arm, 1] for arm in arms]}]
    }
    return {"teacher.experiment": object_flag({"none": {}, **arms}, "none", targeting, **metadata)}


ARMS = {"control": {}, "warm": {"temperature": 1.1}}
IN_IT = [f"u{number}" for number in range(20)]


def read(user, *fields):
    with windsock.request():
        teacher = Teacher.for_user(user)
        for field in fields:
            getattr(teacher, field)


@pytest.fixture
def rows():
    """Give what was recorded, by user: (experiment, arm)."""
    memory = MemorySink()

    def give():
        windsock.stop()
        return {row.user_id: (row.experiment, row.arm) for row in memory.rows}

    give.memory = memory
    return give


def test_both_arms_are_recorded_and_who_is_not_targeted_is_not(serve, rows):
    serve(experiment(ARMS, IN_IT, experiment="warmth-2026"), usage=rows.memory)
    for user in (*IN_IT, "outside"):
        read(user, "temperature")
    found = rows()
    assert found.pop("outside") == (None, None)
    assert set(found.values()) == {("warmth-2026", "control"), ("warmth-2026", "warm")}
    temperatures = {row.arm: row.values["temperature"] for row in rows.memory.rows}
    assert temperatures == {"control": 0.7, "warm": 1.1, None: 0.7}


def test_a_field_that_no_arm_sets_exposes_nobody(serve, rows):
    serve(experiment(ARMS, IN_IT), usage=rows.memory)
    read("u1", "reasoning_model")
    read("u2", "reasoning_model", "temperature")
    found = rows()
    assert found["u1"] == (None, None)
    assert found["u2"][0] == "teacher.experiment"  # without a name, the flag's key


def test_an_experiment_that_gives_everybody_the_default_is_over(serve, rows):
    serve(
        {"teacher.experiment": object_flag({"none": {}, "warm": {"temperature": 1.1}}, "warm")},
        usage=rows.memory,
    )
    read("u1", "temperature")
    assert rows()["u1"] == (None, None)


def test_a_user_whose_profile_sets_the_field_is_not_in_it(serve, rows):
    profile = profile_flag({CONFIG: {"temperature": 0.1}}, {"u1": CONFIG})
    serve({**experiment(ARMS, IN_IT), "teacher.profile": profile}, usage=rows.memory)
    read("u1", "temperature")
    read("u2", "temperature")
    found = rows()
    assert found["u1"] == (None, None)
    assert found["u2"] != (None, None)


def test_the_next_experiment_has_its_own_name_though_nothing_else_changed(serve, rows):
    folder = serve(experiment(ARMS, IN_IT, experiment="first"), usage=rows.memory)
    read("u1", "temperature")
    write_flags(folder / "test.flagd.json", experiment(ARMS, IN_IT, experiment="second"))
    windsock.reload()
    read("u2", "temperature")
    found = rows()
    assert (found["u1"][0], found["u2"][0]) == ("first", "second")


def test_an_arm_that_fails_is_still_the_user_s_arm(serve, rows):
    serve(experiment({"typo": {"reasoning_model": TYPO}}, IN_IT, experiment="e"), usage=rows.memory)
    with windsock.request():
        assert windsock.heal(Teacher.for_user("u1"), Provider()) == "gpt-4o-mini"
    for number in range(6):  # the last of them finds it withdrawn
        with windsock.request():
            windsock.heal(Teacher.for_user(f"u{number + 2}"), Provider())
    assert set(rows().values()) == {("e", "typo")}
    assert rows.memory.rows[-1].healed == []


def test_several_views_of_a_request_are_one_exposure(serve, rows):
    serve(experiment(ARMS, IN_IT, experiment="e"), usage=rows.memory)
    with windsock.request():
        assert Teacher.for_user("u1").temperature
        assert Teacher.for_user("u1").reasoning_model
    assert rows()["u1"][0] == "e"
    assert len(rows.memory.rows) == 1


def test_where_the_arms_are_not_known_any_read_exposes(rows):
    """As over flagd's RPC: only the user's own arm is known, and of a control that is nothing."""

    def evaluate(flag, context):
        return FlagResolutionDetails({}, reason="TARGETING_MATCH", variant="control")

    flag = InMemoryFlag("none", {"none": {}, "control": {}}, context_evaluator=evaluate)
    windsock.start(provider=InMemoryProvider({"teacher.experiment": flag}), usage=rows.memory)
    read("u1", "reasoning_model")
    assert rows()["u1"] == ("teacher.experiment", "control")


def test_the_deployment_s_own_values_are_in_no_experiment(serve, rows):
    serve(experiment(ARMS, IN_IT), usage=rows.memory)
    with windsock.request():
        windsock.heal(Teacher.live(), lambda settings: settings.temperature)
    assert rows() == {None: (None, None)}
