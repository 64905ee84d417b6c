"""Each code: a document that breaks the rule, at which line and column, and one that does not."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.lint.lint_page import PAGE, page
from tests.processor import at_most

from windsock.lint.linter import Level, LintOptions, lint, lint_overlaps
from windsock.lint.rules import BY_CODE, CATALOGUE

GOOD = {
    "state": "ENABLED",
    "variants": {"on": True, "off": False},
    "defaultVariant": "off",
    "targeting": {"if": [{"in": [{"var": "email"}, ["a@b.c"]]}, "on"]},
}


def document(**changes: object) -> dict[str, object]:
    return {"flags": {"f": GOOD | changes}}


def found(content: object, options: LintOptions | None = None) -> list[tuple[str, str]]:
    linted = lint(json.dumps(content).encode(), "f.flagd.json", options)
    return [(finding.code, finding.pointer) for finding in linted.findings]


def rule(condition: object) -> dict[str, object]:
    return document(targeting={"if": [condition, "on", "off"]})


IN_A = {"in": [{"var": "email"}, ["a", "b"]]}
SPLIT = [["on", 10], ["off", 90]]

BROKEN = [
    ("unknown-root", {**document(), "evaluators": {}}, "/evaluators"),
    ("unknown-property", document(targetting={}), "/flags/f/targetting"),
    ("unknown-property", document(description="x"), "/flags/f/description"),
    ("bad-flag", document(variants=[1]), "/flags/f/variants"),
    ("bad-flag", document(targeting="on"), "/flags/f/targeting"),
    ("bad-state", document(state="enabled"), "/flags/f/state"),
    ("metadata-value", document(metadata={"team": {"name": "a"}}), "/flags/f/metadata/team"),
    ("metadata-value", {**document(), "metadata": {"x": []}}, "/metadata/x"),
    ("bad-bucketing", document(metadata={"bucketing": "v4"}), "/flags/f/metadata/bucketing"),
    ("no-variants", document(variants={}), "/flags/f/variants"),
    ("default-not-variant", document(defaultVariant="of"), "/flags/f/defaultVariant"),
    ("missing-default", document(defaultVariant=None), "/flags/f/defaultVariant"),
    ("mixed-types", document(variants={"on": True, "off": "no"}), "/flags/f/variants/off"),
    ("mixed-numbers", document(variants={"on": 1, "off": 0.5}), "/flags/f/variants/on"),
    ("null-variant", document(variants={"on": None, "off": False}), "/flags/f/variants/on"),
    ("null-variant", document(variants={"on": [1], "off": False}), "/flags/f/variants/on"),
    ("unused-variant", document(variants={**GOOD["variants"], "third": True}), "/flags/f/variants/third"),
    ("overlay-default", {"flags": {"t.experiment": GOOD}}, "/flags/t.experiment/defaultVariant"),
    ("big-number", document(variants={"on": {"n": 2**53 + 1}, "off": {}}), "/flags/f/variants/on/n"),
    ("large-value", document(variants={"on": {"n": "x" * 300_000}, "off": {}}), "/flags/f/variants/on"),
    ("reference-in-value", document(variants={"on": {"$ref": "x"}, "off": {}}), "/flags/f/variants/on/$ref"),
    ("variant-characters", document(variants={**GOOD["variants"], "a&b": True}), "/flags/f/variants/a&b"),
    ("unknown-variant", document(targeting={"if": [IN_A, "onn"]}), "/flags/f/targeting/if/1"),
    ("unknown-variant", document(targeting={"fractional": [["onn", 1], ["off", 1]]}), "/flags/f/targeting/fractional/0/0"),
    ("unknown-variant", document(targeting=IN_A), "/flags/f/targeting/in"),
    ("unreachable", document(targeting={"if": [True, "on", "off"]}), "/flags/f/targeting/if/2"),
    ("unreachable", document(targeting={"if": [IN_A, "on", IN_A, "off"]}), "/flags/f/targeting/if/2"),
    ("unreachable", document(targeting={"if": [IN_A, "on", {"if": [IN_A, "off"]}]}), "/flags/f/targeting/if/2/if/0"),
    ("unreachable", document(targeting={"if": [IN_A, "on", {"==": [{"var": "email"}, "b"]}, "off"]}), "/flags/f/targeting/if/2"),
    ("flags-as-list", {"flags": [{"key": "f", **GOOD}]}, "/flags"),
    ("listed-twice", document(targeting={"if": [IN_A, "on", {"in": [{"var": "email"}, ["b", "c"]]}, "off"]}), "/flags/f/targeting/if/2"),
    ("listed-twice", rule({"in": [{"var": "email"}, ["b", "c", "b"]]}), "/flags/f/targeting/if/0/in/1"),
    ("millisecond-timestamp", rule({">": [{"var": "$flagd.timestamp"}, 1_700_000_000_000]}), "/flags/f/targeting/if/0/>/1"),
    ("attribute-typo", rule({"==": [{"var": "targeting_key"}, "a"]}), "/flags/f/targeting/if/0/==/0/var"),
    ("attribute-typo", rule({"==": [{"var": "flagd.timestamp"}, 5]}), "/flags/f/targeting/if/0/==/0/var"),
    ("flagd-attribute", rule({"==": [{"var": "$flagd.timestmp"}, 5]}), "/flags/f/targeting/if/0/==/0/var"),
    ("bad-flag", document(targeting=None), "/flags/f/targeting"),
    ("bad-flag", document(metadata=None), "/flags/f/metadata"),
    ("bad-flag", {"flags": {"": GOOD}}, "/flags/"),
    ("bad-flag", document(variants={**GOOD["variants"], "": True}), "/flags/f/variants/"),
    ("bad-flag", {**document(), "$evaluators": {"": IN_A}}, "/$evaluators/"),
    ("attribute-typo", rule({"or": [IN_A, {"!=": [{"var": "email"}, "x"]}, {"==": [{"var": "emial"}, "a"]}]}), "/flags/f/targeting/if/0/or/2/==/0/var"),
    ("operator-arguments", rule({"starts_with": [{"var": "email"}]}), "/flags/f/targeting/if/0/starts_with"),
    ("operator-arguments", rule({"sem_ver": [{"var": "v"}, "==", "1.0.0"]}), "/flags/f/targeting/if/0/sem_ver/1"),
    ("operator-arguments", rule({"sem_ver": [{"var": "v"}, {"var": "r"}, "1.0.0"]}), "/flags/f/targeting/if/0/sem_ver/1"),
    ("operator-arguments", rule({"sem_ver": [{"var": "v"}, "=", "1.0.0.0"]}), "/flags/f/targeting/if/0/sem_ver/2"),
    ("operator-arguments", rule({"starts_with": [{"var": "email"}, 1]}), "/flags/f/targeting/if/0/starts_with/1"),
    ("operator-arguments", rule({"in": ["x", {"merge": []}]}), "/flags/f/targeting/if/0/in/1/merge"),
    ("operator-arguments", rule({"in": ["x", {"merge": {"var": "x"}}]}), "/flags/f/targeting/if/0/in/1/merge"),
    ("operator-arguments", rule({"==": [{"substr": ["abc"]}, "a"]}), "/flags/f/targeting/if/0/==/0/substr"),
    ("operator-arguments", rule({"==": [{"substr": ["abc", 1, 2, 3]}, "a"]}), "/flags/f/targeting/if/0/==/0/substr"),
    ("operator-arguments", rule({">": [1, 2, 3]}), "/flags/f/targeting/if/0/>"),
    ("operator-arguments", rule({"==": [{"var": "x"}, {}]}), "/flags/f/targeting/if/0/==/1"),
    ("operator-arguments", rule({"missing": "x"}), "/flags/f/targeting/if/0/missing"),
    ("operator-arguments", rule({"missing_some": []}), "/flags/f/targeting/if/0/missing_some"),
    ("operator-arguments", rule({"missing_some": ["x", ["a"]]}), "/flags/f/targeting/if/0/missing_some"),
    ("operator-arguments", document(targeting={"fractional": [["on", None], ["off", 90]]}), "/flags/f/targeting/fractional/0"),
    ("operator-arguments", document(targeting={"fractional": [["on", 1, 2], ["off", 90]]}), "/flags/f/targeting/fractional/0"),
    ("operator-arguments", document(targeting={"fractional": [["on", 10], "off"]}), "/flags/f/targeting/fractional/1"),
    ("operator-arguments", document(targeting={"fractional": [{"cat": [{"var": "$flagd.flagKey"}, "x"]}]}), "/flags/f/targeting/fractional"),
    ("bad-flag", {**document(), "$evaluators": None}, "/$evaluators"),
    ("bad-flag", {**document(), "metadata": None}, "/metadata"),
    ("several-operators", document(targeting={"fractional": [{"var": "x", "y": 1}, *SPLIT]}), "/flags/f/targeting/fractional/0"),
    ("unknown-reference", rule({"$ref": 1}), "/flags/f/targeting/if/0/$ref"),
    ("unknown-operator", rule({"abs": [1]}), "/flags/f/targeting/if/0/abs"),
    ("operator-arguments", rule({"and": []}), "/flags/f/targeting/if/0/and"),
    ("nested-buckets", document(targeting={"fractional": [SPLIT]}), "/flags/f/targeting/fractional/0"),
    ("no-weight", document(targeting={"fractional": [["on", 0], ["off", 0]]}), "/flags/f/targeting/fractional"),
    ("bucketing-without-flag-key", document(targeting={"fractional": [{"cat": [{"var": "email"}]}, *SPLIT]}), "/flags/f/targeting/fractional/0"),
    ("constant-bucketing-key", document(targeting={"fractional": ["seed", *SPLIT]}), "/flags/f/targeting/fractional/0"),
    ("unknown-reference", rule({"$ref": "nobody"}), "/flags/f/targeting/if/0"),
    ("unused-evaluator", {**document(), "$evaluators": {"e": IN_A}}, "/$evaluators/e"),
    ("evaluator-characters", {**rule({"$ref": "e"}), "$evaluators": {"e": {"==": [{"var": "x"}, "ü"]}}}, "/$evaluators/e"),
    ("fractional-weight", document(targeting={"fractional": [["on", 10.0], ["off", 90]]}), "/flags/f/targeting/fractional/0/1"),
    ("several-operators", rule({"==": [1, 2], "in": ["a", ["a"]]}), "/flags/f/targeting/if/0"),
    ("number-result", document(targeting={"if": [IN_A, 1.0, "off"]}, variants={"1": True, "off": False}), "/flags/f/targeting/if/1"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "content", "pointer"), BROKEN)
def test_a_broken_rule_is_found_at_its_place(code, content, pointer):
    assert (code, pointer) in found(content)


@pytest.mark.parametrize(
    "suppressed", [{}, {"lint.unused-variant": "kept for April", "lint.big-number": "old"}]
)
def test_one_flag_is_linted_as_in_the_whole_document(suppressed):
    """Beside every broken flag of this page: what the document's rules compare among flags counts too."""
    bodies = [
        body
        for _, content, _ in BROKEN
        if isinstance(content["flags"], dict)
        for body in content["flags"].values()
    ]
    flags = {f"f{number}": body for number, body in enumerate([*bodies, GOOD])}
    data = json.dumps({"flags": flags, "metadata": suppressed}).encode()
    whole = lint(data, "f.flagd.json").findings
    assert len({each.code for each in whole}) > 20
    for key in flags:
        ours = [each for each in whole if each.flag == key]
        assert [each for each in lint(data, "f.flagd.json", only=key).findings if each.flag] == ours
    about_the_file = [each for each in whole if each.flag is None and each.code != "suppression"]
    assert [
        each for each in lint(data, "f.flagd.json", only="f0").findings if not each.flag
    ] == about_the_file


