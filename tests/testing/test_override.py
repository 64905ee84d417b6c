"""`windsock.testing.override`: forced values hold here and nowhere else, whatever serves."""

import asyncio
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import Reason
from pydantic import BaseModel, Field, SecretStr
from tests.flagd_server import FlagdServer, flagd_binary

import windsock
from windsock import testing
from windsock.errors import OverrideError
from windsock.settings.marks import Fixed
from windsock.usage import MemorySink, Spool, UsageWriter


class Limits(BaseModel):
    per_hour: int = Field(5, ge=1)
    per_day: int = 50


class Tutor(windsock.Settings, flag="tutor"):
    top_k: int = Field(10, ge=1, le=200)
    model: str = "small"
    limits: Limits = Limits()
    endpoint: Annotated[str, Fixed] = "https://one.test"
    key: SecretStr = SecretStr("code")


checkout = windsock.feature("checkout.v2", default=False)

DOCUMENT = {
    "flags": {
        "tutor": {
            "state": "ENABLED", "variants": {"all": {"top_k": 20, "model": "base"}}, "defaultVariant": "all",
        },
        "checkout.v2": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"},
        "palette": {"state": "ENABLED", "variants": {"light": "light", "dark": "dark"}, "defaultVariant": "light"},
        "limit": {"state": "ENABLED", "variants": {"low": 1, "high": 2}, "defaultVariant": "low"},
    },
}  # fmt: skip


@pytest.fixture(params=["nothing started", "files"])
def served(request, tmp_path: Path):
    """With flag files and without any."""
    if request.param == "files":
        (tmp_path / "a.flagd.json").write_text(json.dumps(DOCUMENT))
        windsock.start(flags=tmp_path, usage=None)
    yield request.param
    windsock.stop()


def test_fields_are_forced_inside_the_block_and_the_others_keep_their_values(served: str) -> None:
    before = Tutor.for_user("ada").top_k
    model = Tutor.for_user("ada").model
    with testing.override(Tutor, top_k=25):
        assert (Tutor.for_user("ada").top_k, Tutor.live().top_k, Tutor.for_user(None).top_k) == (25, 25, 25)
        assert Tutor.for_user("ada").model == model
        assert asyncio.run(Tutor.afor_user("ada")).top_k == 25
        assert windsock.explain(Tutor.for_user("ada"))["top_k"].variant == "override"
    assert (Tutor.for_user("ada").top_k, Tutor.live().top_k) == (before, before)


def test_nested_fields_merge_and_blocks_nest(served: str) -> None:
    with testing.override(Tutor, {"limits": {"per_hour": 7}}, model="outer"):
        assert (Tutor.live().limits.per_hour, Tutor.live().limits.per_day, Tutor.live().model) == (
            7,
            50,
            "outer",
        )
        with testing.override(Tutor, model="inner"):
            assert (Tutor.live().limits.per_hour, Tutor.live().model) == (7, "inner")
        assert Tutor.live().model == "outer"


def test_one_user_alone(served: str) -> None:
    with testing.override(Tutor.for_user("ada"), top_k=99):
        assert Tutor.for_user("ada").top_k == 99
        assert Tutor.for_user("bob").top_k != 99
        assert Tutor.live().top_k != 99


def test_fields_that_only_the_deployment_sets_can_be_forced_too(served: str) -> None:
    with testing.override(Tutor, endpoint="https://two.test", key="forced", top_k=3):
        settings = Tutor.live()
        assert (settings.endpoint, settings.key.get_secret_value(), settings.top_k) == (
            "https://two.test",
            "forced",
            3,
        )


def test_features_and_plain_clients_see_the_same(served: str) -> None:
    client = api.get_client()
    with testing.override({"checkout.v2": True}):
        assert checkout()
        assert checkout("ada")
        details = client.get_boolean_details("checkout.v2", False)
        assert (details.value, details.variant, details.reason) == (True, "override", Reason.STATIC)
        assert details.error_code is None
        assert asyncio.run(client.get_boolean_value_async("checkout.v2", False))
    assert not checkout("ada")
    assert not client.get_boolean_value("checkout.v2", False)


