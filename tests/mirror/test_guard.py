"""The guard against mass removal: over an hour, not over one publication."""

import pytest

from windsock.errors import GuardError
from windsock.mirror.guard import WINDOW_SECONDS, ShrinkGuard


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def guard(clock):
    guard = ShrinkGuard(0.2, clock)
    guard.published(1000)
    return guard


def test_a_fifth_may_go_and_not_one_more(guard):
    assert guard.allows(800)
    assert not guard.allows(799)
    with pytest.raises(GuardError, match=r"201 of 1,000 published .* 20% that an hour .*--allow-shrink"):
        guard.check(799, users=799, configurations=1)


def test_small_removals_add_up(guard, clock):
    for left in range(990, 790, -10):
        clock.now += 60
        assert guard.allows(left)
        guard.published(left)
    assert not guard.allows(790)


def test_what_is_longer_ago_than_an_hour_is_forgotten(guard, clock):
    for left in (900, 810, 729, 657, 592):
        clock.now += WINDOW_SECONDS * 1.1
        assert guard.allows(left)
        guard.published(left)


def test_waiting_without_publishing_does_not_open_the_way(guard, clock):
    clock.now += 10 * WINDOW_SECONDS
    assert not guard.allows(100)


def test_a_removal_after_a_quiet_time_counts_from_what_was_published_until_then(guard, clock):
    clock.now += 10 * WINDOW_SECONDS
    guard.published(810)
    assert not guard.allows(790)


def test_a_clock_that_was_ahead_for_a_while_lengthens_no_hour(guard, clock):
    clock.now += 1_000 * WINDOW_SECONDS
    guard.published(990)
    clock.now -= 1_000 * WINDOW_SECONDS
    guard.published(980)
    clock.now += WINDOW_SECONDS * 1.1
    guard.published(970)
    clock.now += WINDOW_SECONDS * 1.1
    guard.published(960)
    assert guard.before == 970


@pytest.mark.parametrize("growth", [0, 1])
def test_an_hour_of_steady_publications_is_an_hour(guard, clock, growth):
    for minute in range(60):
        guard.published(810 + minute * growth)
        assert guard.before == 1000
        clock.now += 60
    clock.now += 1
    guard.published(870)
    assert guard.before == 870


def test_users_who_come_and_go_are_not_a_loss(guard):
    for assigned in [1200, 1000, 1190, 980] * 10:
        assert guard.allows(assigned)
        guard.published(assigned)
    assert guard.before == 1200


def test_a_deactivated_configuration_is_forgiven(guard):
    guard.forgive(900)
    guard.published(100)
    assert guard.allows(80)
    assert not guard.allows(79)


def test_a_few_may_always_go():
    guard = ShrinkGuard(0.2)
    guard.published(12)
    assert guard.allows(2)
    assert not guard.allows(1)


@pytest.mark.parametrize(
    ("users", "configurations", "table"), [(0, 3, "profiles"), (9, 0, "app_configurations")]
)
def test_an_emptied_table_is_never_few(users, configurations, table):
    guard = ShrinkGuard(0.2)
    guard.published(2)
    with pytest.raises(GuardError, match=f"table {table} is empty"):
        guard.check(0, users, configurations)
    guard.reset()
    guard.check(0, users, configurations)


def test_a_deactivation_that_waits_to_be_published_is_forgiven_once(guard):
    for _ in range(100):
        assert not guard.allows(350, forgiven=50)
    assert guard.allows(760, forgiven=50)


def test_a_restart_continues_the_hour(guard, clock):
    guard.published(810)
    for _ in range(6):
        clock.now += 60
        restarted = ShrinkGuard(0.2, clock)
        restarted.restore(guard.peaks, 810)
        assert not restarted.allows(790)
        guard = restarted


def test_documents_that_cannot_be_read_do_not_lower_what_is_remembered(guard, clock):
    for _ in range(3):
        guard.restore(guard.peaks, 0)
        clock.now += 10 * WINDOW_SECONDS
    assert guard.before == 1000


def test_documents_raise_what_is_remembered(guard):
    guard.restore(guard.peaks, 1500)
    assert guard.before == 1500