def test_a_good_document_has_no_findings():
    assert found(document()) == []
    assert found({**rule({"$ref": "e"}), "$evaluators": {"e": IN_A}, "$schema": "x"}) == []
    assert found(document(targeting={"fractional": SPLIT})) == []
    assert (
        found(document(targeting=IN_A, variants={"true": True, "false": False}, defaultVariant="false")) == []
    )
    assert (
        found(
            {"flags": {"t.experiment": GOOD | {"variants": {"none": {}, "on": {}}, "defaultVariant": "none"}}}
        )
        == []
    )


def test_shared_rules_may_give_variants_and_are_checked_for_each_flag():
    shared = {"$evaluators": {"e": {"if": [IN_A, "on", "gold"]}}}
    content = {**document(targeting={"$ref": "e"}), **shared}
    assert ("unknown-variant", "/flags/f/targeting") in found(content)
    content = {**document(targeting={"$ref": "e"}, variants={"on": 1, "off": 2, "gold": 3}), **shared}
    assert found(content) == []


def test_a_chain_of_shared_rules_is_linted_however_long():
    chain = {f"r{n}": {"if": [IN_A, {"$ref": f"r{n + 1}"}, "off"]} for n in range(2_000)}
    content = {"$evaluators": chain | {"r2000": {"if": [IN_A, "lost", "on"]}}}
    content |= document(targeting={"$ref": "r0"})
    assert {"unknown-variant", "nested-reference"} <= {code for code, _ in found(content)}


