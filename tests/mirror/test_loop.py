"""The watching mirror: changes in milliseconds, one leader, and every fault waited out."""

import threading
import time
from types import SimpleNamespace

import pytest
from tests.waiting import eventually

from windsock.errors import ConfigurationError, DatabaseUnfitError
from windsock.mirror.options import MirrorOptions
from windsock.mirror.pace import Pace
from windsock.postgres.retention import forget


def test_a_change_is_published_because_the_trigger_woke_us(world, watching):
    ann = world.user()
    watching(world.mirror(poll_seconds=600))
    eventually(lambda: "teacher.profile" in world.flags())
    world.assign(ann, world.seed)
    eventually(lambda: ann in world.served())
    world.execute("update app_configurations set settings = settings || '{\"retrieval_top_k\": 40}'")
    eventually(lambda: world.served()[ann]["retrieval_top_k"] == 40)
    world.execute("update app_configurations set is_active = false")
    eventually(lambda: world.served() == {})
    world.execute("update app_configurations set is_active = true")
    eventually(lambda: ann in world.served())
    world.execute("delete from profiles")
    eventually(lambda: world.served() == {})


@pytest.mark.parametrize("url", ["mysql://user:secret@host/db", "postgresql://user:p%zz@host/db", "host"])
def test_a_url_that_no_attempt_can_read_is_refused_at_once(world, url):
    with pytest.raises(ConfigurationError, match="the database's URL can't be read") as refused:
        world.mirror(url=url)
    assert "secret" not in str(refused.value)


def test_without_a_change_log_the_poll_finds_changes_and_says_so(world, watching, messages):
    world.execute("drop schema windsock cascade")
    ann = world.user()
    watching(world.mirror(poll_seconds=0.1))
    eventually(lambda: "teacher.profile" in world.flags())
    world.assign(ann, world.seed)
    eventually(lambda: ann in world.served())
    assert any("the change log cannot be read" in message for message in messages())


def test_without_a_change_log_the_documents_are_as_old_as_the_last_reading(world, watching, monkeypatch):
    """Large tables are read with a rest; what isn't read is not known to be right."""
    monkeypatch.setattr(
        Pace, "full_done", lambda self, _: vars(self).update(_full_at=time.monotonic(), _full_took=9.0)
    )
    world.execute("drop schema windsock cascade")
    mirror = watching(world.mirror(poll_seconds=0.01))
    eventually(lambda: mirror.status.is_ready)
    eventually(lambda: mirror.status.age > 1)


def test_without_a_change_log_no_rest_is_longer_than_half_a_minute(world):
    pace = Pace(MirrorOptions(url=world.url, folder=world.folder, flags=("teacher",)))
    pace.full_done(time.monotonic() - 100)
    source = SimpleNamespace(has_log=False)
    assert not pace.full_is_due(source)
    pace._full_at -= 31
    assert pace.full_is_due(source)


def test_a_disabled_trigger_counts_as_no_change_log(world, watching, messages):
    world.execute("alter table profiles disable trigger user")
    ann = world.user(world.seed)
    watching(world.mirror(poll_seconds=0.1))
    eventually(lambda: ann in world.served())
    assert any("the change log cannot be read" in message for message in messages())


def test_a_lost_wake_up_is_caught_by_the_poll(world, watching):
    """A row in the log whose NOTIFY nobody heard, as after a proxy dropped it."""
    ann = world.user()
    watching(world.mirror(poll_seconds=0.2))
    eventually(lambda: "teacher.profile" in world.flags())
    world.execute("alter table profiles disable trigger user")
    world.assign(ann, world.seed)
    world.execute(
        "insert into windsock.assignment_history (user_id, config_id) values (%s, %s)", ann, world.seed
    )
    eventually(lambda: ann in world.served())


def test_who_is_forgotten_leaves_the_documents_though_their_history_is_gone(world, watching):
    ann = world.user(world.seed)
    watching(world.mirror(poll_seconds=0.2, audit_seconds=3600))
    eventually(lambda: ann in world.served())
    forget(world.connection, [ann])
    assert world.execute("select count(*) from windsock.assignment_history") == [(0,)]
    eventually(lambda: ann not in world.served())


@pytest.mark.parametrize(
    "change", ["update profiles set config_id = null where id = %s", "delete from profiles where id = %s"]
)
def test_who_is_forgotten_before_the_mirror_read_their_last_change_leaves_too(world, watching, change):
    ann, bob = world.user(world.seed), world.user(world.seed)
    watching(world.mirror(poll_seconds=0.2, audit_seconds=3600))
    eventually(lambda: ann in world.served())
    with world.connection.transaction():
        world.execute(change, ann)
        forget(world.connection, [ann])
    eventually(lambda: set(world.served()) == {bob})


