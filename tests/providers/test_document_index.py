"""Documents with long lists, through an index that processes share: the same flags, whatever is on the disk."""

import json
import logging
import multiprocessing
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import pytest
from tests.waiting import until

from windsock import disk
from windsock.evaluator.text_index import IndexedTexts
from windsock.flags import Document, read_document
from windsock.private_folder import make_private
from windsock.providers import FilesProvider, document_index
from windsock.providers.document_index import read_indexed

COUNT = 12_000

spawn = multiprocessing.get_context("spawn")


def user(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-{number * 7919:012x}"


def document(value: int = 1, extra: tuple[str, ...] = ()) -> bytes:
    """Two profile flags with overlapping lists, a short list, and a flag without any."""
    users = [user(number) for number in range(COUNT)]
    chained = {
        "if": [
            {"in": [{"var": "targetingKey"}, [*users[:6_000], *extra]]}, "one",
            {"in": [{"var": "targetingKey"}, users[5_000:]]}, "two",
            {"in": [{"var": "targetingKey"}, ["few", "\x00\n", "7"]]}, "one",
            {"in": [{"var": "tier"}, ["pro", "max"]]}, "two",
        ]
    }  # fmt: skip
    single = {"if": [{"and": [{"in": [{"var": "targetingKey"}, users[:1_500]]}, {"var": "on"}]}, "one"]}
    variants = {"none": {}, "one": {"top_k": value}, "two": {"top_k": 2.0}}
    flags = {
        "chained": {"state": "ENABLED", "variants": variants, "defaultVariant": "none", "targeting": chained, "metadata": {"a": 1}},
        "single": {"state": "ENABLED", "variants": {"none": {}, "one": {"x": True}}, "defaultVariant": "none", "targeting": single},
        "plain": {"state": "ENABLED", "variants": {"it": "é"}, "defaultVariant": "it"},
    }  # fmt: skip
    return json.dumps({"metadata": {"owner": "tests"}, "flags": flags}, indent=1).encode()


CONTEXTS = [
    *({"targetingKey": user(number), "on": number % 2 == 0} for number in range(0, COUNT + 500, 487)),
    *(
        {"targetingKey": key}
        for key in ("few", "\x00\n", "\ud800", "7", "", "nobody", 7, 0, 8.5, None, ["few"])
    ),
    {"targetingKey": "nobody", "tier": "pro"},
    {},
]


def answers(provider: FilesProvider) -> list[object]:
    keys = ("chained", "single", "plain")
    return [provider.compiled[key].evaluate(context).value for key in keys for context in CONTEXTS]


def lists_of(read: Document) -> list[object]:
    return [clause["in"][1] for clause in read.flags["chained"].targeting["if"][::2]]  # type: ignore[index,call-overload]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WINDSOCK_FOLDER", str(tmp_path / "own"))
    (tmp_path / "flagd").mkdir()
    return tmp_path / "flagd"


@pytest.fixture
def path(folder: Path) -> Path:
    path = folder / "index.flagd.json"
    path.write_bytes(document())
    return path


@pytest.fixture
def expected(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the document says, read without an index."""
    return answers_of_sets(path, monkeypatch)


def answers_of_sets(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    with monkeypatch.context() as patch:
        patch.setattr("windsock.providers.files._INDEXED", 1 << 30)
        return served(path.parent)


def served(folder: Path) -> list[object]:
    provider = FilesProvider(folder)
    provider.refresh()
    return answers(provider)


def indexes() -> list[Path]:
    return sorted(Path(os.environ["WINDSOCK_FOLDER"]).glob("index/*"))


def test_a_large_document_is_the_same_through_its_index(path: Path, expected: list[object]) -> None:
    plain = read_document(path.read_bytes(), str(path))
    made, mapped = (read_indexed(path.read_bytes(), str(path), set()) for _ in range(2))
    for read in (made, mapped):
        assert (read.source, read.revision, read.metadata, read.problems) == (
            plain.source,
            plain.revision,
            plain.metadata,
            (),
        )
        assert list(read.flags) == list(plain.flags)
        for key, flag in read.flags.items():
            before = plain.flags[key]
            assert (flag.line, flag.source, flag.metadata) == (before.line, before.source, before.metadata)
            assert repr(flag.variants) == repr(before.variants)
        kinds = [type(each) for each in lists_of(read)]
        assert kinds == [IndexedTexts, IndexedTexts, IndexedTexts, list]
        assert [set(each) for each in lists_of(read)] == [set(each) for each in lists_of(plain)]  # type: ignore[call-overload]
    assert served(path.parent) == expected
    assert [each.suffix for each in indexes()] == [".index"]
    assert indexes()[0].stat().st_mode & 0o777 == 0o600
    assert indexes()[0].parent.stat().st_mode & 0o777 == 0o700


def test_an_index_is_made_once(path: Path, expected: list[object]) -> None:
    assert served(path.parent) == expected
    before = indexes()[0].stat()
    assert served(path.parent) == expected
    after = indexes()[0].stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def resealed(data: bytes) -> bytes:
    """With the right checksum, as another version of windsock might have written it."""
    return data[:8] + struct.pack("=I", crc32(data[12:])) + data[12:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:30],
        lambda data: data[: len(data) // 2],
        lambda data: data + b"x",
        lambda data: b"x" * len(data),
        lambda data: resealed(data.replace(b'"codes"', b'"kodes"')),
        lambda data: resealed(data.replace(b'"lists": [', b'"lists": 7')),
        *(
            lambda data, at=at: data[: int(len(data) * at)] + b"\x07" + data[int(len(data) * at) + 1 :]
            for at in (0.0, 0.00005, 0.0002, 0.001, 0.3, 0.7, 0.9999)
        ),
    ],
)
def test_a_damaged_index_is_made_again(
    path: Path, expected: list[object], damage: Callable[[bytes], bytes]
) -> None:
    served(path.parent)
    (index,) = indexes()
    whole = index.read_bytes()
    index.write_bytes(damage(whole))
    assert served(path.parent) == expected
    assert indexes()[0].read_bytes() == whole


def test_an_index_of_other_bytes_does_not_count(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served(path.parent)
    (index,) = indexes()
    of_first = index.read_bytes()
    path.write_bytes(document(value=5, extra=("newcomer",)))
    expected = answers_of_sets(path, monkeypatch)
    assert served(path.parent) == expected
    index.write_bytes(of_first)
    assert served(path.parent) == expected


@pytest.mark.parametrize("kind", ["open to others", "a link", "a file", "the index is a folder"])
def test_without_a_private_folder_the_lists_are_sets(
    path: Path, tmp_path: Path, expected: list[object], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    own = tmp_path / "own"
    if kind == "open to others":
        own.mkdir()
        own.chmod(0o777)
    elif kind == "a link":
        (tmp_path / "elsewhere").mkdir()
        own.symlink_to(tmp_path / "elsewhere")
    elif kind == "a file":
        own.write_text("")
    else:
        served(path.parent)
        (index,) = indexes()
        index.unlink()
        index.mkdir()
    provider = FilesProvider(path.parent)
    with caplog.at_level(logging.WARNING, "windsock.flags"):
        provider.refresh()
        path.write_bytes(document())
        provider.reload()
    assert answers(provider) == expected
    assert [record.getMessage().split(":")[1] for record in caplog.records] == [
        " no index for its lists, so this process has its own copy of them"
    ]
    assert not list((tmp_path / "elsewhere").glob("*"))


@pytest.mark.skipif(not disk.CAN_LOCK, reason="this system has no flock")
def test_a_process_that_holds_the_lock_for_ever_keeps_no_other_from_serving(
    path: Path, expected: list[object], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(document_index, "_PATIENCE", 0.05)
    make_private(path.parent.parent / "own" / "index")
    with disk.locked(path.parent.parent / "own" / "index"):
        assert served(path.parent) == expected
    assert "has held the lock" in caplog.text
    assert served(path.parent) == expected
    assert len(indexes()) == 1


def test_a_change_is_served_while_the_old_index_is_mapped(path: Path, expected: list[object]) -> None:
    provider = FilesProvider(path.parent)
    provider.refresh()
    before = provider.compiled
    arrived = {"targetingKey": "newcomer"}
    assert before["chained"].evaluate(arrived).value == {}
    path.write_bytes(document(value=3, extra=("newcomer",)))
    provider.refresh()
    assert provider.compiled["chained"].evaluate(arrived).value == {"top_k": 3}
    assert before["chained"].evaluate(arrived).value == {}
    assert before["chained"].evaluate({"targetingKey": user(1)}).value == {"top_k": 1}
    assert provider.compiled["single"] is before["single"], "this flag has not changed"
    assert len(indexes()) == 1


def test_processes_that_start_at_once_make_it_once(path: Path, expected: list[object]) -> None:
    with spawn.Pool(2) as pool:
        found = pool.map(served, [path.parent] * 4, chunksize=1)
    assert all(each == expected for each in found)
    assert [each.suffix for each in indexes()] == [".index"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_a_forked_worker_shares_the_map(path: Path, expected: list[object]) -> None:
    provider = FilesProvider(path.parent)
    provider.refresh()
    with multiprocessing.get_context("fork").Pool(1, _inherit, (provider,)) as pool:
        assert pool.apply(_inherited) == expected
    assert answers(provider) == expected


_here: list[FilesProvider] = []


def _inherit(provider: FilesProvider) -> None:
    _here.append(provider)


def _inherited() -> list[object]:
    return answers(_here[0])


def test_a_document_with_problems_is_read_as_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = json.loads(path.read_bytes())
    broken["flags"]["bad"] = {"variants": []}
    path.write_text(json.dumps(broken))
    expected = answers_of_sets(path, monkeypatch)
    assert served(path.parent) == expected
    assert not indexes()
    read = read_indexed(path.read_bytes(), str(path), set())
    assert [problem.flag for problem in read.problems] == ["bad"]


def test_lists_that_are_data_stay_lists(folder: Path) -> None:
    users = [user(number) for number in range(COUNT)]
    rule = {
        "if": [
            {"some": [users, {"==": [{"var": ""}, "x"]}]},
            "a",
            {"in": [{"cat": [{"var": "targetingKey"}]}, users]},
            "a",
        ]
    }
    data = json.dumps(
        {"flags": {"f": {"variants": {"a": 1, "b": 2}, "defaultVariant": "b", "targeting": rule}}}
    )
    read = read_indexed(data.encode(), str(folder / "data.flagd.json"), set())
    assert read.flags["f"].targeting == rule
    assert not indexes()


def test_the_index_of_a_document_that_is_gone_goes_with_the_next(path: Path, folder: Path) -> None:
    served(folder)
    (first,) = indexes()
    shutil.move(path, folder / "renamed.flagd.json")
    served(folder)
    (second,) = indexes()
    assert first != second


def test_the_watcher_serves_a_change_through_an_index(path: Path) -> None:
    provider = FilesProvider(path.parent, poll=0.2)
    provider.initialize(None)  # type: ignore[arg-type]
    try:
        disk.replace(path, document(value=9))
        until(lambda: provider.compiled["chained"].evaluate({"targetingKey": user(1)}).value == {"top_k": 9})
    finally:
        provider.shutdown()
