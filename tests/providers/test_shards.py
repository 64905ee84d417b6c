"""Profiles over several files: callers ask for one flag."""

import json
from collections import ChainMap
from collections.abc import Iterator
from pathlib import Path

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from tests.flagd_server import FlagdServer
from tests.flagfiles import object_flag, profile_flag, write_flags
from tests.waiting import until

import windsock
from windsock.flag_names import shard_of
from windsock.providers import FilesProvider

CONFIG = "3f0c2f5e-3a53-4a3f-9d6c-0b6f6f6d0001"
USERS = [f"user-{number}" for number in range(60)]
SHARDS = 4


class Teacher(windsock.Settings, flag="teacher"):
    top_k: int = 10


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "flagd"
    for number in range(SHARDS):
        assigned = {user: CONFIG for user in USERS[:30] if shard_of(user, SHARDS) == number}
        flags = {f"teacher.profile.{number}": profile_flag({CONFIG: {"top_k": 25}}, assigned)}
        if number == 0:
            flags["teacher.profile.shards"] = object_flag({"shards": SHARDS}, "shards")
        write_flags(folder / "mirror" / f"profiles.{number:02}.flagd.json", flags)
    yield folder
    windsock.stop()
    api.shutdown()


def test_every_user_is_found_in_their_shard(folder: Path) -> None:
    windsock.start(flags=folder)
    assert {user for user in USERS if Teacher.for_user(user).top_k == 25} == set(USERS[:30])
    assert Teacher.for_user(None).top_k == 10
    assert windsock.explain(Teacher.for_user(USERS[0]))["top_k"].config_id == CONFIG


def test_a_plain_openfeature_call_asks_for_the_one_flag(folder: Path) -> None:
    windsock.start(flags=folder)
    client = api.get_client()
    for user in USERS:
        details = client.get_object_details("teacher.profile", {}, EvaluationContext(user))
        assert details.value == ({"top_k": 25} if user in USERS[:30] else {})
        assert details.error_code is None


def test_the_same_profile_in_several_shards_is_validated_once(folder: Path) -> None:
    windsock.start(flags=folder)
    resolutions = {id(Teacher.__windsock__.resolve(user, {}).resolution) for user in USERS[:30]}
    assert len(resolutions) == 1


def test_a_set_with_a_missing_shard_serves_no_profile(folder: Path) -> None:
    (folder / "mirror" / "profiles.02.flagd.json").unlink()
    provider = FilesProvider(folder)
    provider.refresh()
    assert "teacher.profile" not in provider.compiled


@pytest.mark.flagd
def test_a_flagd_that_evaluates_is_asked_for_the_user_s_shard(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FlagdServer(*sorted((folder / "mirror").iterdir())) as flagd:
        monkeypatch.setenv("FLAGD_RESOLVER", "rpc")
        monkeypatch.setenv("FLAGD_PORT", str(flagd.rpc))
        windsock.start()
        assert {user for user in USERS if Teacher.for_user(user).top_k == 25} == set(USERS[:30])
        assert Teacher.for_user(None).top_k == 10
        details = api.get_client().get_object_details("teacher.profile", {}, EvaluationContext(USERS[0]))
        assert (details.value, details.variant) == ({"top_k": 25}, CONFIG)


@pytest.mark.flagd
def test_a_flagd_that_gets_shards_later_is_asked_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = folder / "whole.flagd.json"
    write_flags(
        whole, {"teacher.profile": profile_flag({CONFIG: {"top_k": 30}}, dict.fromkeys(USERS, CONFIG))}
    )
    with FlagdServer(whole) as flagd:
        monkeypatch.setenv("FLAGD_RESOLVER", "rpc")
        monkeypatch.setenv("FLAGD_PORT", str(flagd.rpc))
        windsock.start()
        assert {Teacher.for_user(user).top_k for user in USERS} == {30}
        shards = [json.loads(path.read_text())["flags"] for path in (folder / "mirror").iterdir()]
        write_flags(whole, dict(ChainMap(*shards)))
        assert until(
            lambda: {user for user in USERS if Teacher.for_user(user).top_k == 25} == set(USERS[:30])
        )


# Published in docs/mirror.md for other languages: sha256 of the UTF-8 key, the first eight hex digits, modulo S.
@pytest.mark.parametrize(
    ("key", "shards", "shard"), [("user-1", 100, 52), ("naïve-漢", 100, 91), ("", 100, 10)]
)
def test_vectors(key: str, shards: int, shard: int) -> None:
    assert shard_of(key, shards) == shard
