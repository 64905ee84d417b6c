"""Documents with long lists, through an index that processes share: the same flags, whatever is on the disk."""

import json
import logging
import multiprocessing
import os
import shutil
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from zlib import crc32

import pytest
from tests.waiting import until

from windsock import disk
from windsock.disk import make_private
from windsock.evaluator.text_index import IndexedTexts
from windsock.flags import Document, read_document
from windsock.private_folder import MADE_HERE
from windsock.providers import FilesProvider, document_index, files
from windsock.providers.document_index import read_indexed
from windsock.providers.index_stamp import Signature

COUNT = 24_000

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
    made, mapped = (read_indexed(path.read_bytes(), str(path), set(), Event()) for _ in range(2))
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
    assert indexes()[0].stat().st_mode & 0o777 == MADE_HERE
    assert indexes()[0].parent.stat().st_mode & 0o777 == 0o700


def test_an_index_is_made_once(path: Path, expected: list[object]) -> None:
    assert served(path.parent) == expected
    before = indexes()[0].stat()
    assert served(path.parent) == expected
    after = indexes()[0].stat()
    assert after.st_ino == before.st_ino


def resealed(data: bytes) -> bytes:
    """With the right checksum, as another version of windsock might have written it."""
    return data[:24] + struct.pack("=I", crc32(data[28:])) + data[28:]


