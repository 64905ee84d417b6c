"""Configurations that are renamed, deactivated, deleted and broken while a mirror watches them."""

import logging

import pytest
from tests.waiting import eventually


@pytest.fixture
def served_world(world, watching):
    """Ann has the configuration that the test spoils, and Bob another one."""
    world.spoiled = world.configuration("spoiled", {"retrieval_top_k": 5})
    world.ann, world.bob = world.user(world.spoiled), world.user(world.seed)
    world.watching = watching(world.mirror(poll_seconds=60))
    eventually(lambda: set(world.served()) == {world.ann, world.bob})
    return world


def spoil(world, change):
    world.execute(f"update app_configurations set {change} where id = %s", world.spoiled)


def test_a_renamed_configuration_keeps_its_users(served_world, recovered):
    with served_world.serving():
        spoil(served_world, "name = 'renamed'")
        name = f"config.{served_world.spoiled}"
        eventually(lambda: served_world.flags()["teacher.profile"]["metadata"][name] == "renamed")
    recovered(served_world, None)


def test_a_deactivated_configuration_gives_its_users_the_defaults(served_world, recovered):
    """It is meant, so it is no alarm: deactivating is how a bad configuration is stopped."""
    spoil(served_world, "is_active = false")
    eventually(lambda: set(served_world.served()) == {served_world.bob})
    recovered(served_world, None)
    spoil(served_world, "is_active = true")
    eventually(lambda: set(served_world.served()) == {served_world.ann, served_world.bob})
    recovered(served_world, None)


def test_a_deleted_configuration_gives_its_users_the_defaults(served_world, recovered):
    """PostgreSQL lets go of it when nobody has it any more."""
    with served_world.connection.transaction():
        served_world.execute(
            "update profiles set config_id = null where config_id = %s", served_world.spoiled
        )
        served_world.execute("delete from app_configurations where id = %s", served_world.spoiled)
    recovered(served_world, None)
    assert set(served_world.served()) == {served_world.bob}


@pytest.mark.parametrize("broken", ["[]", '{"retrieval_top_k": 1e400}', '{"a": {"$ref": "x"}}'])
def test_broken_settings_are_one_alarm_and_the_last_good_ones_serve(
    served_world, messages, recovered, broken
):
    with served_world.serving():
        spoil(served_world, f"settings = '{broken}'")
        eventually(messages)
        spoil(served_world, "description = 'still broken'")
        served_world.execute("notify windsock")
    carol = served_world.user(served_world.seed)
    eventually(lambda: carol in served_world.served())
    (alarm,) = messages(logging.ERROR)
    assert alarm.startswith(f"app_configurations {served_world.spoiled} (spoiled): settings")
    assert alarm.endswith("its last good settings stay published")
    assert served_world.watching.status.is_ready, "the others are served on"
    spoil(served_world, """settings = '{"retrieval_top_k": 6}'""")
    eventually(lambda: served_world.served() == served_world.assigned())
    assert len(messages(logging.ERROR)) == 1
    assert any("(spoiled) is valid again" in message for message in messages(logging.INFO))