def test_the_log_is_cut_behind_everybody(world):
    world.execute("truncate windsock.change_log")
    world.execute("update app_configurations set settings = '{}'")
    with world.mirror()._connected() as source:
        source.cut_log(3600)
        assert world.execute("select count(*) from windsock.change_log") == [(1,)]
        source.cut_log(0)
    assert world.execute("select count(*) from windsock.change_log") == [(0,)]
    assert world.execute("select xid > '0' from windsock.change_log_cut") == [(True,)]


def test_a_log_that_grew_without_a_mirror_is_cut_in_pieces(world):
    """One statement over all of it could take longer than the database may take to answer."""
    for rows in (12_000, 12_000):
        world.execute(
            "insert into windsock.change_log (changed_table, row_id) "
            "select 'profiles', n::text from generate_series(1, %s) n",
            rows,
        )
    newest = world.execute("select xid::text from windsock.change_log order by xid desc limit 1")
    with world.mirror()._connected() as source:
        source.cut_log(0)
        assert world.execute("select count(*) from windsock.change_log") == [(4_000,)]
        assert world.execute("select distinct xid::text from windsock.change_log") == newest
        source.cut_log(0)
    assert world.execute("select count(*) from windsock.change_log") == [(0,)]
    assert world.execute("select xid::text from windsock.change_log_cut") == newest


def test_more_changes_than_are_followed_singly_are_read_as_a_whole(world, watching):
    watching(world.mirror())
    eventually(lambda: "teacher.profile" in world.flags())
    world.execute(
        "insert into profiles (id, config_id) select gen_random_uuid(), %s from generate_series(1, 12000)",
        world.seed,
    )
    eventually(lambda: len(world.served()) == 12_000)


@pytest.mark.parametrize(("rows", "whole"), [(10_000, 0), (10_001, 1)])
def test_a_statement_over_more_users_than_are_followed_singly_is_logged_as_any_row(world, rows, whole):
    def any_rows():
        found = world.execute("select count(*) from windsock.change_log where row_id is null")[0][0]
        world.execute("truncate windsock.change_log")
        return found

    world.execute(
        "insert into profiles (id, config_id) select gen_random_uuid(), %s from generate_series(1, %s)",
        world.seed,
        rows,
    )
    assert any_rows() == whole
    for config in (None, world.seed):
        world.execute("update profiles set config_id = %s", config)
        assert any_rows() == whole
    world.execute("delete from profiles")
    assert any_rows() == whole


@pytest.mark.slow
def test_many_small_removals_stop_at_the_guard_too(world, watching, messages):
    users = [world.user(world.seed) for _ in range(100)]
    watching(world.mirror())
    eventually(lambda: len(world.served()) == 100)
    for left in range(95, 45, -5):
        world.execute(
            "update profiles set config_id = null where id = any(%s::uuid[])", users[left : left + 5]
        )
        time.sleep(0.1)
    eventually(lambda: any("that an hour may remove" in message for message in messages()))
    time.sleep(0.5)
    assert len(world.served()) >= 80
    world.execute("update profiles set config_id = %s", world.seed)
    eventually(lambda: len(world.served()) == 100)


def test_a_changed_or_deleted_document_is_rewritten(world, watching):
    ann = world.user(world.seed)
    watching(world.mirror(poll_seconds=0.1))
    eventually(lambda: ann in world.served())
    (world.folder / "profiles.flagd.json").write_text('{"flags":{}}')
    eventually(lambda: ann in world.served())
    (world.folder / "profiles.flagd.json").unlink()
    eventually(lambda: ann in world.served())


def test_mirrors_of_two_groups_each_write_their_folder(world, watching, tmp_path):
    ann = world.user(world.seed)
    watching(world.mirror())
    watching(world.mirror(group="other", folder=tmp_path / "other"))
    eventually(lambda: ann in world.served())
    eventually((tmp_path / "other" / "profiles.flagd.json").exists)


def test_a_read_only_server_is_refused(world):
    world.execute(f"alter database {world.connection.info.dbname} set default_transaction_read_only = on")
    with pytest.raises(Exception, match="read-only"):
        world.mirror().once()


def test_an_unfit_database_ends_the_first_start(world):
    world.execute("drop table app_configurations cascade")
    with pytest.raises(DatabaseUnfitError, match="app_configurations"):
        world.mirror().watch(threading.Event())
