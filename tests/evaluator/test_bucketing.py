"""``fractional``: where users fall, pinned by number, and how the buckets are laid out."""

import json
from collections.abc import Callable

import cbor2
import mmh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windsock.evaluator import CompiledFlag
from windsock.evaluator.bucketing import hash_key_v2, hash_key_v3, hash_value_v2, hash_value_v3, parse_split
from windsock.flags import read_document


def flag(rule: object, **metadata: object) -> CompiledFlag:
    body = {
        "variants": {"a": 1, "b": 2, "c": 3},
        "defaultVariant": "c",
        "targeting": rule,
        "metadata": metadata,
    }
    return CompiledFlag(read_document(json.dumps({"flags": {"split": body}}).encode(), "f").flags["split"])


def where(rule: object, context: dict[str, object], **metadata: object) -> str | None:
    return flag(rule, **metadata).evaluate(context).variant


HALVES = {"fractional": [["a", 50], ["b", 50]]}


def test_users_fall_where_they_fell_before() -> None:
    users = [f"user-{number}" for number in range(24)]
    falls = {
        version: "".join(str(where(HALVES, {"targetingKey": user}, bucketing=version)) for user in users)
        for version in ("v2", "v3")
    }
    # what flagd-core 4.0.1 (npm) and openfeature-flagd-core 2.0.0 (PyPI) gave on the day this was written
    assert falls == {"v2": "bbbaaaabaabbbaababaaaabb", "v3": "aabaabaabbbabaaabbbbaaab"}


@pytest.mark.slow
@given(st.text(), st.text())
def test_the_hash_of_a_targeting_key_is_the_documented_one(key: str, user: str) -> None:
    assert hash_key_v2(key)(user) == mmh3.hash((key + user).encode(), signed=False)
    assert hash_key_v3(key)(user) == mmh3.hash(cbor2.dumps([key, user], canonical=True), signed=False)


@pytest.mark.parametrize(
    ("value", "same"),
    [(5, 5.0), (10**19, 1e19), ([1.0, {"x": 2.0}], [1, {"x": 2}]), (True, True), ("x", "x")],
)
def test_a_v3_value_of_any_type_is_hashed_and_whole_floats_are_integers(value: object, same: object) -> None:
    assert hash_value_v3(value) == hash_value_v3(same) is not None
    assert hash_value_v2(value) is None or isinstance(value, str)


def test_null_does_not_bucket() -> None:
    assert hash_value_v2(None) is None
    assert hash_value_v3(None) is None


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 10_000), min_size=1, max_size=8))
def test_limits_are_the_integer_buckets_of_the_specification(hashed: int, weights: list[int]) -> None:
    split = parse_split([[str(index), weight] for index, weight in enumerate(weights)])
    total = sum(weights)
    if not total:
        assert split is None
        return
    bucket, end, expected = (hashed * total) >> 32, 0, None
    for index, weight in enumerate(weights):
        end += weight
        if bucket < end:
            expected = str(index)
            break
    assert split is not None
    assert split.at(hashed) == expected


@pytest.mark.parametrize("weights", [(1, 2), (1, 6), (50, 50), (333, 667), (2**30, 2**30 - 1)])
def test_a_bucket_ends_at_the_first_hash_of_the_next(weights: tuple[int, int]) -> None:
    split = parse_split([["a", weights[0]], ["b", weights[1]]])
    assert split is not None
    limit, last = split.limits
    assert (split.at(limit - 1), split.at(limit), split.at(2**32 - 1), last) == ("a", "b", "b", 2**32)
    assert (limit - 1) * sum(weights) >> 32 < weights[0] <= limit * sum(weights) >> 32


def test_a_user_whose_hash_is_the_limit_is_in_the_second_of_two_buckets() -> None:
    total, at_limit = 2**31 - 1, 0
    for number in range(100):
        hashed = hash_key_v2("split")(f"user-{number}")
        first = hashed * total >> 32
        split = parse_split([["a", first], ["b", total - first]])
        if split is not None and split.limits[0] == hashed:
            at_limit += 1
            rule = {"fractional": [["a", first], ["b", total - first]]}
            assert where(rule, {"targetingKey": f"user-{number}"}) == "b"
    assert at_limit > 10


