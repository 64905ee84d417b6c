"""The npm core as a fixture; where it is not installed the test is skipped with the reason."""

import logging
from collections.abc import Iterator

import pytest
from tests.evaluator.oracles import NpmCore, npm_core, npm_unavailable


@pytest.fixture(scope="module", autouse=True)
def silent_core() -> Iterator[None]:
    """flagd-core from PyPI would log each version that can't be compared, of thousands."""
    logger = logging.getLogger("openfeature.contrib")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


@pytest.fixture(scope="session")
def npm(tmp_path_factory) -> Iterator[NpmCore]:
    """flagd-core from npm."""
    reason = npm_unavailable()
    if reason is not None:
        pytest.skip(f"flagd-core from npm: {reason}")
    with npm_core() as core:
        yield core