def test_it_survives_the_applications_own_start(tmp_path: Path) -> None:
    (tmp_path / "a.flagd.json").write_text(json.dumps(DOCUMENT))
    with testing.override(Tutor, top_k=25), testing.override({"checkout.v2": True}):
        for _ in range(2):
            windsock.start(flags=tmp_path, usage=None)
            assert (Tutor.for_user("ada").top_k, Tutor.for_user("ada").model, checkout("ada")) == (
                25,
                "base",
                True,
            )
        windsock.stop()
        assert (Tutor.for_user("ada").top_k, checkout("ada")) == (25, True)


def test_other_threads_and_tasks_never_see_it(served: str) -> None:
    seen: list[int] = []
    plain = Tutor.for_user("ada").top_k
    with testing.override(Tutor, top_k=25):
        thread = threading.Thread(target=lambda: seen.append(Tutor.for_user("ada").top_k))
        thread.start()
        thread.join()
    assert seen == [plain]

    async def forced(value: int) -> set[int]:
        with testing.override(Tutor, top_k=value):
            found = set()
            for _ in range(20):
                found.add(Tutor.for_user("ada").top_k)
                await asyncio.sleep(0)
            return found

    async def all_at_once() -> list[set[int]]:
        return await asyncio.gather(*(forced(value) for value in range(1, 51)))

    assert asyncio.run(all_at_once()) == [{value} for value in range(1, 51)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda value: asyncio.run(forced(value)), range(1, 101)))
    assert results == [{value} for value in range(1, 101)]
    assert Tutor.for_user("ada").top_k == plain


@pytest.mark.parametrize(
    ("target", "fields", "message"),
    [
        (Tutor, {"topk": 1}, r"Tutor has no field 'topk'; did you mean 'top_k'\?"),
        (Tutor, {"top_k": 0}, r"Tutor\.top_k cannot be 0: .*greater than or equal to 1"),
        (Tutor, {"top_k": True}, r"Tutor\.top_k cannot be True"),
        (Tutor, {"limits": {"per_hour": 0}}, r"Tutor\.limits\.per_hour cannot be 0"),
        (Tutor, {"limits": {"hourly": 1}}, r"Tutor\.limits\.hourly cannot be 1"),
        (
            {"checkout.v3": True},
            {},
            r"'checkout\.v3' is neither declared in imported code nor loaded; did you mean",
        ),
        ({"checkout.v2": "yes"}, {}, r"'checkout\.v2' cannot be 'yes': it is a boolean"),
    ],
)
def test_unused_flags_and_values_that_do_not_fit_raise(served: str, target, fields, message: str) -> None:
    with pytest.raises(OverrideError, match=message), testing.override(target, fields or {}):
        pytest.fail("the block must not run")
    assert not testing.overriding.active()


@pytest.mark.parametrize("target", [checkout, int, "checkout.v2"])
def test_another_target_than_a_settings_class_is_refused_with_the_form_for_flags(target) -> None:
    with (
        pytest.raises(OverrideError, match=r"isn't a settings class; .* with \{KEY: value\}"),
        testing.override(target, {"on": True}),
    ):
        pass


def test_values_beside_a_mapping_of_flags_are_refused() -> None:
    with (
        pytest.raises(OverrideError, match="takes no further"),
        testing.override({"checkout.v2": True}, top_k=3),
    ):
        pass


