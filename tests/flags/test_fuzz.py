"""Any bytes at all: a document or the family's own error, soon."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from windsock.errors import FlagFileError
from windsock.evaluator import CompiledFlag
from windsock.flags import merge, read_document
from windsock.lint.linter import lint
from windsock.lint.portable.search import find_in_flag

DOCUMENT = json.dumps(
    {
        "$evaluators": {"beta": {"in": [{"var": "id"}, ["a", "b"]]}, "all": {"or": [{"$ref": "beta"}, True]}},
        "metadata": {"owner": "core", "bucketing": "v2"},
        "flags": {
            "a": {
                "state": "ENABLED",
                "variants": {"on": {"x": [1, 2.5, "ü"]}, "off": {}},
                "defaultVariant": "off",
                "targeting": {"if": [{"$ref": "all"}, {"fractional": [["on", 1], ["off", 2]]}]},
            },
            "b": {"state": "DISABLED", "variants": {"x": 1}, "defaultVariant": None},
        },
    }
).encode()

KEYS = st.sampled_from(
    ["state", "variants", "defaultVariant", "targeting", "metadata", "key", "$ref", "if", "var", "on"]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)


def use(data: bytes, source: str) -> None:
    """Lint, read, merge, compile, look through and evaluate."""
    lint(data, source)
    try:
        document = read_document(data, source)
    except FlagFileError as error:
        assert str(error).startswith(source)  # noqa: PT017 - not every input is refused
        return
    for problem in document.problems:
        assert str(problem).startswith(source)
    for flag in merge([document, document]).flags.values():
        find_in_flag(flag)
        outcome = CompiledFlag(flag).evaluate({"id": "a", "targetingKey": "u"})
        assert outcome.variant is None or outcome.variant in flag.variants


@pytest.mark.parametrize("source", ["f.flagd.json", "f.flagd.yaml"])
@settings(max_examples=300, deadline=None)
@given(
    position=st.integers(0, len(DOCUMENT)),
    cut=st.integers(0, 6),
    put=st.binary(max_size=6) | st.text('{}[]",:0eE-nN', max_size=6).map(str.encode),
)
def test_mutated_documents(source: str, position: int, cut: int, put: bytes) -> None:
    use(DOCUMENT[:position] + put + DOCUMENT[position + cut :], source)


@pytest.mark.parametrize("source", ["f.flagd.json", "f.flagd.yml"])
@settings(max_examples=200, deadline=None)
@given(st.binary() | st.text().map(lambda text: text.encode(errors="replace")))
@example(b"\x00")
@example(b"flags: \xc2\x85")
@example(b"%YAML 9.9\n---\nflags: {}")
@example(b"\r\r{")  # YAML ends lines by more than a newline
def test_any_bytes(source: str, data: bytes) -> None:
    use(data, source)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(max_size=3), st.dictionaries(KEYS, ANYTHING), max_size=3), ANYTHING, ANYTHING)
def test_any_shape(flags: object, evaluators: object, metadata: object) -> None:
    content = {"flags": flags, "$evaluators": evaluators, "metadata": metadata}
    use(json.dumps(content).encode(errors="surrogatepass"), "f.flagd.json")


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        b'{"flags": {' + b",".join(b'"a": {}' for _ in range(50_000)) + b"}}",
        b'{"flags": {"a": {"variants": {' + b",".join(b'"x": 1' for _ in range(200_000)) + b"}}}}",
        b'{"flags": {"a": {"variants": {"x": [' + b",".join(b"1e999" for _ in range(200_000)) + b"]}}}}",
        b'{"flags": {"a": {"variants": {"x": ' + b"9" * 1_000_000 + b"}}}}",
        b'{"flags": {"a": {"variants": {"x": "' + b"\\ud800" * 200_000 + b'"}}}}',
        b'{"flags": {"a": {"targeting": {"or": ['
        + b",".join(b'{"$ref": "x"}' for _ in range(50_000))
        + b"]}}}}",
        b'{"flags": {"a": {"targeting": {"if": ['
        + b",".join(b'{"==": [{"var": "x"}, "y"]}, "on"' for _ in range(20_000))
        + b"]}}}}",
        b'{"flags": {' + b",".join(b'"%d": 1' % number for number in range(20_000)) + b"}}",
    ],
    ids=[
        "flag-keys",
        "variant-keys",
        "numbers",
        "digits",
        "surrogates",
        "references",
        "clauses",
        "bad-flags",
    ],
)
@pytest.mark.timeout(60)  # a quadratic reader would take hours; a machine with other work takes a while
def test_large_faults_are_read_in_linear_time(data: bytes) -> None:
    use(data, "f.flagd.json")
