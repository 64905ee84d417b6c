"""Merging documents: the later wins, and never moves users in silence."""

import json

from windsock.flags import Document, merge, read_document


def document(name: str, **metadata: object) -> Document:
    content = {"metadata": metadata, "flags": {"a": {"variants": {name: 1}, "defaultVariant": name}}}
    return read_document(json.dumps(content).encode(), f"{name}.flagd.json")


def test_the_later_document_wins_and_a_problem_names_both() -> None:
    merged = merge([document("one"), document("two")])
    assert merged.flags["a"].default_variant == "two"
    assert str(merged.problems[0]) == (
        "two.flagd.json:1:1: flag 'a' /flags/a: also defined at one.flagd.json:1; the one here is served: keep one of them"
    )


def test_a_later_definition_that_changes_the_bucketing_is_refused() -> None:
    merged = merge([document("one"), document("two", bucketing="v3")])
    assert merged.flags["a"].default_variant == "one"
    assert "changing the bucketing moves users" in merged.problems[0].message


def test_an_explicit_v2_is_the_default() -> None:
    merged = merge([document("one"), document("two", bucketing="v2")])
    assert merged.flags["a"].default_variant == "two"


def test_the_revision_changes_with_any_document() -> None:
    one, two, three = document("one"), document("two"), document("three")
    revisions = {merge(each).revision for each in ([one], [one, two], [two, one], [one, three], [])}
    assert len(revisions) == 5
    assert merge([one]).revision == one.revision


def test_metadata_and_problems_of_every_document_are_kept() -> None:
    bad = read_document(b'{"flags": {"b": 1}}', "bad.flagd.json")
    merged = merge([document("one", x=1, y=1), bad, document("one", y=2)])
    assert merged.metadata == {"x": 1, "y": 2}
    assert [problem.source for problem in merged.problems] == ["bad.flagd.json", "one.flagd.json"]
