"""Writing: one content, one text; what was written reads back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windsock.errors import FlagFileError
from windsock.flags import read_document, write_document

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def test_a_document_is_written_for_reading_and_for_diffs() -> None:
    ids = [f"user-{number:04}" for number in range(12)]
    content = {"flags": {"b": {}, "a": {"variants": {"ü": 1}, "targeting": {"in": [{"var": "id"}, ids]}}}}
    assert write_document(content).decode() == (
        '{\n  "flags": {\n    "a": {\n      "targeting": {\n        "in": [\n          {\n            "var": "id"\n'
        "          },\n          [\n"
        + ",\n".join(f'            "{each}"' for each in ids)
        + '\n          ]\n        ]\n      },\n      "variants": {\n        "ü": 1\n      }\n    },\n    "b": {}\n  }\n}\n'
    )


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_what_is_written_reads_back_and_is_written_the_same(content: dict[str, object]) -> None:
    try:
        written = write_document(content)
    except FlagFileError:
        assert "\\ud" in json.dumps(content)
        return
    assert json.loads(written) == content
    assert write_document(dict(reversed(content.items()))) == written


def test_a_document_is_the_same_after_reading() -> None:
    flag = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "on",
        "targeting": {},
    }
    content = {"flags": {"a": flag}, "metadata": {"owner": "core"}}
    document = read_document(write_document(content), "a.flagd.json")
    assert document.problems == ()
    assert document.flags["a"].variants == flag["variants"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1: 2}, "\ud800"])
def test_what_json_cannot_write_is_refused(value: object) -> None:
    with pytest.raises(FlagFileError, match="cannot be written as JSON"):
        write_document({"flags": {"a": value}})
