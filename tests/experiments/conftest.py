"""The folder of flags that the made-up experiment is in."""

from pathlib import Path

import pytest

from tests.experiments.data import declare


@pytest.fixture
def flags(tmp_path) -> Path:
    """A folder with the experiment's document and its metrics."""
    return declare(tmp_path / "flagd")
