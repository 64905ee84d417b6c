"""Flags from a folder: changes by content, last good values through every fault."""

import itertools
import json
import logging
import multiprocessing
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from openfeature import api
from openfeature.event import ProviderEvent
from openfeature.exception import ProviderNotReadyError
from openfeature.provider import ProviderStatus
from tests.flagfiles import write_flags, write_text
from tests.waiting import until
from watchfiles import watch

import windsock
from windsock.providers import FilesProvider


def flag(value: str) -> dict[str, object]:
    return {"state": "ENABLED", "variants": {"it": value}, "defaultVariant": "it"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "flagd"
    write_flags(folder / "a.flagd.json", {"colour": flag("red"), "size": flag("small")})
    return folder


@pytest.fixture
def provider(folder: Path) -> Iterator[FilesProvider]:
    provider = FilesProvider(folder, poll=0.2)
    api.set_provider_and_wait(provider)
    yield provider
    provider.shutdown()
    api.shutdown()


def test_start_reads_the_files_once(folder: Path) -> None:
    class Counted(FilesProvider):
        reloads = 0

        def reload(self) -> None:
            self.reloads += 1
            super().reload()

    provider = Counted(folder, poll=60)
    windsock.start(provider=provider)
    assert value() == "red"
    assert provider.reloads == 0
    windsock.reload()
    assert provider.reloads == 1
    windsock.stop()


def value(key: str = "colour") -> str:
    return api.get_client().get_string_value(key, "default")


def status() -> ProviderStatus:
    return api.get_client().get_provider_status()


def test_serves_what_the_files_say(provider: FilesProvider) -> None:
    assert (value(), value("size"), value("other")) == ("red", "small", "default")
    assert provider.serving.revision
    assert provider.serving.age < 60


def test_a_change_is_taken_and_told(provider: FilesProvider, folder: Path) -> None:
    told: list[list[str]] = []
    api.add_handler(
        ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda details: told.append(details.flags_changed)
    )
    write_flags(folder / "a.flagd.json", {"colour": flag("blue"), "size": flag("small")})
    assert until(lambda: value() == "blue")
    assert until(lambda: told == [["colour"]])


@pytest.mark.parametrize("age", [0, 3600])
def test_a_replacement_with_an_equal_or_older_mtime_is_taken(
    provider: FilesProvider, folder: Path, age: int
) -> None:
    path = folder / "a.flagd.json"
    before = path.stat()
    write_flags(folder / "new", {"colour": flag("blue")})
    os.utime(folder / "new", ns=(before.st_mtime_ns, before.st_mtime_ns - age * 10**9))
    (folder / "new").replace(path)
    assert until(lambda: value() == "blue")


def test_writing_in_place_with_the_mtime_set_back_is_taken(provider: FilesProvider, folder: Path) -> None:
    path = folder / "a.flagd.json"
    before = path.stat()
    path.write_text(path.read_text().replace('"red"', '"tan"'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert until(lambda: value() == "tan")


@pytest.mark.parametrize("broken", ["", "   ", '{"flags": {"colour"', "[]", "null", "not json"])
def test_an_unreadable_file_keeps_its_last_good_flags(
    provider: FilesProvider, folder: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_text(folder / "a.flagd.json", broken)
    assert until(lambda: status() is ProviderStatus.STALE)
    assert value() == "red"
    messages = [record.getMessage() for record in caplog.records if "a.flagd.json" in record.getMessage()]
    assert len(messages) == 1
    assert "last good flags keep serving" in messages[0]
    write_flags(folder / "a.flagd.json", {"colour": flag("green")})
    assert until(lambda: value() == "green")
    assert until(lambda: status() is ProviderStatus.READY)
    assert provider.serving.stale == ""


def test_a_deleted_file_keeps_serving_until_reload(
    provider: FilesProvider, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "a.flagd.json").unlink()
    assert until(lambda: status() is ProviderStatus.STALE)
    assert value() == "red"
    assert until(lambda: "the file is gone. Its last good flags keep serving" in caplog.text)
    provider.reload()
    assert value() == "default"
    assert status() is ProviderStatus.ERROR, "no set is loaded"


def test_a_deleted_folder_keeps_serving_and_may_come_back(provider: FilesProvider, folder: Path) -> None:
    shutil.rmtree(folder)
    assert until(lambda: status() is ProviderStatus.STALE)
    assert value() == "red"
    write_flags(folder / "a.flagd.json", {"colour": flag("green")})
    assert until(lambda: value() == "green")


@pytest.mark.slow
def test_the_status_is_error_when_every_file_is_gone_for_long(folder: Path) -> None:
    write_flags(folder / "b.flagd.json", {"shape": flag("round")})
    provider = FilesProvider(folder, poll=0.1, grace_period=0.5)
    api.set_provider_and_wait(provider)
    told: list[str | None] = []
    api.add_handler(ProviderEvent.PROVIDER_ERROR, lambda details: told.append(details.message))
    try:
        (folder / "a.flagd.json").unlink()
        assert until(lambda: status() is ProviderStatus.STALE)
        assert not until(lambda: status() is ProviderStatus.ERROR, 1.5), "another file is there"
        shutil.rmtree(folder)
        assert until(lambda: status() is ProviderStatus.ERROR)
        assert (value(), value("shape")) == ("red", "round")
        assert provider.ready()
        assert until(lambda: len(told) == 1 and "gone for 0.5 s" in str(told[0]))
        write_flags(folder / "a.flagd.json", {"colour": flag("green")})
        assert until(lambda: status() is ProviderStatus.STALE and value() == "green")
        write_flags(folder / "b.flagd.json", {"shape": flag("square")})
        assert until(lambda: status() is ProviderStatus.READY and value("shape") == "square")
    finally:
        provider.shutdown()
        api.shutdown()


def test_one_bad_flag_leaves_the_others(
    provider: FilesProvider, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = {"state": "ENABLED", "variants": "none at all", "defaultVariant": "it"}
    write_flags(folder / "a.flagd.json", {"colour": bad, "size": flag("large")})
    assert until(lambda: value("size") == "large")
    assert until(lambda: "a.flagd.json" in caplog.text)  # logged when it serves, not before
    assert until(lambda: "colour" in caplog.text)


def test_the_mirror_s_folder_is_part_of_the_set(provider: FilesProvider, folder: Path) -> None:
    write_flags(folder / "mirror" / "b.flagd.json", {"shape": flag("round")})
    assert until(lambda: value("shape") == "round")


def test_where_two_files_define_a_flag_the_last_by_path_wins(
    provider: FilesProvider, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_flags(folder / "z.flagd.json", {"colour": flag("blue")})
    assert until(lambda: value() == "blue")
    assert until(lambda: "a.flagd.json" in caplog.text)  # logged when it serves, not before
    assert until(lambda: "z.flagd.json" in caplog.text)


def test_other_files_are_left_alone(provider: FilesProvider, folder: Path) -> None:
    write_text(folder / "notes.json", "not flags at all")
    write_text(folder / "a.flagd.json.tmp", "half written")
    provider.refresh()
    assert status() is ProviderStatus.READY


def test_a_configmap_swap(tmp_path: Path) -> None:
    """Kubernetes mounts a link to a link to a folder and swaps the inner link."""
    folder = tmp_path / "mounted"
    for generation, colour in (("..1", "red"), ("..2", "blue")):
        write_flags(folder / generation / "a.flagd.json", {"colour": flag(colour)})
    (folder / "..data").symlink_to("..1")
    (folder / "a.flagd.json").symlink_to("..data/a.flagd.json")
    provider = FilesProvider(folder, poll=0.2)
    api.set_provider_and_wait(provider)
    try:
        assert value() == "red"
        (folder / "..new").symlink_to("..2")
        (folder / "..new").replace(folder / "..data")
        assert until(lambda: value() == "blue")
    finally:
        provider.shutdown()
        api.shutdown()


def test_a_folder_that_is_made_later(tmp_path: Path) -> None:
    provider = FilesProvider(tmp_path / "later", poll=0.1)
    with pytest.raises(ProviderNotReadyError, match="later: no flag files"):
        api.set_provider_and_wait(provider)
    try:
        assert value() == "default"
        write_flags(tmp_path / "later" / "a.flagd.json", {"colour": flag("red")})
        assert until(lambda: value() == "red")
    finally:
        provider.shutdown()
        api.shutdown()


def test_shutdown_joins_the_watcher(folder: Path) -> None:
    provider = FilesProvider(folder)
    provider.initialize(api.get_evaluation_context())
    provider.shutdown()
    provider.shutdown()
    assert not [thread for thread in threading.enumerate() if thread.name == "windsock-files"]


def test_its_watching_is_not_in_the_log_and_a_watcher_of_the_application_is(
    provider: FilesProvider, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_flags(folder / "a.flagd.json", {"colour": flag("blue")})
    assert until(lambda: value() == "blue")
    assert "detected" not in caplog.text
    changes = watch(tmp_path, rust_timeout=100, yield_on_timeout=True)
    next(changes)
    (tmp_path / "other").touch()
    assert any(seen for seen in itertools.islice(changes, 100))
    assert "detected" in caplog.text
    logging.getLogger("watchfiles.main").warning("two\nlines")
    assert caplog.messages[-1] == "two\nlines", "another library's records are as it wrote them"


def test_readers_never_see_a_half_set(provider: FilesProvider, folder: Path) -> None:
    """While the file is replaced again and again, both of its flags are of one generation or its neighbour."""
    stop = threading.Event()
    seen: list[tuple[str, str]] = []

    def read() -> None:
        while not stop.is_set():
            compiled = provider.compiled
            seen.append((compiled["colour"].evaluate({}).value, compiled["size"].evaluate({}).value))

    reader = threading.Thread(target=read)
    reader.start()
    for generation in range(40):
        write_flags(folder / "a.flagd.json", {"colour": flag(str(generation)), "size": flag(str(generation))})
        provider.refresh()
    stop.set()
    reader.join()
    assert {colour == size for colour, size in seen if colour.isdigit()} == {True}


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_a_forked_child_goes_on_following(provider: FilesProvider, folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready, answers = context.Event(), context.Queue()

    def child() -> None:
        answers.put(value())
        ready.set()
        answers.put(until(lambda: value() == "blue"))
        provider.shutdown()

    process = context.Process(target=child)
    process.start()
    assert answers.get(timeout=90) == "red"
    assert ready.wait(60)
    write_flags(folder / "a.flagd.json", {"colour": flag("blue")})
    assert answers.get(timeout=90) is True
    process.join(60)
    assert process.exitcode == 0


def test_a_large_set_is_served(tmp_path: Path) -> None:
    users = [f"user-{number}" for number in range(100_000)]
    rule = {"if": [{"in": [{"var": "targetingKey"}, users]}, "yes"]}
    big = {
        "state": "ENABLED",
        "variants": {"yes": True, "no": False},
        "defaultVariant": "no",
        "targeting": rule,
    }
    write_text(tmp_path / "big.flagd.json", json.dumps({"flags": {"big": big}}))
    provider = FilesProvider(tmp_path)
    provider.refresh()
    assert provider.compiled["big"].evaluate({"targetingKey": "user-99999"}).value is True
    assert provider.compiled["big"].evaluate({"targetingKey": "user-x"}).value is False


def test_yaml(provider: FilesProvider, folder: Path) -> None:
    write_text(
        folder / "b.flagd.yaml",
        "flags:\n  shape: {state: ENABLED, variants: {it: square}, defaultVariant: it}\n",
    )
    assert until(lambda: value("shape") == "square")
