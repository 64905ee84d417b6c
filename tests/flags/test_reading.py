"""Reading documents: what is accepted, what is left out, and where every problem is said to be."""

import gc
import json

import pytest

from windsock.errors import FlagFileError
from windsock.flags import Document, read_document
from windsock.flags.json_positions import JsonText


def read(text: str | bytes | dict[str, object]) -> Document:
    if isinstance(text, dict):
        text = json.dumps(text)
    return read_document(text.encode() if isinstance(text, str) else text, "app.flagd.json")


def problems(text: str | dict[str, object]) -> list[str]:
    return list(map(str, read(text).problems))


def test_a_flag_is_read_with_its_line_and_metadata() -> None:
    document = read(
        '{\n  "metadata": {"owner": "core", "tier": 1},\n  "flags": {\n    "a": {"state": "ENABLED",\n'
        '      "variants": {"on": true},\n      "defaultVariant": "on", "metadata": {"tier": 2}}}}'
    )
    flag = document.flags["a"]
    assert (flag.line, flag.source, flag.enabled, flag.default_variant) == (4, "app.flagd.json", True, "on")
    assert flag.metadata == {"owner": "core", "tier": 2}
    assert document.problems == ()


def test_the_revision_is_the_hash_of_the_bytes() -> None:
    one, two = read('{"flags": {}}'), read('{"flags":{}}')
    assert (len(one.revision), one.revision != two.revision) == (12, True)


@pytest.mark.parametrize(
    "flag", [{}, {"variants": {}}, {"variants": {"a": 1}, "description": "x", "defaultVariant": ""}]
)
def test_what_flagd_accepts_is_accepted(flag: dict[str, object]) -> None:
    document = read({"flags": {"a": flag}})
    assert (list(document.flags), document.problems) == (["a"], ())
    assert document.flags["a"].enabled
    assert document.flags["a"].default_variant is None


def test_flags_may_be_a_list_with_keys() -> None:
    document = read('{"flags": [{"key": "a", "variants": {"x": 1}}, {"variants": {}}]}')
    assert list(document.flags) == ["a"]
    assert str(document.problems[0]).startswith("app.flagd.json:1:48: /flags/1: ")


def test_another_spelling_of_disabled_is_named() -> None:
    document = read('{"flags": {"a": {"state": "disabled", "variants": {}}}}')
    assert document.flags["a"].enabled
    assert str(document.problems[0]).startswith(
        "app.flagd.json:1:27: flag 'a' /flags/a/state: state 'disabled'"
    )


@pytest.mark.parametrize(
    ("flag", "at", "pointer", "says"),
    [
        ("5", '"b"', "/flags/b", "must be an object, not the number 5"),
        ('{"state": 1}', "1}", "/flags/b/state", "not the number 1"),
        ('{"variants": []}', "[]", "/flags/b/variants", "not a list"),
        (
            '{"variants": {"x": 1}, "defaultVariant": "y"}',
            '"y"',
            "/flags/b/defaultVariant",
            "variants are: 'x'",
        ),
        ('{"variants": {"true": 1}, "defaultVariant": true}', "true}", "/flags/b/defaultVariant", "not true"),
        ('{"metadata": "x"}', '"x"', "/flags/b/metadata", "not the string 'x'"),
        ('{"metadata": {"bucketing": "v9"}}', '"v9"', "/flags/b/metadata/bucketing", "write v2 or v3"),
        ('{"variants": {"x": NaN}}', "NaN", "/flags/b/variants/x", "NaN is not a JSON number"),
        ('{"variants": {"x": 1e400}}', "1e400", "/flags/b/variants/x", "beyond the range of a double"),
        ('{"variants": {"x": "\\ud800"}}', '{"variants"', "/flags/b", "half of a surrogate pair"),
        (
            '{"variants": {"x": ' + "[" * 300 + "]" * 300 + "}}",
            "[" * 102 + "]",
            "/flags/b",
            "more than 200 deep",
        ),
        (
            '{"variants": {"x": ' + '{"a": [' * 130 + "]}" * 130 + "}}",
            '{"a": [' * 31 + "]",
            "/flags/b",
            "more than 200 deep",
        ),
    ],
)
def test_a_bad_flag_is_left_out_and_placed(flag: str, at: str, pointer: str, says: str) -> None:
    text = '{"flags": {"b": ' + flag + ', "good": {"variants": {"x": 1}, "defaultVariant": "x"}}}'
    document = read(text)
    assert list(document.flags) == ["good"]
    message = str(document.problems[0])
    assert message.startswith(f"app.flagd.json:1:{text.index(at) + 1}: flag 'b' {pointer}: ")
    assert says in message


