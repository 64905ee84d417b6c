"""The rungs: last value that worked, weaker layers, code defaults; and what bounds the climb."""

import asyncio
import contextlib
import threading
import time
from contextvars import ContextVar

import pytest
import tenacity
from tests.flagfiles import object_flag, write_flags
from tests.healing.teachers import TYPO, Provider, StatusError, Teacher, not_found, profiles

import windsock
from windsock.healing import Verdict
from windsock.usage import MemorySink


def change(folder, flags):
    write_flags(folder / "test.flagd.json", flags)
    windsock.reload()


def test_a_value_that_worked_before_answers_first(serve):
    provider = Provider()
    folder = serve(profiles(["ann"], reasoning_model="gpt-4o"))
    assert windsock.heal(Teacher.for_user("ann"), provider) == "gpt-4o"
    change(folder, profiles(["ann"], reasoning_model=TYPO))
    assert windsock.heal(Teacher.for_user("ann"), provider) == "gpt-4o"
    assert provider.asked == ["gpt-4o", TYPO, "gpt-4o"]


def test_a_value_that_worked_for_another_profile_is_not_used(serve):
    provider = Provider()
    folder = serve(profiles(["ann"], reasoning_model="gpt-4o"))
    windsock.heal(Teacher.for_user("ann"), provider)
    change(folder, profiles(["ann"], config="another", reasoning_model=TYPO))
    assert windsock.heal(Teacher.for_user("ann"), provider) == "gpt-4o-mini"


def test_every_rung_is_tried_while_the_errors_are_the_values_own(serve):
    provider = Provider("gpt-4o", "gpt-4o-mini")
    base = {"teacher": object_flag({"base": {"reasoning_model": "retired"}}, "base")}
    folder = serve(base | profiles(["ann"], reasoning_model="gpt-4o"))
    windsock.heal(Teacher.for_user("ann"), provider)
    provider.models = ("gpt-4o-mini",)  # the one that worked is retired as well
    change(folder, base | profiles(["ann"], reasoning_model=TYPO))
    assert windsock.heal(Teacher.for_user("ann"), provider) == "gpt-4o-mini"
    assert provider.asked[1:] == [TYPO, "gpt-4o", "retired", "gpt-4o-mini"]


def test_an_outage_costs_one_more_call_and_no_more(serve):
    provider = Provider()
    provider.down = True
    base = {"teacher": object_flag({"base": {"reasoning_model": "gpt-4o"}}, "base")}
    serve(base | profiles(["ann"], reasoning_model=TYPO))
    with pytest.raises(StatusError, match="overloaded"):
        windsock.heal(Teacher.for_user("ann"), provider)
    assert provider.asked == [TYPO, "gpt-4o"]


def test_a_field_that_is_nested_falls_whole(serve):
    class Search(windsock.Settings, flag="search"):
        weights: dict[str, float] = {"text": 1.0}

    folder = serve({"search": object_flag({"on": {"weights": {"title": 2.0}}}, "on")})
    windsock.heal(Search.live(), lambda s: s.weights)
    change(folder, {"search": object_flag({"on": {"weights": {"title": -1.0}}}, "on")})

    def call(settings):
        if settings.weights["title"] < 0:
            raise ValueError("weights must not be negative")
        return dict(settings.weights)

    assert windsock.heal(Search.live(), call) == {"text": 1.0, "title": 2.0}


@pytest.mark.parametrize("where", ["outside", "inside"])
def test_retries_of_the_caller_s_do_not_multiply(serve, where):
    provider = Provider()
    provider.down = True
    serve(profiles(["ann"], reasoning_model=TYPO))
    teacher = Teacher.for_user("ann")
    retry = tenacity.retry(stop=tenacity.stop_after_attempt(4), reraise=True)
    outside = retry(lambda: windsock.heal(teacher, provider))
    call = outside if where == "outside" else lambda: windsock.heal(teacher, retry(provider))
    with pytest.raises(StatusError):
        call()
    assert len(provider.asked) == (4 + 1 if where == "outside" else 4 + 4)
    assert provider.asked.count(TYPO) == (1 if where == "outside" else 4)