def without_stamp(data: bytes) -> bytes:
    return data[:8] + data[24:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:30],
        lambda data: data[: len(data) // 2],
        lambda data: data + b"x",
        lambda data: b"x" * len(data),
        lambda data: resealed(data.replace(b'"codes"', b'"kodes"')),
        lambda data: resealed(data.replace(b'"places":[', b'"places":7')),
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
    assert without_stamp(indexes()[0].read_bytes()) == without_stamp(whole)


def settled(path: Path) -> Signature:
    """The signature of a file, once it has one."""
    until(lambda: files._signature(path.stat()) is not None)
    signature = files._signature(path.stat())
    assert signature is not None
    return signature


def test_a_start_reads_no_file_that_has_a_stamped_index(
    path: Path, expected: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(path)
    served(path.parent)
    monkeypatch.setattr(files, "_read", lambda path: pytest.fail(f"{path} was read"))
    assert served(path.parent) == expected


def test_an_index_of_a_file_that_was_just_written_is_stamped_at_the_next_look(path: Path) -> None:
    signature = settled(path)
    read_indexed(path.read_bytes(), str(path), set(), Event())
    assert document_index.mapped(str(path), signature) is None
    document_index.confirm(path.read_bytes() + b" ", str(path), signature)
    assert document_index.mapped(str(path), signature) is None, "it was made from other bytes"
    provider = FilesProvider(path.parent)
    path.write_bytes(document(value=4))
    provider.refresh()
    signature = settled(path)
    provider.refresh()
    assert document_index.mapped(str(path), signature) is not None


def test_an_index_that_is_not_on_the_disk_gets_no_stamp(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signature = settled(path)

    def refuse(_: int) -> None:
        raise OSError("the disk refuses")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        read = read_indexed(path.read_bytes(), str(path), set(), Event(), signature)
    assert isinstance(lists_of(read)[0], IndexedTexts)
    assert document_index.mapped(str(path), signature) is None
    document_index.confirm(path.read_bytes(), str(path), signature)
    assert document_index.mapped(str(path), signature) is not None
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("it has its stamp, so it is on the disk"))
    document_index.confirm(path.read_bytes(), str(path), signature)


def test_a_few_small_documents_need_no_index(folder: Path) -> None:
    rule = {"if": [{"in": [{"var": "targetingKey"}, [user(number) for number in range(8_000)]]}, "one"]}
    flag = {"state": "ENABLED", "variants": {"one": 1}, "targeting": rule}
    paths = [folder / f"{number}.flagd.json" for number in range(4)]
    for count, path in enumerate(paths, 1):
        path.write_text(json.dumps({"flags": {path.stem[0]: flag}}))
        assert 256 * 1024 < path.stat().st_size < 1024 * 1024 // 3
        provider = FilesProvider(folder)
        provider.refresh()
        assert provider.compiled[str(count - 1)].evaluate({"targetingKey": user(1)}).value == 1
        assert len(indexes()) == (0 if count < 4 else 4)


@pytest.mark.parametrize("how", ["in place", "replaced"])
def test_a_stamp_does_not_outlive_a_write_to_the_index(path: Path, expected: list[object], how: str) -> None:
    signature = settled(path)
    served(path.parent)
    (index,) = indexes()
    whole = index.read_bytes()
    middle = len(whole) // 2
    damaged = whole[:middle] + b"\x07" + whole[middle + 1 :]
    if how == "in place":
        index.write_bytes(damaged)
    else:
        disk.replace(index, damaged, private=True)
    assert document_index.mapped(str(path), signature) is None
    assert served(path.parent) == expected
    assert indexes()[0].read_bytes()[28:] == whole[28:]


def test_a_stamp_is_not_for_another_file_of_the_same_size_and_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(path)
    served(path.parent)
    before = path.stat()
    disk.replace(path, document(value=6))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    settled(path)
    assert served(path.parent) == answers_of_sets(path, monkeypatch)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write every file")
@pytest.mark.parametrize("stage", ["stamped", "not stamped"])
def test_an_index_that_cannot_be_written_is_read_all_the_same(
    path: Path, expected: list[object], stage: str
) -> None:
    if stage == "stamped":
        settled(path)
    served(path.parent)
    (index,) = indexes()
    index.chmod(0o400)
    index.parent.chmod(0o500)
    try:
        settled(path)
        assert served(path.parent) == expected
    finally:
        index.parent.chmod(0o700)


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
    assert indexes()[0].stat().st_size < 1_000, "it only says that there is none"
    assert served(path.parent) == expected
    read = read_indexed(path.read_bytes(), str(path), set(), Event())
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
    (folder / "data.flagd.json").write_text(data)
    read = read_indexed(data.encode(), str(folder / "data.flagd.json"), set(), Event())
    assert read.flags["f"].targeting == rule
    assert indexes()[0].stat().st_size < 1_000, "it only says that there is none"


def days_ago(path: Path, days: float = 2.0) -> None:
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


@pytest.mark.parametrize("described", [None, b"[]", b'{"source":null}', b'{"source":7}'])
def test_the_index_of_a_document_that_is_gone_goes_with_the_next(
    path: Path, folder: Path, described: bytes | None
) -> None:
    served(folder)
    (first,) = indexes()
    if described is not None:
        first.write_bytes(other_version(first.read_bytes(), described))
    (first.parent / f".{first.name}.abc.tmp").write_bytes(b"cut")
    for left in indexes():
        days_ago(left)
    shutil.move(path, folder / "renamed.flagd.json")
    served(folder)
    assert (first in indexes()) == (described is not None)
    assert len(indexes()) == 1 + (described is not None)


def other_version(data: bytes, described: bytes) -> bytes:
    """An index of the same bytes that says something else about its document."""
    magic, stamp, _, digest, *_ = struct.unpack("=8s16sI32sQQQ", data[:84])
    begun = struct.pack("=8s16sI32sQQQ", magic, stamp, 0, digest, 0, 0, 84 + len(described))
    return resealed(begun + described)


def test_old_indexes_are_looked_into_once_a_day(path: Path, folder: Path) -> None:
    served(folder)
    (first,) = indexes()
    days_ago(first)
    data = document()
    (folder / "second.flagd.json").write_bytes(data)
    read_indexed(data, str(folder / "second.flagd.json"), set(), Event())
    assert time.time() - first.stat().st_atime < 80_000


def test_an_index_that_was_used_today_stays(path: Path, folder: Path) -> None:
    served(folder)
    (first,) = indexes()
    days_ago(first)
    served(folder)
    shutil.move(path, folder / "renamed.flagd.json")
    served(folder)
    assert first in indexes(), "a container that sees another folder may use it"
    assert len(indexes()) == 2


def test_the_watcher_serves_a_change_through_an_index(path: Path) -> None:
    provider = FilesProvider(path.parent, poll=0.2)
    provider.initialize(None)  # type: ignore[arg-type]
    try:
        disk.replace(path, document(value=9))
        until(lambda: provider.compiled["chained"].evaluate({"targetingKey": user(1)}).value == {"top_k": 9})
    finally:
        provider.shutdown()


def waiting(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Set once a thread has found the lock taken."""
    found, lock = Event(), disk.lock

    def noticed(descriptor: int, *, wait: bool = True) -> bool:
        got = lock(descriptor, wait=wait)
        if not got:
            found.set()
        return got

    monkeypatch.setattr(disk, "lock", noticed)
    return found


needs_locks = pytest.mark.skipif(not disk.CAN_LOCK, reason="this system has no flock")


def locked_folder() -> Path:
    folder = Path(os.environ["WINDSOCK_FOLDER"]) / "index"
    make_private(folder)
    return folder


@needs_locks
def test_an_index_that_appears_ends_the_waiting(
    path: Path, expected: list[object], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served(path.parent)
    (index,) = indexes()
    made = index.read_bytes()
    index.unlink()
    waits = waiting(monkeypatch)
    with disk.locked(locked_folder()), ThreadPoolExecutor(1) as other:
        answer = other.submit(served, path.parent)
        assert waits.wait(60)
        disk.replace(index, made, private=True)
        assert answer.result(60) == expected
    assert not caplog.records


@needs_locks
@pytest.mark.parametrize("kind", ["a problem", "no long list"])
def test_a_document_without_an_index_is_read_while_another_process_holds_the_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    changed = json.loads(path.read_bytes())
    if kind == "a problem":
        changed["flags"]["bad"] = {"variants": []}
    else:
        changed["flags"] = {"plain": changed["flags"]["plain"]}
    data = json.dumps(changed).encode()
    path.write_bytes(data)
    first = read_indexed(data, str(path), set(), Event())
    with disk.locked(locked_folder()):
        assert read_indexed(data, str(path), set(), Event()) == first
    assert not caplog.records


@needs_locks
def test_older_bytes_do_not_replace_a_newer_index(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older, waits = path.read_bytes(), waiting(monkeypatch)
    with ThreadPoolExecutor(1) as other:
        with disk.locked(locked_folder()):
            late = other.submit(read_indexed, older, str(path), set(), Event())
            assert waits.wait(60)
            path.write_bytes(document(value=5))
        assert late.result(60).flags["chained"].variants["one"] == {"top_k": 1}
    served(path.parent)
    (index,) = indexes()
    newer = index.read_bytes()
    assert read_indexed(older, str(path), set(), Event()).flags["chained"].variants["one"] == {"top_k": 1}
    assert index.read_bytes() == newer


@needs_locks
def test_a_stop_ends_the_waiting(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    provider = FilesProvider(path.parent, poll=0.2)
    provider.initialize(None)  # type: ignore[arg-type]
    waits = waiting(monkeypatch)
    try:
        with disk.locked(locked_folder()):
            disk.replace(path, document(value=9))
            assert waits.wait(60)
            provider.shutdown()
            assert provider.compiled["chained"].evaluate({"targetingKey": user(1)}).value == {"top_k": 1}
        provider.refresh()
        assert provider.compiled["chained"].evaluate({"targetingKey": user(1)}).value == {"top_k": 9}
    finally:
        provider.shutdown()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@needs_locks
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
@pytest.mark.slow
def test_a_child_that_was_forked_meanwhile_does_not_keep_the_lock(path: Path) -> None:
    folder, end = locked_folder(), multiprocessing.get_context("fork").Event()
    with disk.locked(folder):
        child = multiprocessing.get_context("fork").Process(target=end.wait)
        child.start()
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        assert disk.lock(descriptor, wait=False)
        os.close(descriptor)
    finally:
        end.set()
        child.join()


def test_a_folder_in_the_place_of_the_index_costs_no_descriptor(path: Path) -> None:
    served(path.parent)
    (index,) = indexes()
    index.unlink()
    index.mkdir()
    before = next_descriptor()
    for _ in range(5):
        read_indexed(path.read_bytes(), str(path), {"known"}, Event())
    assert next_descriptor() == before


def next_descriptor() -> int:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


def with_evaluators(uses: int, rule: object, **shared: object) -> bytes:
    body = {"variants": {"a": 1, "b": 2}, "defaultVariant": "b", "targeting": rule}
    return json.dumps({"$evaluators": shared, "flags": {f"f{n}": body for n in range(uses)}}).encode()


def test_flags_that_share_a_list_share_it_in_the_index(path: Path) -> None:
    rule = {"if": [{"$ref": "cohort"}, "a"]}
    data = with_evaluators(
        99, rule, cohort={"in": [{"var": "targetingKey"}, [user(n) for n in range(1_000)]]}
    )
    path.write_bytes(data)
    read = read_indexed(data, str(path), set(), Event())
    lists = {id(flag.targeting["if"][0]["in"][1]) for flag in read.flags.values()}  # type: ignore[index,call-overload]
    assert len(lists) == 1
    assert len(indexes()) == 1
    assert indexes()[0].stat().st_size < 2 * len(data)


def test_data_that_flags_share_is_not_written_for_each(path: Path) -> None:
    listed = {"in": [{"var": "targetingKey"}, [user(number) for number in range(1_000)]]}
    shared = {"if": [listed, "a", {"some": [["data"] * 900, {"==": [{"var": ""}, "x"]}]}, "a"]}
    data = with_evaluators(99, {"$ref": "shared"}, shared=shared)
    path.write_bytes(data)
    read = read_indexed(data, str(path), set(), Event())
    assert read.flags["f98"].targeting == shared
    assert indexes()[0].stat().st_size < 1_000, "it only says that there is none"
