"""Fixtures for usage logging: records to write, and a spool folder of the test's own."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from windsock.usage import Measured, Pending, Spool, Use


@pytest.fixture
def make_pending():
    """Build a record as the request path leaves it."""

    def make(measured: Measured | None = None, **use):
        facts = {
            "flag": "teacher",
            "variant": "none",
            "config_id": None,
            "revision": "0123456789ab",
            "reason": "DEFAULT",
            "environment": "test",
            "user_id": "u1",
            "values": {"retrieval_top_k": 10},
        }
        return Pending(uuid4(), datetime.now(UTC), Use(**facts | use), measured or Measured())

    return make


@pytest.fixture
def spool(tmp_path) -> Spool:
    """A spool in a folder that does not exist yet."""
    return Spool(tmp_path / "spool")
