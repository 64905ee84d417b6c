"""The folder of flags that the made-up experiment is in."""

from pathlib import Path

import pytest

from tests.experiments.data import GOOD, METRICS


@pytest.fixture
def flags(tmp_path) -> Path:
    """A folder with the experiment's document and its metrics."""
    folder = tmp_path / "flagd"
    (folder / "experiments").mkdir(parents=True)
    (folder / "experiments" / "cheaper_model.yaml").write_text(GOOD)
    (folder / "metrics.yaml").write_text(METRICS)
    return folder
