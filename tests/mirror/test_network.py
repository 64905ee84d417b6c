"""Poolers and proxies between the mirror and the database."""

import logging

import pytest
from tests.waiting import eventually

from windsock.errors import DatabaseUnfitError
from windsock.mirror import fitness
from windsock.mirror.queries import QUERIES


@pytest.fixture
def proxied(world, proxy):
    world.proxy = proxy
    return proxy.url(world.connection.info.dbname)


def test_over_tcp_everything_works(world, proxied):
    ann = world.user(world.seed)
    world.mirror(url=proxied).once()
    assert set(world.served()) == {ann}


def test_a_connection_that_drops_notifications_is_refused_at_the_start(world, proxied):
    world.proxy.drops_notifications = True
    with pytest.raises(DatabaseUnfitError, match=r"transaction pooler.*port 5432 instead of 6543"):
        world.mirror(url=proxied).once()


def test_notifications_lost_later_are_noticed_and_the_poll_serves_meanwhile(
    *, world, proxied, watching, messages, recovered
):
    ann = world.user()
    watching(world.mirror(url=proxied, poll_seconds=0.3, self_test_seconds=1.0))
    eventually(lambda: "teacher.profile" in world.flags())
    world.proxy.drops_notifications = True
    world.assign(ann, world.seed)
    eventually(lambda: ann in world.served())
    with world.serving():
        eventually(lambda: messages(logging.ERROR))
    world.proxy.drops_notifications = False
    world.assign(ann, None)
    recovered(world, "notifications are lost")


def test_the_server_looks_whether_the_mirrors_machine_is_there(world):
    """By default it does so after two hours, and the lead is held until then."""
    with world.mirror()._connected() as source:
        asked = source._connection.execute(
            "select name from pg_settings where name like 'tcp_keepalives%' and source = 'session'"
        ).fetchall()
    assert len(asked) == 3


def test_while_the_queue_of_notifications_is_full_the_poll_serves(*, world, watching, messages, monkeypatch):
    """Neither a running mirror nor one that starts waits for whoever fills it."""
    world.execute(
        "create function no_room(text) returns void language plpgsql as"
        " $$begin raise program_limit_exceeded using message = 'too many notifications in the NOTIFY queue'; end$$"
    )
    mirror = watching(world.mirror(poll_seconds=0.2, self_test_seconds=0.2))
    eventually(lambda: mirror.status.is_ready)
    with monkeypatch.context() as full:
        full.setattr(fitness, "QUERIES", {**QUERIES, "notify_self": b"select public.no_room(%(nonce)s)"})
        eventually(messages)
        ann = world.user(world.seed)
        eventually(lambda: ann in world.served())
        assert world.mirror(group="starts", folder=world.folder.parent / "starts").once().assigned == 1
        assert mirror.status.is_ready
    bob = world.user(world.seed)
    eventually(lambda: bob in world.served())
    assert len(messages()) == 1
    assert "queue of notifications is full" in messages()[0]


def test_a_wake_up_that_arrives_during_the_self_test_is_not_lost(world):
    with world.mirror()._connected() as source:
        world.assign(world.user(), world.seed)
        assert source.hears_itself()
        assert source.wait(0.5)
        assert source.wait(0.5), "before it sleeps it reads once more"
        assert not source.wait(0.1), "it wakes once"


def test_a_stalled_connection_is_broken_and_opened_again(*, world, proxied, watching, messages, recovered):
    world.user(world.seed)
    watching(world.mirror(url=proxied, answer_seconds=2.0))
    eventually(lambda: world.served() == world.assigned())
    with world.serving():
        world.proxy.stalls = True
        world.user(world.seed)
        eventually(lambda: messages(logging.ERROR))
    world.proxy.stalls = False
    recovered(world, "the connection to the database is lost")