def test_a_circle_of_shared_rules_is_one_finding():
    evaluators = {
        "a": {"if": [{"$ref": "b"}, "on"]},
        "b": {"!": [{"$ref": "a"}]},
        "c": {"$ref": "d"},
        "d": IN_A,
    }
    codes = found({**rule({"$ref": "a"}), "$evaluators": evaluators})
    assert ("reference-cycle", "/$evaluators/a/if/0") in codes
    assert ("reference-cycle", "/$evaluators/b/!/0") in codes
    assert ("nested-reference", "/$evaluators/c") in codes


def test_policies_are_off_by_default():
    content = document(targeting={"fractional": [["on", 1], ["off", 2]]})
    assert found(content) == []
    asked = LintOptions(frozenset({"missing-owner", "weights-not-100"}))
    assert {code for code, _ in found(content, asked)} == {"missing-owner", "weights-not-100"}
    assert found({**document(), "metadata": {"owner": "us"}}, asked) == []


def test_what_only_looks_like_a_mistake_is_not_found():
    def asks(*names: str) -> object:
        return rule({"or": [{"==": [{"var": name}, number]} for number, name in enumerate(names, 1)]})

    assert found(asks("score2", "score2", "score1")) == [], "numbered attributes"
    assert found(asks("tier", "tiers")) == [], "neither is used more than the other"
    assert found(document(targeting={"fractional": [{"cat": ["a seed", {"var": "email"}]}, *SPLIT]})) == []
    one = document(targeting={"fractional": [["on", 10]]}, defaultVariant="off")
    assert found(one, LintOptions(frozenset({"weights-not-100"}))) == []


