"""YAML documents: the values that flagd reads, and places for everything that is wrong."""

import json

import pytest

from windsock.errors import FlagFileError
from windsock.flags import Document, read_document


def read(text: str) -> Document:
    return read_document(text.encode(), "app.flagd.yaml")


def variant(text: str) -> object:
    return read(f"flags: {{a: {{variants: {{v: {text}}}}}}}").flags["a"].variants["v"]


def test_a_document_is_read_with_lines() -> None:
    document = read(
        "metadata: {owner: core}\nflags:\n  checkout:\n    state: ENABLED\n    variants:\n      on: true\n      off: false\n"
        "    defaultVariant: off\n    targeting:\n      if:\n        - in: [{var: targetingKey}, [ada, bob]]\n        - on\n"
    )
    flag = document.flags["checkout"]
    assert document.problems == ()
    assert (flag.line, flag.variants, flag.default_variant) == (3, {"on": True, "off": False}, "off")
    assert flag.targeting == {"if": [{"in": [{"var": "targetingKey"}, ["ada", "bob"]]}, "on"]}
    assert flag.metadata == {"owner": "core"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("No", "No"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("12", 12),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("0b11", 3),
        ("-7", -7),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("1.2.3", "1.2.3"),
        ("2026-01-01", "2026-01-01"),
    ],
)
def test_plain_values_are_what_flagd_reads(text: str, value: object) -> None:
    assert json.dumps(variant(text)) == json.dumps(value)


def test_anchors_and_merges() -> None:
    document = read(
        "x-rule: &beta {in: [{var: tier}, [pro]]}\nx-base: &base {state: ENABLED, variants: {a: 1, b: 2}}\n"
        "flags:\n  one: {<<: *base, defaultVariant: a, targeting: {if: [*beta, b]}}\n"
    )
    flag = document.flags["one"]
    assert (flag.variants, flag.default_variant) == ({"a": 1, "b": 2}, "a")
    assert flag.targeting == {"if": [{"in": [{"var": "tier"}, ["pro"]]}, "b"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "flags:\n  a:\n    variants: {v: .inf}\n",
            "3:19: flag 'a' /flags/a/variants/v: .inf is not a number",
        ),
        (
            "flags:\n  a:\n    variants: {v: 1e400}\n",
            "3:19: flag 'a' /flags/a/variants/v: 1e400 is not a number",
        ),
        ("flags:\n  a:\n    variants: 3\n", "3:15: flag 'a' /flags/a/variants: variants must be an object"),
        (
            "flags:\n  a:\n    variants: {x: 1}\n    defaultVariant: y\n",
            "4:21: flag 'a' /flags/a/defaultVariant: ",
        ),
    ],
)
def test_a_bad_flag_is_left_out_and_placed(text: str, message: str) -> None:
    document = read(text + "  good: {variants: {}}\n")
    assert list(document.flags) == ["good"]
    assert str(document.problems[0]).startswith(f"app.flagd.yaml:{message}")


def test_keys_written_twice_are_named() -> None:
    document = read("flags:\n  a: {variants: {x: 1, x: 2}}\n  a: {variants: {y: 1}}\n")
    assert [str(problem).split(";")[0] for problem in document.problems] == [
        (
            "app.flagd.yaml:2:24: flag 'a' /flags/a/variants/x: "
            "'x' is written twice (first in line 2) and the last one counts"
        ),
        "app.flagd.yaml:3:3: flag 'a' /flags/a: 'a' is written twice (first in line 2) and the last one counts",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "app.flagd.yaml:1:1: "),
        ("flags: [", "not YAML"),
        ("flags: {}\n---\nflags: {}\n", "app.flagd.yaml:2:1: there is a second document"),
        ("flags: 3", "app.flagd.yaml:1:8: "),
        ("flags: {a: !!python/object:os.system {}}", "app.flagd.yaml:1:"),
        ("flags: {a: {variants: {v: !secret x}}}", "the tag !secret has no meaning"),
        ("flags: &a {x: *a}", "*a names no value"),
        ("flags: {? [1]: 2}", "a key must be a plain value"),
        ("metadata: {x: .nan}\nflags: {}", ".nan is not a number"),
        ("[" * 100_000, "more than 200 deep"),
        ("- " * 50_000, "more than 200 deep"),
        (
            "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n"
                for a, b in zip("abcdefg", "bcdefgh", strict=True)
            ),
            "more than 1000000 values",
        ),
        ("x" * (9 * 1024 * 1024), "write JSON"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(FlagFileError) as caught:
        read(text)
    assert says in str(caught.value)
