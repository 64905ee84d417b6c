"""Poolers and proxies between the mirror and the database."""

import pytest
from proxy import Proxy

from windsock.errors import DatabaseUnfitError


@pytest.fixture
def proxy(postgres):
    proxy = Proxy(postgres.folder)
    yield proxy
    proxy.close()


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
    world, proxied, watching, eventually, messages
):
    ann = world.user()
    watching(world.mirror(url=proxied, poll_seconds=0.3, self_test_seconds=1.0))
    eventually(lambda: "teacher.profile" in world.flags())
    world.proxy.drops_notifications = True
    world.assign(ann, world.seed)
    eventually(lambda: ann in world.served())
    eventually(lambda: any("notifications are lost" in message for message in messages()))
    world.proxy.drops_notifications = False
    world.assign(ann, None)
    eventually(lambda: world.served() == {}, seconds=40)


def test_a_stalled_connection_is_broken_and_opened_again(world, proxied, watching, eventually, messages):
    ann, bob = world.user(world.seed), world.user()
    watching(world.mirror(url=proxied, answer_seconds=2.0))
    eventually(lambda: ann in world.served())
    world.proxy.stalls = True
    world.assign(bob, world.seed)
    eventually(lambda: bool(messages()), seconds=20)
    assert set(world.served()) == {ann}, "the last good file serves meanwhile"
    world.proxy.stalls = False
    eventually(lambda: set(world.served()) == {ann, bob}, seconds=40)
