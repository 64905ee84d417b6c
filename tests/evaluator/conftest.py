"""The oracles as fixtures; what is not installed here is skipped with its reason."""

from collections.abc import Iterator

import pytest
from tests.evaluator.flagd_server import flagd_binary
from tests.evaluator.oracles import NpmCore, npm_core, npm_unavailable


@pytest.fixture(scope="session")
def npm(tmp_path_factory) -> Iterator[NpmCore]:
    """flagd-core from npm."""
    reason = npm_unavailable()
    if reason is not None:
        pytest.skip(f"flagd-core from npm: {reason}")
    with npm_core() as core:
        yield core


@pytest.fixture(scope="session")
def flagd() -> str:
    """The path of a flagd server."""
    binary = flagd_binary()
    if binary is None:
        pytest.skip("no flagd server: set FLAGD_BIN to its path")
    return binary