@pytest.mark.parametrize(
    "buckets",
    [
        [],
        ["a"],
        [[]],
        [["a", "1"]],
        [["a", True]],
        [["a", 0.5]],
        [["a", 2**31]],
        [["a", 2**31 - 1], ["b", 1]],
        [["a", 0]],
        [["a", -1]],
        [[["a"], 1]],
        [[{}, 1]],
        [["a", float("inf")]],
        [["a", float("nan")]],
    ],
)
def test_malformed_buckets_give_no_split(buckets: list[object]) -> None:
    assert parse_split(buckets) is None


@pytest.mark.parametrize(
    ("rule", "context", "expected"),
    [
        ({"fractional": [["a", 1]]}, {"targetingKey": "u"}, "a"),
        ({"fractional": [["a"]]}, {"targetingKey": "u"}, "a"),
        ({"fractional": [["a", 1]]}, {}, "c"),
        ({"fractional": [["a", 1]]}, {"targetingKey": ""}, "c"),
        ({"fractional": [["a", 1]]}, {"targetingKey": 5}, "c"),
        ({"fractional": ["salt", ["a", 1]]}, {}, "a"),
        ({"fractional": [{"var": "email"}, ["a", 1]]}, {"email": "x"}, "a"),
        ({"fractional": [{"var": "email"}, ["a", 1]]}, {"targetingKey": "u"}, "a"),
        ({"fractional": [{"var": "email"}, ["a", 1]]}, {"email": 5, "targetingKey": "u"}, "c"),
        ({"fractional": [["a", -5], ["b", 1]]}, {"targetingKey": "u"}, "b"),
        ({"fractional": [["a", -1e18], ["b", 1]]}, {"targetingKey": "u"}, "b"),
        ({"fractional": [["a", -1e19], ["b", 1]]}, {"targetingKey": "u"}, "c"),
        ({"fractional": [["a", {"+": [0, 0]}], ["b", {"*": [1, 2]}]]}, {"targetingKey": "u"}, "b"),
        ({"fractional": [[{"fractional": [["b", 1]]}, 1]]}, {"targetingKey": "u"}, "b"),
        ({"fractional": [[None, 1]]}, {"targetingKey": "u"}, "c"),
        ({"if": [True, {"fractional": [["a", 1]]}]}, {"targetingKey": "u"}, "a"),
        # computed buckets
        ({"fractional": [5, [{"cat": ["a"]}, 1]]}, {"targetingKey": "u"}, "c"),
        ({"fractional": [{"var": "n"}, [{"cat": ["a"]}, 1]]}, {"n": 5, "targetingKey": "u"}, "c"),
        ({"fractional": [{"var": "n"}, [{"cat": ["a"]}, 1]]}, {"targetingKey": "u"}, "a"),
        ({"fractional": [{"var": "n"}, [{"cat": ["a"]}, 1]]}, {}, "c"),
        ({"fractional": [["a", None], ["b", 0]]}, {"targetingKey": "u"}, "a"),
        ({"fractional": "a"}, {"targetingKey": "u"}, "c"),
        ({"fractional": []}, {"targetingKey": "u"}, "c"),
    ],
)
def test_the_clauses_of_the_specification(rule: object, context: dict[str, object], expected: str) -> None:
    assert where(rule, context) == expected


def test_versions_differ_on_values_other_than_text() -> None:
    rule = {"fractional": [{"var": "n"}, ["a", 1]]}
    assert where(rule, {"n": 5}, bucketing="v3") == "a"
    assert where(rule, {"n": 5}, bucketing="v2") == "c"
    assert where(rule, {"targetingKey": "u"}, bucketing="v3") == "c"
    assert where(rule, {"targetingKey": "u"}, bucketing="v2") == "a"


@pytest.mark.parametrize("size", [0, 1, 23, 24, 36, 255, 256, 70_000])
def test_keys_of_every_length_are_encoded_as_the_library_does(size: int) -> None:
    user = "u" * size
    assert hash_key_v3("flag")(user) == mmh3.hash(cbor2.dumps(["flag", user], canonical=True), signed=False)


@pytest.mark.parametrize("hashing", [hash_key_v2, hash_key_v3])
@pytest.mark.parametrize("user", ["\ud800", "a\udfffb", "\ud800" * 300])
def test_half_of_a_surrogate_pair_is_hashed_as_go_reads_it(
    hashing: Callable[[str], Callable[[str], int]], user: str
) -> None:
    read = user.replace("\ud800", "\ufffd").replace("\udfff", "\ufffd")
    assert hashing("flag")(user) == hashing("flag")(read)
    assert hash_value_v2(user) == hash_value_v2(read)
    assert hash_key_v2("flag")("\ud83d\ude00") == hash_key_v2("flag")("\U0001f600")
