import contextlib

import pytest

from tests.processor import at_most


def spin() -> None:
    """Catch what is raised, as the evaluator does with what a rule raises."""
    with contextlib.suppress(Exception):
        while True:
            pass


@pytest.mark.slow
def test_a_block_that_takes_longer_fails_even_if_it_catches_the_error():
    with pytest.raises(AssertionError, match=r"more than 0\.05 s of a processor"), at_most(0.05):
        spin()


def test_a_block_within_its_limit_passes():
    with at_most(60):
        sum(range(1_000))
