"""Beside the official schema: what it refuses is an error here, and its own samples have none."""

import json
import random
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.evaluator.portable_rules import PortableRules
from tests.go_modules import module_folder
from tests.lint.schema_documents import Documents, schema_of, without_what_engines_take
from tests.lint.test_portable import clean, document
from tests.lint.test_rules import BROKEN

from windsock.lint.linter import Finding, Level, lint

FOR_THE_SERVER_ALONE = ("with-array-flags.json", "example.flagdimport.array.json")
WRONG_ON_PURPOSE = {
    "full.json": ["operator-arguments", "unknown-variant"] * 2,  # its branches to `fail`
}


@pytest.fixture(scope="module")
def folder() -> Path:
    return module_folder("github.com/open-feature/flagd-schemas") / "json"


@pytest.fixture(scope="module")
def official(folder: Path) -> jsonschema_rs.Draft7Validator:
    return schema_of(folder)


def errors(content: object) -> list[Finding]:
    findings = lint(json.dumps(content).encode(), "f.flagd.json").findings
    return [finding for finding in findings if finding.level is Level.ERROR]


def as_document(path: Path) -> object:
    """A sample, and a document around it where the sample is a bare rule."""
    content = json.loads(path.read_text())
    return document([content]) if path.parent.parent.name == "targeting" else content


def test_the_official_samples_have_no_errors(folder, official):
    samples = sorted([*(folder / "examples").glob("*.json"), *(folder / "test").glob("*/positive/*.json")])
    assert len(samples) > 10
    for path in samples:
        content = as_document(path)
        bare = path.parent.parent.name == "targeting"  # which names neither variants nor shared rules
        found = [
            finding.code
            for finding in errors(content)
            if not (bare and finding.code in ("unknown-variant", "unknown-reference"))
            and not (path.name in FOR_THE_SERVER_ALONE and finding.code == "flags-as-list")
        ]
        assert found == WRONG_ON_PURPOSE.get(path.name, []), path.name
        assert official.is_valid(content) is (path.name not in WRONG_ON_PURPOSE), path.name


def test_the_official_bad_samples_have_errors(folder, official):
    samples = [
        path
        for path in (folder / "test").glob("*/negative/*.json")
        if not official.is_valid(as_document(path))
    ]
    assert len(samples) > 10
    for path in samples:
        found = {finding.code for finding in errors(as_document(path))}
        assert found - {"unknown-variant"}, path.name


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_what_the_schema_refuses_is_an_error(official, seed: int, times: int):
    documents = Documents(random.Random(seed))
    content = documents.document()
    assert official.is_valid(content)
    mutated = documents.broken(content, times)
    if not official.is_valid(without_what_engines_take(mutated)):
        assert errors(mutated), mutated


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_operands_that_the_schema_takes_are_not_refused(official, seed: int):
    content = Documents(random.Random(seed)).document()
    assert official.is_valid(content)
    codes = {finding.code for finding in errors(content)}
    assert not codes & {
        "operator-arguments",
        "unknown-operator",
        "flagd-attribute",
        "bad-flag",
        "bad-state",
        "metadata-value",
    }


@pytest.mark.parametrize(
    "rule",
    [
        {"$ref": "shared"},
        {"if": [{"starts_with": [{"$ref": "shared"}, "a"]}, "a", "b"]},
        {"if": [{"sem_ver": [{"var": "v"}, ">", "v1.2"]}, "a", "b"]},
        {"if": [{"sem_ver": [{"cat": ["1.2.", {"var": "v"}]}, ">", "1.2.0"]}, "a", "b"]},
        {"fractional": [["a", 1]]},
        {"if": [{"fractional": [[True, 50], [False, 50]]}, "a", "b"]},
        {"fractional": [["a", {"+": [1, {"var": "n"}]}], ["b", 1]]},
        {"fractional": [[{"if": [True, "a"]}, 1], ["b", 1]]},
        {"?:": [{"in": [{"var": "v"}, ["x"]]}, "a", "b"]},
    ],
)  # fmt: skip
def test_what_every_engine_accepts_is_not_an_error_though_the_schema_refuses_it(official, rule):
    content = document([rule]) | {"$evaluators": {"shared": {"var": "v"}}}
    assert not official.is_valid(content)
    assert official.is_valid(without_what_engines_take(content))
    assert errors(content) == []


@pytest.mark.parametrize(("code", "content"), [(code, content) for code, content, _ in BROKEN])
def test_what_the_schema_refuses_of_our_examples_is_an_error(official, code, content):
    if not official.is_valid(without_what_engines_take(content)):
        assert errors(content), code


def test_what_lints_clean_is_valid(official):
    rules = PortableRules(random.Random(5))
    documents = [document([rules.rule()]) for _ in range(500)]
    kept = [content for content in documents if clean(content)]
    assert len(kept) > 300
    assert [content for content in kept if not official.is_valid(without_what_engines_take(content))] == []
