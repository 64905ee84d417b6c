"""`wait_for`: a process waits until it serves the version of a file that somebody has written."""

import hashlib
import json
import threading

import pytest
from openfeature import api
from openfeature.provider.in_memory_provider import InMemoryProvider

import windsock
from windsock.errors import ConfigurationError

WELL = 30.0  # seconds; a loaded machine has them


def document(variant):
    flag = {"state": "ENABLED", "variants": {"a": 1, "b": 2}, "defaultVariant": variant}
    return json.dumps({"flags": {"count": flag}}).encode()


def revision_of(data):
    return hashlib.sha256(data).hexdigest()[:12]


@pytest.fixture
def served(tmp_path):
    (tmp_path / "other.flagd.json").write_bytes(document("b").replace(b"count", b"other"))
    path = tmp_path / "count.flagd.json"
    path.write_bytes(document("a"))
    with windsock.start(flags=tmp_path, usage=False):
        yield path


def test_what_serves_is_not_waited_for(served):
    assert windsock.wait_for(revision_of(document("a")), timeout=0)
    assert windsock.wait_for(windsock.health().revision, timeout=0)


def test_a_write_ends_the_wait_for_it(served):
    new = document("b")
    waited = []
    waiter = threading.Thread(target=lambda: waited.append(windsock.wait_for(revision_of(new), WELL)))
    waiter.start()
    served.write_bytes(new)
    waiter.join()
    assert waited == [True]


def test_after_the_wait_the_change_counts(served):
    new = document("b")
    served.write_bytes(new)
    assert windsock.wait_for(revision_of(new), WELL)
    assert api.get_client().get_integer_value("count", 0) == 2


def test_a_version_that_was_replaced_meanwhile_has_been_served(served):
    served.write_bytes(document("b"))
    assert windsock.wait_for(revision_of(document("b")), WELL)
    served.write_bytes(document("a"))
    assert windsock.wait_for(revision_of(document("a")), WELL)
    assert windsock.wait_for(revision_of(document("b")), timeout=0)


def test_the_wait_for_what_is_never_written_ends_at_the_timeout(served):
    assert windsock.wait_for("0123456789ab", timeout=0.05) is False


def test_a_provider_without_files_has_nothing_to_wait_for():
    with (
        windsock.start(provider=InMemoryProvider({}), usage=False),
        pytest.raises(ConfigurationError, match=r"reads no flag files.*wait until the value itself is there"),
    ):
        windsock.wait_for("0123456789ab")