def test_retries_during_an_outage_end_in_an_answer_with_the_default(serve):
    provider = Provider()
    provider.down = True
    serve(profiles(["ann"], reasoning_model=TYPO))
    teacher = Teacher.for_user("ann")
    with pytest.raises(StatusError):
        windsock.heal(teacher, provider)
    provider.down = False
    assert windsock.heal(teacher, provider) == "gpt-4o-mini"
    assert provider.asked == [TYPO, "gpt-4o-mini", "gpt-4o-mini"]


def test_the_live_object_remembers_within_its_request_only(serve):
    provider = Provider()
    serve({"teacher": object_flag({"base": {"reasoning_model": TYPO}}, "base")})
    with windsock.request():
        windsock.heal(Teacher.live(), provider)
        windsock.heal(Teacher.live(), provider)
    with windsock.request():
        windsock.heal(Teacher.live(), provider)
    assert provider.asked == [TYPO, "gpt-4o-mini", "gpt-4o-mini", TYPO, "gpt-4o-mini"]


def test_heal_inside_heal_does_not_multiply(serve):
    provider = Provider("none of them")
    serve(profiles(["ann"], reasoning_model=TYPO))
    teacher = Teacher.for_user("ann")

    def outer(settings):
        assert settings.reasoning_model
        return windsock.heal(settings, provider)

    with pytest.raises(StatusError, match="gpt-4o-mini"):
        windsock.heal(teacher, outer)
    assert provider.asked == [TYPO, "gpt-4o-mini"]


@pytest.mark.anyio
async def test_nor_does_it_in_the_tasks_of_a_group(serve):
    provider = Provider("none of them")
    serve(profiles(["ann"], reasoning_model=TYPO))

    async def inner(settings):
        return provider(settings)

    async def outer(settings):
        assert settings.reasoning_model
        async with asyncio.TaskGroup() as group:
            group.create_task(windsock.aheal(settings, inner))

    with pytest.raises(ExceptionGroup) as caught:
        await windsock.aheal(Teacher.for_user("ann"), outer)
    assert caught.group_contains(StatusError, match="gpt-4o-mini")
    assert provider.asked == [TYPO, "gpt-4o-mini"]


def test_an_error_that_a_library_wraps_is_still_recognised(serve):
    provider = Provider("gpt-4o-mini")
    base = {"teacher": object_flag({"base": {"reasoning_model": "retired"}}, "base")}
    serve(base | profiles(["ann"], reasoning_model=TYPO))

    def call(settings):
        try:
            return provider(settings)
        except StatusError as error:
            raise RuntimeError("the agent failed") from error

    assert windsock.heal(Teacher.for_user("ann"), call) == "gpt-4o-mini"


def test_after_the_deadline_nothing_is_run_again(serve):
    provider = Provider()
    serve(profiles(["ann"], reasoning_model=TYPO))

    def slow(settings):
        time.sleep(0.05)
        return provider(settings)

    with pytest.raises(StatusError, match=TYPO):
        windsock.heal(Teacher.for_user("ann"), slow, deadline=0.01)
    assert provider.asked == [TYPO]


def test_a_fallback_that_hangs_ends_in_the_call_s_own_error(serve):
    serve(profiles(["ann"], reasoning_model=TYPO))
    release = threading.Event()

    def call(settings):
        if settings.reasoning_model == TYPO:
            raise not_found(TYPO)
        release.wait(30)

    with pytest.raises(StatusError, match=TYPO):  # with the fallback's answer there is no error
        windsock.heal(Teacher.for_user("ann"), call, deadline=0.2)
    release.set()


@pytest.mark.parametrize("deadline", [20, 1e300])
def test_a_run_within_the_deadline_keeps_its_request(serve, deadline):
    memory = MemorySink()
    serve(profiles(["ann"], reasoning_model=TYPO), usage=memory)
    with windsock.request():
        assert windsock.heal(Teacher.for_user("ann"), Provider(), deadline=deadline) == "gpt-4o-mini"
    windsock.stop()
    (row,) = memory.rows
    assert row.values == {"reasoning_model": "gpt-4o-mini"}
    assert row.healed[0]["failed_value"] == TYPO


