"""The experiment in a row: who was exposed to which arm of it, and who was not."""

import pytest
from openfeature import api
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.hook import Hook
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


def test_both_arms_are_recorded_and_untargeted_users_are_not(serve, rows):
    serve(experiment(ARMS, IN_IT, experiment="warmth-2026"), usage=rows.memory)
    for user in (*IN_IT, "outside"):
        read(user, "temperature")
    found = rows()
    assert found.pop("outside") == (None, None)
    assert set(found.values()) == {("warmth-2026", "control"), ("warmth-2026", "warm")}
    temperatures = {row.arm: row.values["temperature"] for row in rows.memory.rows}
    assert temperatures == {"control": 0.7, "warm": 1.1, None: 0.7}


def test_a_field_that_no_arm_sets_exposes_no_one(serve, rows):
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


def test_a_profile_that_is_given_later_is_served_and_leaves_the_unit_in_its_arm(serve, rows):
    arms = {"control": {}, "both": {"temperature": 1.1, "retrieval_top_k": 3}}
    folder = serve(experiment(arms, IN_IT, experiment="e"), usage=rows.memory)
    treated = next(user for user in IN_IT if Teacher.for_user(user).retrieval_top_k == 3)
    read(treated, "temperature")
    profile = profile_flag({CONFIG: {"temperature": 0.1}}, {treated: CONFIG})
    write_flags(
        folder / "test.flagd.json", {**experiment(arms, IN_IT, experiment="e"), "teacher.profile": profile}
    )
    windsock.reload()
    # the profile wins, and an arm is served whole or not at all
    assert Teacher.for_user(treated).temperature == 0.1
    assert Teacher.for_user(treated).retrieval_top_k != 3
    read(treated, "temperature")
    windsock.stop()
    assert [(row.arm, str(row.config_id)) for row in rows.memory.rows][-2:] == [
        ("both", "None"),
        (None, CONFIG),
    ]
    (exposure,) = [each for each in rows.memory.exposures if each.unit == treated]
    assert (exposure.arm, exposure.excluded) == ("both", None)


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
    reasons = [each.excluded for each in rows.memory.exposures]
    assert reasons == [*[None] * 5, *["contaminated: reasoning_model was withdrawn"] * 2]


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


def declared(arms=ARMS, **metadata):
    """An experiment as `windsock experiment start` writes it."""
    said = {"experiment": "warmth", "version": 3, "allocation.control": 0.5, "allocation.warm": 0.5}
    return experiment(arms, IN_IT, **said | metadata)


def met(rows):
    """What was exposed, by unit: (arm, excluded)."""
    rows()
    return {each.unit: (each.arm, each.excluded) for each in rows.memory.exposures}


def test_a_field_that_any_arm_sets_exposes_in_control_too_and_a_unit_once(serve, rows):
    serve(declared(), usage=rows.memory)
    for user in (*IN_IT, *IN_IT, "outside"):
        read(user, "temperature")
    read("u1", "reasoning_model")
    found = met(rows)
    assert found.keys() == set(IN_IT)
    assert set(found.values()) == {("control", None), ("warm", None)}
    first = rows.memory.exposures[0]
    assert (first.experiment, first.version, first.allocation, first.flag, first.environment) == (
        "warmth", 3, 0.5, "teacher.experiment", "production",
    )  # fmt: skip
    assert len(rows.memory.exposures) == len(IN_IT)


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.1}, {"reasoning_model": "gpt-4o"}])
def test_users_with_a_profile_are_excluded_whatever_the_arm_and_the_profile(serve, rows, settings):
    profile = profile_flag({CONFIG: settings}, dict.fromkeys(IN_IT, CONFIG))
    serve({**declared(), "teacher.profile": profile}, usage=rows.memory)
    for user in IN_IT:
        read(user, "temperature")
    assert set(met(rows).values()) == {("control", "profile"), ("warm", "profile")}