def test_declared_attributes_are_the_only_ones():
    options = LintOptions(attributes=frozenset({"company"}))
    assert found(rule({"==": [{"var": "company.size"}, 5]}), options) == []
    assert found(document(), options) == [("unknown-attribute", "/flags/f/targeting/if/0/in/0/var")]


@pytest.mark.parametrize(
    ("expires", "codes"), [("2026-05-31", ["expired"]), ("2026-06-01", []), ("soon", ["expired"])]
)
def test_a_flag_expires_the_day_after(expires, codes):
    content = document(metadata={"expires": expires})
    assert [code for code, _ in found(content, LintOptions(today=date(2026, 6, 1)))] == codes


def test_a_suppression_needs_a_reason_and_something_to_silence():
    broken = {"variants": {**GOOD["variants"], "third": True}}
    silenced = document(**broken, metadata={"lint.unused-variant": "kept for April"})
    linted = lint(json.dumps(silenced).encode(), "f.flagd.json")
    assert linted.findings == ()
    assert [finding.code for finding in linted.suppressed] == ["unused-variant"]
    for metadata in (
        {"lint.unused-variant": " "},
        {"lint.nonsense": "because"},
        {"lint.big-number": "nothing there"},
        {"lint.bad-state": "an error is not to be silenced"},
    ):
        assert "suppression" in [code for code, _ in found(document(**broken, metadata=metadata))]
    for_the_file = {**document(**broken), "metadata": {"lint.unused-variant": "kept for April"}}
    assert found(for_the_file) == []


