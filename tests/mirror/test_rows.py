"""What of a configuration row can be published."""

import json

import pytest

from windsock.mirror.rows import ConfigurationRow, HeldBackError, read_profile


def row(settings, size=None):
    text = settings if isinstance(settings, str) or settings is None else json.dumps(settings)
    return ConfigurationRow("id", "name", True, text, size or len(text or ""))


def nested(depth):
    value = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "settings", [{}, {"a": 1}, {"a": [1, {"b": None}]}, {"k": 2**53}, nested(20), {"ref": "$ref"}]
)
def test_ordinary_settings_are_published(settings):
    assert json.loads(read_profile(row(settings), ("teacher",)).settings["teacher"]) == settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([1], "settings are a list, not an object"),
        ("null", "settings are null, not an object"),
        ('"text"', "settings are a string"),
        ({"a": {"b": 2**53 + 1}}, r"settings\.a\.b: an integer beyond 2\^53"),
        ('{"a": [1, 1e400]}', r"settings\.a\[1\]: the number is too large"),
        ('{"a": 1' + "0" * 400 + "}", r"settings\.a: an integer beyond"),
        ('{"a": 1' + "0" * 5000 + "}", "too large for a double"),
        (nested(21), "nested deeper than 20"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested deeper than 20"),
        ({"a": {"$ref": "shared"}}, r"settings\.a\.\$ref: flagd would replace"),
        (None, "settings are 5,000,000 bytes, more than the 262,144"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_a_flagd_client_could_not_read_is_held_back(settings, message):
    with pytest.raises(HeldBackError, match=message):
        read_profile(row(settings, size=5_000_000 if settings is None else None), ("teacher",))


def test_with_several_flags_settings_nest_by_flag():
    profile = read_profile(row({"teacher": {"k": 1}, "other": {"x": 1}}), ("teacher", "ads"))
    assert profile.settings == {"teacher": '{"k":1}'}
    assert read_profile(row({}), ("teacher", "ads")).settings == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"retrieval_top_k": 25}, "no key of settings is a mirrored flag"),
        ({"teacher": [1]}, r"settings\.teacher is a list"),
    ],
)
def test_flat_settings_are_held_back_where_several_flags_are_mirrored(settings, message):
    with pytest.raises(HeldBackError, match=message):
        read_profile(row(settings), ("teacher", "ads"))