@pytest.mark.parametrize("deadline", [None, 20])
@pytest.mark.parametrize("answers", [True, False])
def test_what_a_run_sets_in_its_context_stays_set_with_a_deadline_too(serve, deadline, answers):
    serve(profiles(["ann"], reasoning_model=TYPO))
    seen = ContextVar("seen", default="")
    token = seen.set("before")

    def call(settings):
        seen.set(f"{seen.get()} {settings.reasoning_model}")
        if answers and settings.reasoning_model != TYPO:
            return
        raise not_found(settings.reasoning_model)

    with contextlib.nullcontext() if answers else pytest.raises(StatusError):
        windsock.heal(Teacher.for_user("ann"), call, deadline=deadline)
    assert seen.get() == f"before {TYPO} gpt-4o-mini"
    seen.reset(token)


@pytest.mark.anyio
async def test_a_deadline_cancels_an_asynchronous_fallback(serve):
    serve(profiles(["ann"], reasoning_model=TYPO))

    async def call(settings):
        if settings.reasoning_model == TYPO:
            raise not_found(TYPO)
        await asyncio.sleep(30)

    with pytest.raises(StatusError, match=TYPO):
        await windsock.aheal(Teacher.for_user("ann"), call, deadline=0.2)


@pytest.mark.anyio
async def test_a_deadline_cancels_an_asynchronous_first_run(serve):
    serve(profiles(["ann"], reasoning_model=TYPO))
    calls = []

    async def call(settings):
        calls.append(settings.reasoning_model)
        await asyncio.sleep(30)

    with pytest.raises(TimeoutError):
        await windsock.aheal(Teacher.for_user("ann"), call, deadline=0.2)
    assert calls == [TYPO]


@pytest.mark.anyio
async def test_a_cancellation_during_the_fallback_comes_through(serve):
    serve(profiles(["ann"], reasoning_model=TYPO))
    falling = asyncio.Event()

    async def call(settings):
        if settings.reasoning_model == TYPO:
            raise not_found(TYPO)
        falling.set()
        await asyncio.sleep(30)

    task = asyncio.create_task(windsock.aheal(Teacher.for_user("ann"), call))
    await asyncio.wait_for(falling.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "classifier",
    [
        lambda error, values: 1 / 0,
        lambda error, values: None,
        lambda error, values: Verdict("nobody"),
    ],
    ids=["raises", "gives nothing", "gives nonsense"],
)
def test_a_broken_classifier_does_not_fail_the_call(serve, classifier, caplog):
    serve(profiles(["ann"], reasoning_model=TYPO))
    assert windsock.heal(Teacher.for_user("ann"), Provider(), classify=classifier) == "gpt-4o-mini"
    assert "the classifier passed to heal failed" in caplog.text


class HostileError(Exception):
    """Raises whatever is asked of it."""

    def __str__(self):
        raise RuntimeError("no text")

    def __getattr__(self, name):
        if name.startswith("__"):  # pytest itself looks at these
            raise AttributeError(name)
        raise RuntimeError(f"no {name}")

    def __setattr__(self, name, value):
        raise RuntimeError(f"no {name}")


@pytest.mark.parametrize(
    "error",
    [HostileError(), Exception("x" * 20_000_000), StatusError("400", "m", body=7)],
    ids=["raises when looked at", "20 MB", "wrong types"],
)
def test_hostile_errors_are_healed_and_raised_like_others(serve, error, caplog):
    serve(profiles(["ann"], reasoning_model=TYPO))

    def once(settings):
        if settings.reasoning_model == TYPO:
            raise error
        return "answered"

    def always(settings):
        assert settings.reasoning_model
        raise error

    assert windsock.heal(Teacher.for_user("ann"), once) == "answered"
    assert max(len(record.getMessage()) for record in caplog.records) < 2_000
    with pytest.raises(type(error)) as caught:
        windsock.heal(Teacher.for_user("ann"), always)
    assert caught.value is error


def test_a_field_that_the_error_names_falls_alone(serve):
    memory = MemorySink()
    serve(profiles(["ann"], reasoning_model=TYPO, temperature=0.2), usage=memory)

    def call(settings):
        return settings.temperature, Provider()(settings)

    with windsock.request():
        assert windsock.heal(Teacher.for_user("ann"), call) == (0.2, "gpt-4o-mini")
    windsock.stop()
    (row,) = memory.rows
    assert row.values == {"reasoning_model": "gpt-4o-mini", "temperature": 0.2}
    assert [(each["field"], each["failed_value"]) for each in row.healed] == [("reasoning_model", TYPO)]


