"""An index of lists answers as the lists do, whatever the texts."""

import json
from array import array
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windsock.evaluator import CompiledFlag
from windsock.evaluator.membership import Choices, Membership
from windsock.evaluator.text_index import IndexedTexts, TextIndex, build, first_of
from windsock.flags import Flag, read_document
from windsock.flags.words import condition_in_words
from windsock.provenance.rule import trace

HOSTILE = [
    "",
    "a",
    "ab",
    "\x00",
    "\xff",
    "\xfe\x00",
    "ÿa",
    "\ud800",
    "\udcff\udcfe",
    "é",
    "e\u0301",
    "😀",
    "1",
    "1.0",
    "0x1p4",
]
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(), max_size=6))
LISTS = st.lists(st.lists(TEXTS, max_size=30), min_size=1, max_size=5)


def indexed(lists: list[list[str]], start: int = 7) -> list[IndexedTexts]:
    tables = build(lists, start)
    assert tables is not None
    content = b"x" * start + tables.bounds + tables.records
    bounds = array("I", tables.bounds)
    index = TextIndex(content, bounds, tables.codes)
    return [IndexedTexts(index, number, len(texts), str(texts)) for number, texts in enumerate(lists)]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LISTS, st.lists(TEXTS, max_size=30))
def test_an_indexed_list_has_the_texts_of_the_list(lists: list[list[str]], others: list[str]) -> None:
    asked = [*others, *HOSTILE, *(text for texts in lists for text in texts)]
    for texts, made in zip(lists, indexed(lists), strict=True):
        assert [text in made for text in asked] == [text in set(texts) for text in asked]
        assert sorted(made) == sorted(set(texts))
        assert len(made) == len(texts)
        assert len(list(made)) == len(set(texts))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LISTS, st.lists(TEXTS, max_size=20))
def test_a_look_up_in_several_lists_finds_the_first(lists: list[list[str]], others: list[str]) -> None:
    made = indexed(lists)
    chosen = made[::2]
    found = first_of([(texts, number) for number, texts in enumerate(chosen)])
    for text in [*others, *(text for texts in lists for text in texts)]:
        expected = next((number for number, texts in enumerate(lists[::2]) if text in texts), -1)
        assert found(text, -1) == expected


RULES = [
    lambda ids: {"if": [{"in": [{"var": "targetingKey"}, ids[0]]}, "a"]},
    lambda ids: {"if": [{"in": [{"var": "targetingKey"}, ids[0]]}, "a", {"in": [{"var": "targetingKey"}, ids[1]]}, "b", "c"]},
    lambda ids: {"if": [{"in": [{"var": "targetingKey"}, ids[1]]}, {"if": [{"var": "x"}, "a", "b"]}, {"==": [{"var": "targetingKey"}, "z"]}, "b",
                        {"in": [{"var": "targetingKey"}, ids[0]]}, "a"]},
    lambda ids: {"if": [{"and": [{"in": [{"var": "targetingKey"}, ids[0]]}, {"!": [{"in": [{"var": "targetingKey"}, ids[1]]}]}]}, "a", "b"]},
    lambda ids: {"if": [{"or": [{"in": [{"var": "targetingKey"}, ids[1]]}, {"in": [{"var": "x"}, ids[0]]}]}, "a"]},
]  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.lists(st.sampled_from(["1", "1.0", "0x1p0", "2", "02", "x", "7"]), max_size=5),
        min_size=1,
        max_size=4,
    )
)
def test_a_number_finds_the_first_list_with_a_text_that_parses_to_it(lists: list[list[str]]) -> None:
    plain, through = (
        Choices([(Membership("x", texts, reads_numbers=True), n) for n, texts in enumerate(each)], -1)
        for each in (lists, indexed(lists))
    )
    assert [through.other(number) for number in (0, 1, 2.0, 7, 8)] == [
        plain.other(number) for number in (0, 1, 2.0, 7, 8)
    ]


def test_a_number_reads_the_index_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = [[str(number) for number in range(first, first + 100)] for first in range(0, 1_000, 100)]
    made = indexed(lists)
    choices = Choices([(Membership("x", texts, reads_numbers=True), n) for n, texts in enumerate(made)], -1)
    passes, texts = [], TextIndex.texts
    monkeypatch.setattr(TextIndex, "texts", lambda *each: passes.append(1) or texts(*each))  # type: ignore[func-returns-value]
    assert [choices.other(number) for number in (0, 100, 950, 1_000)] == [0, 1, 9, -1]
    assert len(passes) == 1


