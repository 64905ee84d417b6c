"""The containers by themselves: what they read through the mount, and that none of them stays behind."""

import json
import os
import re

import docker
import psycopg
import pytest
from tests.waiting import eventually

pytestmark = [pytest.mark.containers, pytest.mark.xdist_group("containers")]


def document(value: str) -> bytes:
    flag = {"state": "ENABLED", "variants": {"only": value}, "defaultVariant": "only"}
    return json.dumps({"flags": {"greeting": flag}}).encode()


def test_flagd_serves_a_file_that_is_renamed_over_in_the_mounted_folder(start_flagd, tmp_path):
    (tmp_path / "a.flagd.json").write_bytes(document("old"))
    with start_flagd(tmp_path, ["a.flagd.json"], "greeting") as flagd:
        assert flagd.evaluate("greeting", "u1").json()["value"] == "old"
        (tmp_path / "a.tmp").write_bytes(document("new"))
        os.replace(tmp_path / "a.tmp", tmp_path / "a.flagd.json")  # noqa: PTH105 - the call under test
        eventually(lambda: flagd.evaluate("greeting", "u1").json()["value"] == "new")


def test_a_later_source_wins_over_an_earlier_one(start_flagd, tmp_path):
    (tmp_path / "a.flagd.json").write_bytes(document("weaker"))
    (tmp_path / "b.flagd.json").write_bytes(document("stronger"))
    with start_flagd(tmp_path, ["a.flagd.json", "b.flagd.json"], "greeting") as flagd:
        assert flagd.evaluate("greeting", "u1").json()["value"] == "stronger"


def test_containers_are_removed_when_the_test_inside_fails(start_flagd, engine, tmp_path):
    (tmp_path / "a.flagd.json").write_bytes(document("old"))
    started = []

    def fail_inside() -> None:
        with start_flagd(tmp_path, ["a.flagd.json"], "greeting") as flagd:
            started.append(flagd.container.get_container_id())
            assert engine.containers.get(started[0]).status == "running"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    with pytest.raises(docker.errors.NotFound):
        engine.containers.get(started[0])


def test_postgres_answers_and_is_the_major_version_that_the_compose_file_names(postgres_url, compose):
    with psycopg.connect(postgres_url) as connection:
        [major] = connection.execute("select current_setting('server_version_num')::int / 10000").fetchone()
    named = re.search(r":-postgres:(\d+)\.\d+}$", compose["services"]["postgres"]["image"])
    assert named is not None
    assert major == int(named[1])
