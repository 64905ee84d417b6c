"""What is recorded may be anything; what is written can always be stored and read back."""

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windsock.usage import COLUMNS, Healed, Measured, Pending, UsageRecord, Use
from windsock.usage.making_rows import MAX_ERROR, MAX_FIELD, MAX_FIELDS, MAX_TEXT, clean


class HostileError(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text for you")


def cyclic() -> list:
    ring: list = []
    ring.append(ring)
    return ring


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def test_ordinary_values_are_kept_exactly(make_pending):
    values = {
        "top_k": 25,
        "temperature": 0.2,
        "model": "gpt-4o",
        "on": True,
        "none": None,
        "b": {"c": ["é", "🎓"]},
    }
    record = clean(make_pending(values=values))
    assert record.values == values
    assert json.loads(record.values_json) == values


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("a\x00b", "a�b"),
        ("a\ud800b", "a�b"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        pytest.param(10**5000, "an integer of 16610 bits", id="huge"),
        (Decimal("0.10"), "0.10"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ((1, 2), [1, 2]),
        ({1: "a", (2, 3): "b"}, {"1": "a", "(2, 3)": "b"}),
        (b"\xff", "b'\\xff'"),
        (HostileError(), "<HostileError whose text raised RuntimeError>"),
        ("x" * (MAX_FIELD + 1), {"windsock_cut": '"' + "x" * 199}),
        ("\\u0000 is only text", "\\u0000 is only text"),
    ],
)
def test_a_value_that_cannot_be_stored_is_replaced_alone(make_pending, value, kept):
    record = clean(make_pending(values={"bad": value, "good": 1}))
    assert record.values == {"bad": kept, "good": 1}


@pytest.mark.parametrize("value", [cyclic(), nested(MAX_FIELD), nested(100_000)])
def test_a_value_nested_too_deep_ends_in_a_text_that_says_so(make_pending, value):
    assert "nested too deep" in clean(make_pending(values={"bad": value})).values_json


def test_many_fields_are_cut_to_the_stated_number(make_pending):
    assert len(clean(make_pending(values={f"f{n}": "x" * 100 for n in range(10_000)})).values) == MAX_FIELDS


def test_a_mapping_that_raises_costs_its_values_and_not_the_row(make_pending):
    class Raises(dict):
        def items(self):
            raise RuntimeError("gone")

    record = clean(make_pending(values=Raises(a=math.nan)))
    assert record.values == {"windsock_unreadable": "gone"}
    assert record.flag == "teacher"


def test_a_huge_or_hostile_error_is_cut_or_named(make_pending):
    record = clean(
        make_pending(
            healed=[
                Healed("model", "gpt-5-typo", "e\x00" * 1_000_000, "base"),
                Healed("model", HostileError(), HostileError(), "code default"),
            ]
        )
    )
    huge, hostile = record.healed
    assert len(huge["error"]) == MAX_ERROR
    assert huge["failed_value"] == "gpt-5-typo"
    assert huge["fell_to"] == "base"
    assert hostile["error"] == "<HostileError whose text raised RuntimeError>"


def test_long_ids_that_begin_alike_stay_apart(make_pending):
    first = clean(make_pending(user_id="u" * 100_000 + "1")).user_id
    second = clean(make_pending(user_id="u" * 100_000 + "2")).user_id
    assert first != second
    assert len(first) <= MAX_TEXT


@pytest.mark.parametrize("letter", ["x", "é", "用", "🙂"])
@pytest.mark.parametrize("length", [249, 250, 251, 333, 334, 999, 1000, 1001, 5000])
def test_ids_are_bounded_in_bytes(make_pending, letter, length):
    first, second = (clean(make_pending(user_id=letter * length + end)).user_id for end in "12")
    assert first != second
    assert max(len(first.encode()), len(second.encode())) <= MAX_TEXT
    if len((letter * length).encode()) < MAX_TEXT:
        assert first == letter * length + "1"


def test_a_keyed_hash_replaces_the_user_id(make_pending):
    first, same, other_user, other_key = (
        clean(make_pending(user_id=user), key).user_id
        for user, key in [("ann", b"k"), ("ann", b"k"), ("bob", b"k"), ("ann", b"l")]
    )
    # HMAC-SHA256 of "ann" under "k": printf ann | openssl dgst -sha256 -hmac k
    assert first == same == "hmac:9266175ac0e5692db793c2ff4b72068c"
    assert len({first, other_user, other_key}) == 3
    assert clean(make_pending(user_id=None), b"k").user_id is None
    assert clean(make_pending(user_id="\ud800"), b"k").user_id.startswith("hmac:")


@pytest.mark.parametrize("cost", [Decimal("NaN"), Decimal("Infinity"), Decimal("1e9999")])
def test_a_cost_that_is_not_an_amount_is_left_out(make_pending, cost):
    assert clean(make_pending(Measured(cost=cost))).cost is None


@pytest.mark.parametrize("count", [-1, 2**63, 1.5, True, "7"])
def test_an_invalid_token_count_is_left_out(make_pending, count):
    assert clean(make_pending(Measured(input_tokens=count))).input_tokens is None


def test_latency_becomes_milliseconds(make_pending):
    assert clean(make_pending(Measured(latency=0.25))).latency_ms == 250


def test_a_profile_that_is_not_a_uuid_leaves_the_column_empty(make_pending):
    assert clean(make_pending(config_id="not-a-uuid")).config_id is None
    text = "6f6b4b53-6b0a-4c39-a2f3-8d4f6dd0a9f0"
    assert clean(make_pending(config_id=text)).config_id == UUID(text)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner),
    max_leaves=20,
)
any_text = st.text(st.characters()) | st.none()  # characters() without limits draws surrogates and NUL too


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draw reads the tables of Unicode
@given(
    values=st.dictionaries(st.text(st.characters()), anything), user=any_text, error=st.text(st.characters())
)
def test_any_record_survives_a_line_of_text(values, user, error):
    record = clean(_pending(values, user, error))
    line = record.to_line()
    line.encode()
    assert "\n" not in line
    assert UsageRecord.from_line(line) == record


def test_a_record_as_data_has_the_columns_of_the_table():
    record = clean(_pending({"top_k": 1}, "ann", "it failed"))
    data = record.to_dict()
    assert data.keys() == set(COLUMNS)
    assert (data["user_id"], data["values"]) == ("ann", {"top_k": 1})
    assert [each["error"] for each in data["healed"]] == ["it failed"]


def _pending(values, user, error):
    healed = [Healed("f", next(iter(values.values()), None), error, "base")]
    use = Use("teacher", "none", None, None, None, "test", user, values, healed)
    return Pending(uuid4(), datetime.now(UTC), use, Measured(latency=0.1, cost=Decimal("0.001")))


@pytest.mark.parametrize("line", ["", "{", "[]", "null", "{}", '{"id": 5}', '{"id":"x","requested_at":"y"}'])
def test_a_line_that_is_not_a_record_is_a_value_error(line):
    with pytest.raises(ValueError):
        UsageRecord.from_line(line)