def test_an_error_cannot_be_silenced():
    content = document(state="on", metadata={"lint.bad-state": "trust me"})
    content["metadata"] = {"lint.bad-state": "trust me"}
    linted = lint(json.dumps(content).encode(), "f.flagd.json")
    assert sorted(finding.code for finding in linted.findings) == ["bad-state", "suppression", "suppression"]
    assert linted.suppressed == ()


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\u202eb", "a\u200bb", "a\x85b", "a\u2028b", ""])
def test_a_name_that_cannot_be_seen_is_an_error(name):
    odd = {"state": "ENABLED", "variants": {name: True, "off": False}, "defaultVariant": name}
    content = {"flags": {name: odd}, "$evaluators": {name: True}}
    findings = lint(json.dumps(content).encode(), "f.flagd.json").findings
    assert {"/flags/" + name, f"/flags/{name}/variants/{name}", "/$evaluators/" + name} <= {
        finding.pointer for finding in findings if finding.code == "bad-flag"
    }


def test_lines_and_columns_are_those_of_the_text():
    text = b'{\n  "flags": {\n    "f": {"state": "ENABLED", "variants": {"a": 1},\n      "defaultVariant": "b"}\n  }\n}\n'
    [finding] = lint(text, "x.flagd.json").findings
    assert (finding.line, finding.column, finding.flag) == (4, 25, "f")
    assert str(finding).startswith("x.flagd.json:4:25  error  default-not-variant")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b'{"flags": {', "cut off"),
        (b'\xef\xbb\xbf{"flags": {}}', "byte order mark"),
        (b'{"flags": {"\xff": 1}}', "is not UTF-8"),
        (b'{\n<<<<<<< HEAD\n"flags": {}\n=======\n', "merge conflict"),
        (b'{\n// the flags\n"flags": {}}', "JSON has no comments"),
    ],
)
def test_an_unreadable_file_says_why_and_where(data, words):
    [finding] = lint(data, "x.flagd.json").findings
    assert finding.code == "unreadable"
    assert finding.level is Level.ERROR
    assert words in finding.message


def test_what_reading_refuses_is_never_lost():
    text = b'{"flags": {"f": {"state": "ENABLED", "variants": {"a": 1, "a": 2}, "defaultVariant": "a"}, "g": {"variants": NaN}}}'
    assert {finding.code for finding in lint(text, "x.flagd.json").findings} == {"bad-value"}


def test_a_flag_in_two_files_is_found_at_the_second():
    data = json.dumps(document()).encode()
    documents = [lint(data, name).document for name in ("a.flagd.json", "b.flagd.json")]
    [finding] = lint_overlaps(documents)
    assert (finding.source, finding.code, finding.flag) == ("b.flagd.json", "defined-twice", "f")


def test_yaml_is_linted_with_places():
    text = b"flags:\n  f:\n    state: ENABLED\n    variants: {a: 1, b: 2}\n    defaultVariant: c\n"
    findings = lint(text, "x.flagd.yaml").findings
    assert [(finding.code, finding.line) for finding in findings] == [("default-not-variant", 5)]


def test_a_word_in_yaml_that_is_a_boolean_elsewhere_is_found_as_key_and_value():
    text = b"""flags:
  f:
    state: ENABLED
    variants:
      on: "yes"
      'off': 'No'
    defaultVariant: on
    targeting:
      if: [{in: [{var: country}, [NO, 'SE', true]]}, "on"]
"""
    found = [finding for finding in lint(text, "x.flagd.yaml").findings if finding.code == "yaml-boolean"]
    assert [(finding.line, finding.message.split()[0]) for finding in found] == [
        (5, "on"),
        (7, "on"),
        (9, "NO"),
    ]


