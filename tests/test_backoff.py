"""Doubling pauses."""

from windsock.backoff import Backoff


def test_each_pause_is_twice_the_one_before_up_to_the_longest() -> None:
    backoff = Backoff(first=1.0, longest=30.0)
    assert [backoff.pause(failures) for failures in range(8)] == [0, 1, 2, 4, 8, 16, 30, 30]
    assert backoff.pause(10_000) == 30


def test_jitter_shortens_a_pause_by_at_most_its_share() -> None:
    backoff = Backoff(first=8.0, longest=8.0, jitter=0.5)
    pauses = {backoff.pause(1) for _ in range(1000)}
    assert len(pauses) > 900
    assert 4.0 <= min(pauses) < 4.5
    assert 7.5 < max(pauses) <= 8.0