def test_many_brackets_side_by_side_do_not_count_as_depth() -> None:
    text = json.dumps({"flags": {"a": {"variants": {"x": ["[" * 300, *([1] for _ in range(300))]}}}})
    document = read(text)
    assert document.problems == ()
    assert len(document.flags["a"].variants["x"]) == 301


def test_a_property_in_another_case_is_named() -> None:
    assert problems('{"flags": {"a": {"Variants": {}}}}')[0].startswith(
        "app.flagd.json:1:30: flag 'a' /flags/a/Variants: 'Variants' is ignored here"
    )


def test_keys_written_twice_are_named_and_the_last_counts() -> None:
    document = read(
        '{"flags": {"a": {"variants": {"x": 1,\n"x": 2}}, "b": {}, \n "a": {"variants": {"y": 3}}}}'
    )
    assert document.flags["a"].variants == {"y": 3}
    assert [str(problem) for problem in document.problems] == [
        (
            "app.flagd.json:2:1: flag 'a' /flags/a/variants/x: "
            "'x' is written twice (first in line 1) and the last one counts; keep one"
        ),
        (
            "app.flagd.json:3:2: flag 'a' /flags/a: "
            "the flag is defined twice (first in line 1) and the last one counts; keep one"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "app.flagd.json:1:1: "),
        (b"   \n ", "app.flagd.json:2:2: "),
        (b"[]", "app.flagd.json:1:1: "),
        (b"{}", 'has no "flags"'),
        (b'{"flags": null}', "app.flagd.json:1:11: "),
        (b'{"flags": {"a": {"variants": {"x": 1', "was it cut off?"),
        (b'{"flags": {"a": {}', "was it cut off?"),
        (b'{"flags": {}, }', "app.flagd.json:1:15: "),
        (b'{"flags": {}} x', "app.flagd.json:1:15: "),
        (b'{"flags" {}}', "expected ':'"),
        (b'{"flags": {"a": {} "b": {}}}', "app.flagd.json:1:20: "),
        (b'{"flags": {"a": {"x": \'1\'}}}', "app.flagd.json:1:23: not JSON"),
        (b'\xef\xbb\xbf{"flags": {}}', "byte order mark"),
        (b'{"flags": {"\xff": {}}}', "app.flagd.json:1:13: byte 0xff is not UTF-8"),
        (b'{"flags": {}, "metadata": []}', "app.flagd.json:1:27: metadata must be an object"),
        (b'{"flags": {}, "metadata": {"bucketing": "v7"}}', "app.flagd.json:1:41: bucketing 'v7'"),
        (b'{"flags": {}, "metadata": {"x": NaN}}', "NaN"),
        (b'{"metadata": ' + b"[" * 100_000, "app.flagd.json:1:"),
        (b'{"flags": {"a": ' + b'{"a":' * 100_000, "app.flagd.json:1:"),
    ],
)
def test_what_cannot_be_read_at_all_is_refused_with_its_place(text: bytes, says: str) -> None:
    with pytest.raises(FlagFileError) as caught:
        read(text)
    assert says in str(caught.value)
    assert str(caught.value).startswith("app.flagd.json:")


def test_the_text_is_freed_at_once() -> None:
    """A text of 40 MB that waits for the garbage collector is 40 MB of every large set."""
    gc.collect()
    gc.disable()
    try:
        read({"flags": {"a": {"variants": {"on": True}, "defaultVariant": "on"}}})
        # by type: a lazy object of a library does its work when isinstance asks for its class
        assert not [each for each in gc.get_objects() if type(each) is JsonText]
    finally:
        gc.enable()


@pytest.mark.parametrize("inner", ["1e999", "NaN", '{"a": 1, "a": 2}', "9" * 400])
@pytest.mark.parametrize("levels", [101, 165, 215, 430])
def test_a_value_nested_too_deep_is_one_problem_whatever_else_is_wrong_in_it(inner: str, levels: int) -> None:
    deep = '{"!": [' * levels + inner + "]}" * levels
    document = read(
        f'{{"flags": {{"deep": {{"targeting": {deep}}}, "a": {{"state": "ENABLED", "variants": {{}}}}}}}}'
    )
    assert [problem.flag for problem in document.problems] == ["deep"]
    assert "more than 200 deep" in document.problems[0].message
    assert list(document.flags) == ["a"]
    for section in ("metadata", "$evaluators"):
        with pytest.raises(FlagFileError, match="more than 200 deep"):
            read(f'{{"flags": {{}}, "{section}": {{"a": {deep}}}}}')
