"""Base values of a flag in the table that SQL reads."""

import json

import pytest


@pytest.fixture
def git(tmp_path):
    folder = tmp_path / "flagd"
    folder.mkdir()

    def write(values, staging=None):
        flag = {
            "state": "ENABLED",
            "variants": {"base": values, "staging": staging or values},
            "defaultVariant": "base",
            "targeting": {"if": [{"==": [{"var": "environment"}, "staging"]}, "staging"]},
        }
        (folder / "ads.flagd.json").write_text(json.dumps({"flags": {"ads": flag}}))
        return folder

    return write


def rows(world):
    return dict(world.execute("select key, value from learning_config where revision is not null"))


def test_base_values_arrive_follow_the_file_and_leave_other_rows_alone(world, git, watching, eventually):
    world.execute("insert into learning_config (key, value) values ('theirs', '1')")
    winner = {"ctr_threshold": 0.03, "min_impressions": 1000}
    folder = git({"winner_detection": winner, "enabled": True})
    watching(world.mirror(learning_config="ads", git_folder=folder, poll_seconds=30))
    eventually(lambda: rows(world) == {"winner_detection": winner, "enabled": True})
    git({"winner_detection": winner | {"ctr_threshold": 0.04}})
    eventually(lambda: rows(world) == {"winner_detection": winner | {"ctr_threshold": 0.04}}, seconds=5)
    assert world.execute("select value from learning_config where key = 'theirs'") == [(1,)]


def test_the_environment_decides_and_verify_compares(world, git):
    folder = git({"k": 1}, staging={"k": 2})
    options = {"learning_config": "ads", "git_folder": folder, "environment": "staging"}
    world.mirror(**options).once()
    assert rows(world) == {"k": 2}
    assert world.mirror(**options).differences() == ()
    world.execute("update learning_config set value = '3'")
    (difference,) = world.mirror(**options).differences()
    assert difference.startswith("learning_config, key k: differs from")


@pytest.mark.parametrize(
    "content", ["{", '{"flags": {}}', '{"flags": {"ads": {"state": "DISABLED", "variants": {}}}}']
)
def test_a_file_that_cannot_be_used_keeps_the_rows_and_says_so(world, git, messages, content):
    folder = git({"k": 1})
    world.mirror(learning_config="ads", git_folder=folder).once()
    (folder / "ads.flagd.json").write_text(content)
    world.mirror(learning_config="ads", git_folder=folder).once()
    assert rows(world) == {"k": 1}
    assert any("ads" in message for message in messages())


def test_a_missing_table_is_named_and_profiles_are_published_all_the_same(
    world, git, watching, eventually, messages
):
    world.execute("drop table learning_config")
    ann = world.user(world.seed)
    watching(world.mirror(learning_config="ads", git_folder=git({"k": 1}), poll_seconds=0.2))
    eventually(lambda: ann in world.served())
    eventually(lambda: any("learning_config" in message and "migrate" in message for message in messages()))
