"""A folder of flag files in which something is what it should not be: the other files serve."""

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openfeature import api
from openfeature.exception import ProviderNotReadyError
from openfeature.provider import ProviderStatus
from tests.flagfiles import write_flags
from tests.waiting import until

from windsock.flags import read_document, reading
from windsock.flags.reading import MAX_BYTES
from windsock.providers import FilesProvider, files


def flag(value: str) -> dict[str, object]:
    return {"state": "ENABLED", "variants": {"it": value}, "defaultVariant": "it"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "flagd"
    write_flags(folder / "a.flagd.json", {"colour": flag("red")})
    return folder


@pytest.fixture
def provider(folder: Path) -> Iterator[FilesProvider]:
    provider = FilesProvider(folder, poll=0.1)
    yield provider
    provider.shutdown()
    api.shutdown()


def value(key: str = "colour") -> str:
    return api.get_client().get_string_value(key, "default")


def status() -> ProviderStatus:
    return api.get_client().get_provider_status()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path)


def nowhere(path: Path) -> None:
    path.symlink_to("nothing")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (Path.mkdir, "Is a directory"),
        (pipe, "not a file"),
        (device, "not a file"),
        (loop, "symbolic links"),
        (nowhere, "the file is gone"),
    ],
)
def test_what_is_not_a_file_is_named_until_it_is_removed(
    provider: FilesProvider, folder: Path, make: Callable[[Path], None], says: str
) -> None:
    odd = folder / "x.flagd.json"
    make(odd)
    starting = threading.Thread(target=api.set_provider_and_wait, args=(provider,), daemon=True)
    starting.start()
    starting.join(30)
    assert not starting.is_alive(), "nothing of it is opened: a pipe may never be written to"
    assert value() == "red"
    assert until(lambda: status() is ProviderStatus.STALE)
    assert str(odd) in provider.serving.stale
    assert says in provider.serving.stale
    odd.unlink() if odd.is_symlink() or odd.is_fifo() else odd.rmdir()
    assert until(lambda: status() is ProviderStatus.READY and provider.serving.stale == "")


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 2**42])
def test_of_a_huge_file_no_more_is_read_than_a_document_may_have(
    provider: FilesProvider, folder: Path, size: int
) -> None:
    api.set_provider_and_wait(provider)
    with (folder / "a.flagd.json").open("r+b") as file:
        file.truncate(size)
    assert until(lambda: f"more than {MAX_BYTES} bytes" in provider.serving.stale, 60)
    assert (value(), status()) == ("red", ProviderStatus.STALE)


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("deep"), KeyError("k")])
def test_a_mistake_of_ours_in_one_file_is_told_and_the_others_serve(
    provider: FilesProvider, folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def read(data: bytes, source: str) -> object:
        if b"fails" in data:
            raise error
        return read_document(data, source)

    monkeypatch.setattr(reading, "read_document", read)
    write_flags(folder / "b.flagd.json", {"size": flag("small")})
    api.set_provider_and_wait(provider)
    write_flags(folder / "a.flagd.json", {"colour": flag("fails")})
    write_flags(folder / "b.flagd.json", {"size": flag("large")})
    assert until(lambda: value("size") == "large")
    assert until(lambda: status() is ProviderStatus.STALE)
    assert (value(), repr(error) in provider.serving.stale) == ("red", True)
    write_flags(folder / "a.flagd.json", {"colour": flag("blue")})
    assert until(lambda: value() == "blue" and status() is ProviderStatus.READY)
    assert provider.serving.stale == ""


@pytest.mark.parametrize("step", ["_list", "merge"])
def test_a_mistake_of_ours_between_files_and_flags_is_told(
    provider: FilesProvider,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    def fail(*_: object) -> object:
        raise KeyError(step)

    api.set_provider_and_wait(provider)
    with monkeypatch.context() as patched:
        patched.setattr(files, step, fail)
        write_flags(folder / "a.flagd.json", {"colour": flag("blue")})
        assert until(lambda: status() is ProviderStatus.STALE)
        assert (value(), step in provider.serving.stale) == ("red", True)
        provider.reload()
        assert step in provider.serving.stale
    assert until(lambda: value() == "blue" and status() is ProviderStatus.READY)
    told = [each for each in caplog.records if "could not be refreshed" in each.message]
    assert told
    assert not any(each.exc_info for each in told), "no traceback at each poll"


def test_a_mistake_of_ours_at_the_start_is_told_and_tried_again(
    provider: FilesProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> object:
        raise KeyError("mistake")

    with monkeypatch.context() as patched:
        patched.setattr(files, "merge", fail)
        with pytest.raises(ProviderNotReadyError, match="mistake"):
            api.set_provider_and_wait(provider)
    assert until(lambda: value() == "red" and status() is ProviderStatus.READY)


def test_a_file_that_never_could_be_read_is_forgotten_when_it_is_removed(
    provider: FilesProvider, folder: Path
) -> None:
    broken = folder / "b.flagd.json"
    broken.write_text("{")
    api.set_provider_and_wait(provider)
    assert until(lambda: status() is ProviderStatus.STALE)
    broken.unlink()
    assert until(lambda: status() is ProviderStatus.READY)


def test_a_file_that_becomes_a_folder_and_a_file_again(provider: FilesProvider, folder: Path) -> None:
    api.set_provider_and_wait(provider)
    path = folder / "a.flagd.json"
    path.unlink()
    path.mkdir()
    assert until(lambda: "Is a directory" in provider.serving.stale)
    assert value() == "red"
    path.rmdir()
    write_flags(path, {"colour": flag("blue")})
    assert until(lambda: value() == "blue" and status() is ProviderStatus.READY)


def test_a_folder_that_becomes_a_file_and_a_folder_again(provider: FilesProvider, folder: Path) -> None:
    api.set_provider_and_wait(provider)
    shutil.rmtree(folder)
    write_flags(folder, {"size": flag("small")})
    assert until(lambda: value("size") == "small")
    assert value() == "red"
    folder.unlink()
    write_flags(folder / "a.flagd.json", {"colour": flag("green")})
    assert until(lambda: value() == "green")
    provider.reload()
    assert (value("size"), status()) == ("default", ProviderStatus.READY)


def test_a_mirror_folder_that_leads_to_its_parent_ends(provider: FilesProvider, folder: Path) -> None:
    (folder / "mirror").symlink_to(folder)
    api.set_provider_and_wait(provider)
    assert value() == "red"


def test_reloads_while_files_are_replaced_never_lose_a_flag(provider: FilesProvider, folder: Path) -> None:
    api.set_provider_and_wait(provider)
    stop, wrong = threading.Event(), []

    def reload() -> None:
        while not stop.is_set():
            provider.reload()
            if value() == "default":
                wrong.append(provider.serving)

    threads = [threading.Thread(target=reload) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(60):
        write_flags(folder / "a.flagd.json", {"colour": flag(f"v{number}")})
    assert until(lambda: value() == "v59")
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_thousand_files(provider: FilesProvider, folder: Path) -> None:
    for number in range(1000):
        write_flags(folder / f"{number:04}.flagd.json", {f"f{number}": flag("old")})
    api.set_provider_and_wait(provider)
    assert [value(f"f{number}") for number in (0, 500, 999)] == ["old"] * 3
    write_flags(folder / "0500.flagd.json", {"f500": flag("new")})
    assert until(lambda: value("f500") == "new")
    assert value("f999") == "old"


def test_times_from_any_clock_are_taken(provider: FilesProvider, folder: Path) -> None:
    api.set_provider_and_wait(provider)
    for number, moment in enumerate((0, 2**33)):
        write_flags(folder / "a.flagd.json", {"colour": flag(f"v{number}")})
        os.utime(folder / "a.flagd.json", (moment, moment))
        assert until(lambda number=number: value() == f"v{number}")
    assert status() is ProviderStatus.READY


def test_of_files_with_one_flag_the_path_that_sorts_last_by_its_parts_wins(
    provider: FilesProvider, folder: Path
) -> None:
    for name in ("mirror/z.flagd.json", "mirror-y.flagd.json", "mirror.flagd.json"):
        write_flags(folder / name, {"colour": flag(name)})
    api.set_provider_and_wait(provider)
    assert value() == "mirror.flagd.json"  # "mirror" < "mirror-y.flagd.json" < "mirror.flagd.json"