@pytest.mark.parametrize("target", [lambda: Tutor, lambda: Tutor.for_user("ada")], ids=["class", "user"])
def test_a_class_without_any_value_is_refused_and_an_empty_mapping_forces_nothing(
    served: str, target
) -> None:
    with (
        pytest.raises(OverrideError, match=r"no value for Tutor to force.*override\(Tutor, top_k=\.\.\.\)"),
        testing.override(target()),
    ):
        pytest.fail("the block must not run")
    before = Tutor.for_user("ada").top_k
    for empty in ({}, {Tutor: {}}):
        with testing.override(empty) if Tutor in empty else testing.override(target(), empty):
            assert Tutor.for_user("ada").top_k == before


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({Tutor: 3}, "3 has no field of Tutor: write {'"),
        ({checkout: True}, "isn't a flag's key: write {'checkout.v2': True}"),
        ({3: True}, "3 isn't a flag's key: write {'checkout': True}"),
        ({"tutor": {"top_k": 3}}, "; Tutor reads it: override Tutor, the class"),
    ],
    ids=["no fields", "a feature", "a number", "a class's flag"],
)
def test_a_mapping_that_is_almost_right_is_told_what_to_write(target, message: str) -> None:
    with pytest.raises(OverrideError, match=re.escape(message)), testing.override(target):
        pytest.fail("the block must not run")


def test_fields_that_are_no_mapping_are_refused() -> None:
    with (
        pytest.raises(OverrideError, match=r"\[1\] has no field of Tutor: write \{'"),
        testing.override(Tutor, [1]),  # type: ignore[arg-type]
    ):
        pytest.fail("the block must not run")


def test_an_ordinary_instance_is_refused() -> None:
    with (
        pytest.raises(OverrideError, match=r"Tutor\(…\) is an ordinary instance"),
        testing.override(Tutor(), top_k=1),
    ):
        pytest.fail("the block must not run")


def test_flags_that_only_a_file_has(tmp_path: Path) -> None:
    (tmp_path / "a.flagd.json").write_text(json.dumps(DOCUMENT))
    client = api.get_client()
    with windsock.start(flags=tmp_path, usage=None):
        with testing.override({"palette": "neon", "limit": 7}):
            assert (client.get_string_value("palette", ""), client.get_integer_value("limit", 0)) == (
                "neon",
                7,
            )
            assert client.get_boolean_value(
                "palette", True
            )  # of another type: the caller's default, as without us
        with (
            pytest.raises(OverrideError, match=r"'palette' cannot be 1: its variants are str"),
            testing.override({"palette": 1}),
        ):
            pytest.fail("the block must not run")


def test_an_environment_variable_that_would_win_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTOR_ENDPOINT", "https://env.test")
    windsock.reload()
    try:
        with (
            pytest.raises(OverrideError, match=r"Tutor\.endpoint is set by TUTOR_ENDPOINT"),
            testing.override(Tutor, endpoint="https://two.test"),
        ):
            pytest.fail("the block must not run")
    finally:
        monkeypatch.undo()
        windsock.reload()


def test_what_happens_under_it_is_marked_and_counts_in_no_experiment(tmp_path: Path) -> None:
    arms = {"state": "ENABLED", "variants": {"none": {}, "a": {"model": "arm"}}, "defaultVariant": "none",
            "targeting": {"if": [True, "a"]}}  # fmt: skip
    (tmp_path / "a.flagd.json").write_text(
        json.dumps({"flags": {**DOCUMENT["flags"], "tutor.experiment": arms}})
    )
    sink = MemorySink()
    writer = UsageWriter(sink, Spool(tmp_path / "spool"))
    with windsock.start(flags=tmp_path, usage=writer):
        with windsock.request(user_id="ada"):
            assert Tutor.for_user("ada").model == "arm"
        with testing.override(Tutor, top_k=25), windsock.request(user_id="ada"):
            assert Tutor.for_user("ada").top_k == 25
            assert Tutor.for_user("ada").model == "base"  # outside of the experiment
        writer.flush()
        real, forced = [row for row in sink.rows if row.flag == "tutor"][:2]
        assert (real.experiment, real.arm) == ("tutor.experiment", "a")
        assert (forced.variant, forced.experiment, forced.arm, forced.config_id) == (
            "override",
            None,
            None,
            None,
        )