def test_the_marks_of_many_lists_are_found_at_once() -> None:
    codes = [(), *((number,) for number in range(16_000))]
    index = TextIndex(b"", [0, 0], codes)
    assert all(len(index.marks(number)) == 1 for number in range(16_000))
    assert index.marks(16_000) == frozenset()


@pytest.mark.parametrize("rule", RULES[:2])
def test_a_served_rule_is_explained(rule: object) -> None:
    lists = [[f"u{number}" for number in range(10)], ["u2"]]
    flag = Flag("f", True, {"a": 1, "b": 2, "c": 3}, "c", rule(indexed(lists)), {})  # type: ignore[operator]
    steps = trace(flag, {"targetingKey": "u2"}, 0)
    assert steps[0].text.startswith('targetingKey is one of "u')
    assert steps[0].text.endswith("and 5 more")
    assert steps[0].found == 'true  (targetingKey = "u2")'


def test_a_served_condition_that_has_no_words_is_shown_as_json() -> None:
    (texts,) = indexed([["u1"]])
    plain, served = ({"and": [{"in": [{"var": "targetingKey"}, each]}]} for each in (["u1"], texts))
    assert condition_in_words(served) == condition_in_words(plain)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_gives_the_same_with_an_index(rule: object) -> None:
    lists = [["u1", "u2", "7", "7.0", "inf", "\ud800"], ["u2", "u3", "8", ""]]
    plain, through = (flag_with(rule(ids)) for ids in (lists, indexed(lists)))  # type: ignore[operator]
    for key in [
        "u1",
        "u2",
        "u3",
        "u4",
        "z",
        "",
        "7",
        "\ud800",
        7,
        8.0,
        0,
        9,
        True,
        None,
        ["u1"],
        {},
        float("inf"),
        str.__new__(Text, "u1"),
    ]:
        for x in ("u1", None, 7):
            context = {"targetingKey": key, "x": x}
            assert through.evaluate(context).variant == plain.evaluate(context).variant, context


class Text(str):
    """Text of another type."""

    __slots__ = ()


def flag_with(rule: object) -> CompiledFlag:
    return CompiledFlag(Flag("f", True, {"a": 1, "b": 2, "c": 3}, "c", rule, {}))  # type: ignore[arg-type]


def test_the_reference_reads_the_same_rule_from_a_document() -> None:
    rule = RULES[1]([["u1"], ["u2"]])
    body = {"variants": {"a": 1, "b": 2, "c": 3}, "defaultVariant": "c", "targeting": rule}
    document = read_document(json.dumps({"flags": {"f": body}}).encode(), "index.flagd.json")
    assert CompiledFlag(document.flags["f"]).evaluate({"targetingKey": "u2"}).variant == "b"


def test_texts_that_crowd_one_bucket_are_not_indexed() -> None:
    count = 25_000
    buckets = count // 4 + 1
    crowd = [text for text in map(str, range(2_000_000)) if crc32(text.encode()) % buckets == 0][:300]
    others = [f"user-{number}" for number in range(count - len(crowd))]
    assert build([crowd + others], 0) is None


def test_lists_that_overlap_in_too_many_ways_are_not_indexed() -> None:
    lists = [[str(text) for text in range(1 << 15) if text >> bit & 1] for bit in range(15)]
    assert build(lists, 0) is None
    assert build(lists[:13], 0) is not None


def test_lists_that_grow_are_given_up_before_they_fill_the_memory() -> None:
    assert build([list(map(str, range(count))) for count in range(600, 1_600)], 0) is None
    assert build([["a", "b"][:: 1 if turn % 2 else -1] for turn in range(5_000)], 0) is None


def test_indexed_lists_are_equal_by_their_texts() -> None:
    first, second = indexed([["a", "b"], ["b", "a"]])
    (again,) = indexed([["a", "b"]])
    assert first == again
    assert hash(first) == hash(again)
    assert first != second
    assert first != ["a", "b"]
    assert 1 not in first