@pytest.mark.parametrize("arm", ["control", "warm"])
def test_users_with_a_profile_are_excluded_where_only_their_own_arm_is_known(rows, arm):
    """As over an RPC that says nothing of an arm's siblings: the same rule in every arm."""

    def give(value, variant):
        return InMemoryFlag(
            "none",
            {"none": {}, variant: value},
            context_evaluator=lambda _flag, _context: FlagResolutionDetails(
                value, reason="TARGETING_MATCH", variant=variant
            ),
        )

    flags = {
        "teacher.experiment": give(ARMS[arm], arm),
        "teacher.profile": give({"temperature": 0.1}, CONFIG),
    }
    windsock.start(provider=InMemoryProvider(flags), usage=rows.memory)
    read("u1", "temperature")
    assert met(rows) == {"u1": (arm, "profile")}


def test_a_profile_given_later_keeps_the_unit_in_its_arm(serve, rows):
    folder = serve(declared(), usage=rows.memory)
    read("u1", "temperature")
    profile = profile_flag({CONFIG: {"temperature": 0.1}}, {"u1": CONFIG})
    write_flags(folder / "test.flagd.json", {**declared(), "teacher.profile": profile})
    windsock.reload()
    read("u1", "temperature")
    assert [excluded for _, excluded in met(rows).values()] == [None]


def test_the_unit_is_what_the_experiment_declares(serve, rows):
    by_session = declared(unit="session_id", segments="country tier")
    by_session["teacher.experiment"]["targeting"] = {
        "fractional": [{"var": "session_id"}, ["control", 1], ["warm", 1]]
    }
    serve(by_session, usage=rows.memory)
    with windsock.request() as request:
        view = Teacher.for_user("u1", session_id="s-1", country="CH")
        windsock.heal(view, lambda settings: settings.temperature)
        request.track("bought", 3)
    read("u1", "temperature")  # no session: nobody knows the unit
    (exposure,) = [rows(), rows.memory.exposures][1]
    assert (exposure.unit, exposure.attributes_json) == ("s-1", '{"country":"CH"}')
    assert [(each.unit, each.user_id) for each in rows.memory.events] == [("s-1", "u1")]


def test_a_request_is_a_unit(serve, rows):
    serve(declared(unit="request"), usage=rows.memory)
    with windsock.request(request_id="r-1"):
        assert Teacher.for_user("u1").temperature
    assert met(rows).keys() == {"r-1"}


def test_an_arm_that_fails_exposes_once(serve, rows):
    serve(declared({"typo": {"reasoning_model": TYPO}}), usage=rows.memory)
    with windsock.request():
        windsock.heal(Teacher.for_user("u1"), Provider())
    assert met(rows) == {"u1": ("typo", None)}


def boolean(targeting, **metadata):
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    return flag | {"targeting": targeting, "metadata": metadata}


def test_a_feature_leaves_a_row_and_can_be_an_experiment(serve, rows):
    split = {"fractional": [["on", 1], ["off", 1]]}
    serve({"rag": boolean(split, experiment="rag_2026"), "plain": boolean(split)}, usage=rows.memory)
    rag, plain = windsock.feature("rag", default=False), windsock.feature("plain", default=False)
    answers = {}
    for user in IN_IT:
        with windsock.request():
            answers[user] = rag(user)
            assert rag(user) == answers[user]
            plain(user)
    rag("outside of any request")
    rows()
    arms = {each.unit: each.arm for each in rows.memory.exposures}
    assert arms == {user: "on" if on else "off" for user, on in answers.items()}
    used = [(row.flag, row.user_id, row.values) for row in rows.memory.rows if row.user_id == "u1"]
    assert used[0] == ("rag", "u1", {"rag": answers["u1"]})
    assert [flag for flag, _, _ in used] == ["rag", "plain"]
    assert {row.experiment for row in rows.memory.rows if row.flag == "plain"} == {None}


def test_a_feature_asked_through_hooks_leaves_the_same_row(serve, rows):
    serve({"rag": boolean({"fractional": [["on", 1], ["off", 1]]}, experiment="e")}, usage=rows.memory)
    api.add_hooks([Hook()])
    try:
        with windsock.request():
            on = windsock.feature("rag", default=False)("u1")
    finally:
        api.clear_hooks()
    assert met(rows) == {"u1": ("on" if on else "off", None)}
