"""What of a configuration row can be published."""

import json

import pytest

from windsock.mirror.rows import ConfigurationRow, HeldBackError, read_profile, read_settings


def row(settings, size=None):
    text = settings if isinstance(settings, str) or settings is None else json.dumps(settings)
    return ConfigurationRow("id", "name", True, text, size or len(text or ""))


def nested(depth):
    value = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def profile_of(row, *flags_and_fields):
    return read_profile(row, read_settings(row), *flags_and_fields)


@pytest.mark.parametrize(
    "settings", [{}, {"a": 1}, {"a": [1, {"b": None}]}, {"k": 2**53}, nested(20), {"ref": "$ref"}]
)
def test_ordinary_settings_are_published(settings):
    profile, strays = profile_of(row(settings), ("teacher",))
    assert not strays
    assert json.loads(profile.settings["teacher"]) == settings


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
        (
            {"a": {"k" * 1_001: [1]}},
            "settings.a: the keys that lead to a list or an object in it have more than 1,000",
        ),
        ({"k" * 600: [{"l" * 600: {}}]}, f"settings.{'k' * 60}: the keys that lead to a list or an object"),
        ({"a": {"$ref": "shared"}}, r"settings\.a\.\$ref: flagd would replace"),
        (None, "settings are 5,000,000 bytes, more than the 262,144"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_a_flagd_client_could_not_read_is_held_back(settings, message):
    with pytest.raises(HeldBackError, match=message):
        profile_of(row(settings, size=5_000_000 if settings is None else None), ("teacher",))


BOTH = ("teacher", "aura")
FIELDS = {"teacher": ("top_k", "temperature"), "aura": ("l1_model", "temperature")}


@pytest.mark.parametrize(
    ("settings", "published"),
    [
        ({}, {}),
        ({"teacher": {"k": 1}}, {"teacher": {"k": 1}}),
        ({"teacher": {}, "aura": {"x": 1}}, {"aura": {"x": 1}}),
        ({"top_k": 5}, {"teacher": {"top_k": 5}}),
        ({"top_k": 5, "l1_model": "m"}, {"teacher": {"top_k": 5}, "aura": {"l1_model": "m"}}),
        ({"top_k": 5, "aura": {"temperature": 1}}, {"teacher": {"top_k": 5}, "aura": {"temperature": 1}}),
        ({"top_k": 5, "teacher": {"top_k": 6}}, {"teacher": {"top_k": 6}}),
    ],
)
def test_several_classes_share_a_row(settings, published):
    profile, strays = profile_of(row(settings), BOTH, FIELDS)
    assert {flag: json.loads(text) for flag, text in profile.settings.items()} == published
    assert not strays


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top_k": 5, "temperature": 1}, "settings.temperature is a field of teacher and aura: nest it"),
        (
            {"top_k": 5, "topk": 6},
            "settings.topk isn't a field of a mirrored flag (teacher, aura) whose class",
        ),
    ],
)
def test_a_key_of_no_flag_or_of_several_is_left_out_and_named(settings, message):
    profile, (stray,) = profile_of(row(settings), BOTH, FIELDS)
    assert profile.settings == {"teacher": '{"top_k":5}'}
    assert stray.startswith(message)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"retrieval_top_k": 25}, r"settings\.retrieval_top_k isn't a field of a mirrored flag"),
        ({"teacher": {}}, "no settings of a mirrored flag"),
        ({"teacher": [1]}, r"settings\.teacher is a list"),
    ],
)
def test_a_row_without_anything_for_a_mirrored_flag_is_held_back(settings, message):
    with pytest.raises(HeldBackError, match=message):
        profile_of(row(settings), BOTH)
