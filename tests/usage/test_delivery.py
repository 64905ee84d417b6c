"""The order in which the delivery thread serves fresh batches and those that wait on disk."""

import pytest
from tests.usage.test_writer import BlockedSink
from tests.waiting import eventually

from windsock.usage.delivery import Delivery
from windsock.usage.making_rows import clean


@pytest.fixture
def rows(make_pending):
    """Five rows."""
    return [clean(make_pending()) for _ in range(5)]


@pytest.fixture
def sink():
    """A sink that is in a write until it is let go."""
    sink = BlockedSink()
    yield sink
    sink.open.set()


def test_a_fresh_batch_does_not_wait_for_a_whole_replay(rows, sink, spool):
    *left, fresh = rows
    spool.append(left)
    delivery = Delivery(sink, spool, batch_size=1)
    delivery.start()
    assert sink.entered.wait(60), "nothing was replayed"
    delivery.deliver([fresh], lambda: 0.0)  # doesn't wait for its answer
    sink.open.set()
    eventually(lambda: delivery.replayed == len(left))
    delivery.stop(60)
    assert sink.rows == [left[0], fresh, *left[1:]]