@pytest.mark.parametrize("error", [StatusError(503, "overloaded"), RuntimeError("no JSON")])
def test_where_that_does_not_help_the_others_follow_whatever_the_error(serve, error):
    memory = MemorySink()
    serve(profiles(["ann"], reasoning_model=TYPO, temperature=0.2), usage=memory)
    runs = []

    def call(settings):
        runs.append((settings.reasoning_model, settings.temperature))
        if settings.reasoning_model == TYPO:
            raise not_found(TYPO)
        if settings.temperature == 0.2:
            raise error
        return "answered"

    with windsock.request():
        assert windsock.heal(Teacher.for_user("ann"), call) == "answered"
    windsock.stop()
    assert runs == [(TYPO, 0.2), ("gpt-4o-mini", 0.2), ("gpt-4o-mini", 0.7)]
    (row,) = memory.rows
    assert row.values == {"reasoning_model": "gpt-4o-mini", "temperature": 0.7}
    assert [(each["field"], each["failed_value"]) for each in row.healed] == [
        ("reasoning_model", TYPO),
        ("temperature", 0.2),
    ]


def test_an_unnamed_failure_records_every_field_that_fell(serve):
    memory = MemorySink()
    serve(profiles(["ann"], reasoning_model="gpt-4o", temperature=0.2), usage=memory)

    def call(settings):
        if (settings.reasoning_model, settings.temperature) == ("gpt-4o", 0.2):
            raise RuntimeError("no JSON")
        return "answered"

    with windsock.request():
        windsock.heal(Teacher.for_user("ann"), call)
    windsock.stop()
    (row,) = memory.rows
    assert {each["field"]: each["failed_value"] for each in row.healed} == {
        "reasoning_model": "gpt-4o",
        "temperature": 0.2,
    }


@pytest.mark.parametrize("live", [False, True])
def test_a_call_that_failed_on_every_rung_leaves_the_assigned_values_and_no_healed_field(serve, live):
    memory = MemorySink()
    base = {"teacher": object_flag({"base": {"reasoning_model": TYPO}}, "base")}
    serve(base if live else profiles(["ann"], reasoning_model=TYPO), usage=memory)
    with windsock.request(), pytest.raises(StatusError):
        windsock.heal(Teacher.live() if live else Teacher.for_user("ann"), Provider("none of them"))
    windsock.stop()
    (row,) = memory.rows
    assert (row.healed, row.values) == ([], {"reasoning_model": TYPO})
    assert (row.config_id is None) == live


@pytest.mark.parametrize("live", [False, True])
def test_a_later_attempt_that_answers_records_what_failed_in_the_earlier_ones(serve, live, caplog):
    memory = MemorySink()
    provider = Provider()
    base = {"teacher": object_flag({"base": {"reasoning_model": TYPO}}, "base")}
    serve(base if live else profiles(["ann"], reasoning_model=TYPO), usage=memory)
    with windsock.request():
        teacher = Teacher.live() if live else Teacher.for_user("ann")
        provider.down = True
        for _ in range(2):
            with pytest.raises(StatusError):
                windsock.heal(teacher, provider)
        provider.down = False
        for _ in range(2):
            assert windsock.heal(teacher, provider) == "gpt-4o-mini"
    windsock.stop()
    (row,) = memory.rows
    assert row.values == {"reasoning_model": "gpt-4o-mini"}
    (healed,) = row.healed
    assert (healed["failed_value"], healed["fell_to"]) == (TYPO, "default")
    assert "overloaded" in healed["error"]
    assert caplog.text.count("falling back to 'gpt-4o-mini' (default), answered") == 1


def test_the_log_has_the_hash_of_the_user_where_there_is_a_key(serve, caplog, monkeypatch):
    monkeypatch.setenv("WINDSOCK_USER_ID_KEY", "k")
    serve(profiles(["ann@example.org"], reasoning_model=TYPO))
    windsock.heal(Teacher.for_user("ann@example.org"), Provider())
    assert "ann@example.org" not in caplog.text
    assert "answered for user hmac:" in caplog.text