def test_the_page_says_what_the_catalogue_says():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.lint.lint_page"


def test_every_code_of_ours_has_an_example_here():
    shown = {code for code, _, _ in BROKEN} | {
        "unreadable", "bad-value", "yaml-boolean", "defined-twice", "suppression", "reference-cycle", "nested-reference",
        "expired", "missing-owner", "weights-not-100", "unknown-attribute", "deep-value", "settings-value", "large-file",
        "experiment", "feature-value",
    }  # fmt: skip
    from windsock.lint.portable.known import BY_CODE as CONSTRUCTS

    assert {rule.code for rule in CATALOGUE} - set(CONSTRUCTS) - shown == set()
    assert len(BY_CODE) == len(CATALOGUE)


def test_a_value_nested_too_deep():
    value: object = 1
    for _ in range(25):
        value = {"x": value}
    assert "deep-value" in [code for code, _ in found(document(variants={"on": value, "off": {}}))]


@given(st.dictionaries(st.integers(0, 6), st.lists(st.integers(0, 6), max_size=3), max_size=7))
def test_a_reference_is_in_a_circle_where_it_leads_back_to_its_rule(graph):
    def reaches(at: int, goal: int, seen: frozenset[int] = frozenset()) -> bool:
        return at == goal or any(
            reaches(other, goal, seen | {at}) for other in graph.get(at, []) if other not in seen | {at}
        )

    rules = {
        f"e{name}": {"and": [{"$ref": f"e{other}"} for other in others]} for name, others in graph.items()
    }
    content = {**document(), "$evaluators": rules}
    found_here = lint(json.dumps(content).encode(), "f.flagd.json").findings
    circles = sorted(finding.pointer for finding in found_here if finding.code == "reference-cycle")
    assert circles == sorted(
        f"/$evaluators/e{name}/and/{place}"
        for name, others in graph.items()
        for place, other in enumerate(others)
        if other in graph and reaches(other, name)
    )


def _chain(conditions, results):
    return [each for pair in zip(conditions, results, strict=True) for each in pair]


NUMBERS = range(8_000)
LONG_DOCUMENTS = {
    "conditions": document(
        targeting={
            "if": _chain(
                [{"==": [{"var": "email"}, f"v{each}"]} for each in NUMBERS], ["on" for _ in NUMBERS]
            )
        }
    ),
    "results that are no variants": document(
        variants={f"v{each}": each for each in NUMBERS} | {"on": 1},
        targeting={
            "if": _chain(
                [{"==": [{"var": "email"}, each]} for each in NUMBERS], [f"w{each}" for each in NUMBERS]
            )
        },
    ),
    "attributes": document(
        targeting={
            "if": _chain(
                [
                    {"==": [{"var": f"attribute{each}"}, {"var": f"attribute{each % 3_000}"}]}
                    for each in NUMBERS
                ],
                ["on" for _ in NUMBERS],
            )
        }
    ),
}


@pytest.mark.parametrize("content", LONG_DOCUMENTS.values(), ids=LONG_DOCUMENTS)
def test_thousands_of_anything_take_seconds(content):
    with at_most(10):
        lint(json.dumps(content).encode(), "f.flagd.json")


@pytest.mark.slow
@pytest.mark.parametrize("last", [True, {"$ref": "e0"}, {"$ref": "e"}])
def test_thousands_of_references_take_seconds(last):
    rules = {f"e{each}": {"and": [{"$ref": f"e{each + 1}"}]} for each in range(5000)} | {"e5000": last}
    data = {**document(targeting={"if": [{"$ref": "e0"}, "on"]}), "$evaluators": rules}
    with at_most(10):
        lint(json.dumps(data).encode(), "f.flagd.json")
