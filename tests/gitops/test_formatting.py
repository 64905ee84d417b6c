"""Formatting changes white space and the order of properties, and nothing that anybody is served."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evaluator.wild_rules import VARIANTS, WildRules

from windsock.errors import FlagFileError
from windsock.flagfiles.formatting import formatted
from windsock.flags import read_document

FLAGS = Path(__file__).parents[2] / "flagd"


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([None, 0, 2, 4]))
def test_the_content_stays_and_a_second_time_changes_nothing(
    source: random.Random, indent: int | None
) -> None:
    rules = WildRules(source)
    flags = {
        f"f{number}": {"metadata": {"n": 1.50}, "targeting": rules.rule(4), "variants": VARIANTS}
        for number in range(3)
    }
    before = json.dumps({"metadata": {}, "flags": flags}, indent=indent).encode()
    after = formatted(before, "f.json")
    assert json.loads(after) == json.loads(before)
    assert list(json.loads(after)["flags"]) == list(flags)
    assert formatted(after, "f.json") == after
    old, new = read_document(before, "f.json").flags, read_document(after, "f.json").flags
    assert all(flag.same_as(new[key]) for key, flag in old.items())


def test_numbers_and_text_stay_as_written():
    text = '{"flags": {"ä": {"variants": {"a": 50.0, "b": 1e3, "c": 123456789012345678901234567890}}}}'
    written = formatted(text.encode(), "f.json").decode()
    for token in ('"ä"', "50.0", "1e3", "123456789012345678901234567890"):
        assert token in written


def test_the_form():
    text = '{"metadata":{},"flags":{"f":{"defaultVariant":"a","variants":{"a":{},"b":{"x":[1,2]}},"state":"ENABLED"}}}'
    assert formatted(text.encode(), "f.json").decode() == (
        "{\n"
        '  "flags": {\n'
        '    "f": {\n'
        '      "state": "ENABLED",\n'
        '      "variants": { "a": {}, "b": { "x": [1, 2] } },\n'
        '      "defaultVariant": "a"\n'
        "    }\n"
        "  },\n"
        '  "metadata": {}\n'
        "}\n"
    )


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b'{"flags": {"f": {"variants": {"a": 1, "a": 2}}}}', "f.json", "f.json:1:39: 'a' is written twice"),
        (b"flags: {}", "f.yaml", "fmt writes JSON"),
        (b"{", "f.json", "f.json:1:2"),
    ],
)
def test_what_would_lose_something_is_refused(data, name, words):
    with pytest.raises(FlagFileError, match=words):
        formatted(data, name)


@pytest.mark.parametrize("path", sorted(FLAGS.glob("*.flagd.json")), ids=lambda path: path.name)
def test_the_repositorys_own_files_are_formatted(path: Path) -> None:
    assert formatted(path.read_bytes(), path.name) == path.read_bytes()