def test_a_forced_feature_counts_in_no_experiment_either(tmp_path: Path) -> None:
    rule = {"if": [True, "on", "off"]}
    flag = {**DOCUMENT["flags"]["checkout.v2"], "targeting": rule, "metadata": {"experiment": "checkout"}}
    (tmp_path / "a.flagd.json").write_text(json.dumps({"flags": {"checkout.v2": flag}}))
    sink = MemorySink()
    writer = UsageWriter(sink, Spool(tmp_path / "spool"))
    with windsock.start(flags=tmp_path, usage=writer):
        with windsock.request(user_id="ada"):
            assert checkout("ada")
        with testing.override({"checkout.v2": True}), windsock.request(user_id="bob"):
            assert checkout("bob")
        writer.flush()
    found = [(row.user_id, row.variant, row.experiment, row.arm) for row in sink.rows]
    assert found == [("ada", "on", "checkout", "on"), ("bob", "override", None, None)]


def test_events_reported_under_it_say_so(tmp_path: Path) -> None:
    (tmp_path / "a.flagd.json").write_text(json.dumps(DOCUMENT))
    sink = MemorySink()
    writer = UsageWriter(sink, Spool(tmp_path / "spool"))
    with windsock.start(flags=tmp_path, usage=writer):

        def report(name: str) -> None:
            with windsock.request(user_id="ada") as request:
                request.track(f"{name} tracked", 1.0)
                request.score(f"{name} scored", 0.5)
            api.get_client().track(f"{name} by OpenFeature", EvaluationContext("ada"))

        report("real")
        with testing.override(Tutor, top_k=25):
            report("forced")
        report("real again")
        writer.flush()
    marked = {row.name for row in sink.events if json.loads(row.attributes_json).get("windsock.override")}
    assert marked == {"forced tracked", "forced scored", "forced by OpenFeature"}
    assert len(sink.events) == 9


def test_each_variant_lists_what_the_files_hold(tmp_path: Path) -> None:
    arms = {"state": "ENABLED", "variants": {"none": {}, "a": {"model": "arm"}}, "defaultVariant": "none"}
    (tmp_path / "a.flagd.json").write_text(
        json.dumps({"flags": {**DOCUMENT["flags"], "tutor.experiment": arms}})
    )
    variants = testing.each_variant(Tutor, tmp_path)
    assert variants == [
        ("code default", {}),
        ("tutor/all", {"top_k": 20, "model": "base"}),
        ("tutor.experiment/a", {"model": "arm"}),
    ]
    for _, values in variants:
        with testing.override(Tutor, values):
            assert {name: getattr(Tutor.live(), name) for name in values} == values


def test_hooks_of_the_application_stay_registered() -> None:
    from openfeature import hook
    from openfeature.hook import Hook

    class Own(Hook):
        pass

    own = Own()
    api.add_hooks([own])
    try:
        with testing.override(Tutor, top_k=1), testing.override(Tutor, top_k=2):
            assert hook.get_hooks()[1:] == [own]
        assert hook.get_hooks() == [own]
    finally:
        api.clear_hooks()


@pytest.mark.skipif(flagd_binary() is None, reason="needs the flagd server: set FLAGD_BIN")
def test_a_flagd_server_that_evaluates_is_overridden_too(tmp_path: Path, monkeypatch) -> None:
    with FlagdServer.serving(tmp_path, DOCUMENT) as server:
        monkeypatch.setenv("FLAGD_RESOLVER", "rpc")
        monkeypatch.setenv("FLAGD_PORT", str(server.rpc))
        with windsock.start(usage=None):
            client = api.get_client()
            assert (Tutor.for_user("ada").top_k, checkout("ada")) == (20, False)
            with testing.override(Tutor, top_k=7), testing.override({"checkout.v2": True}):
                assert (Tutor.for_user("ada").top_k, checkout("ada")) == (7, True)
                assert Tutor.for_user("ada").model == "base"
                assert client.get_boolean_value("checkout.v2", False) is True
            assert (Tutor.for_user("ada").top_k, checkout("ada")) == (20, False)
