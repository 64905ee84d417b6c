"""`--fix` corrects spelling and nothing else: every user is served the same."""

import json

import pytest

from windsock.evaluator import FlagEvaluator
from windsock.flagfiles.files import FlagFile
from windsock.flagfiles.fixing import fix
from windsock.lint.linter import lint

BODY = '"variants": {"on": true, "off": false}, "defaultVariant": "off"'


def corrected(text: str) -> str:
    return fix(FlagFile("f.flagd.json", text.encode())).data.decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"flags": {"f": {' + BODY + "}}}", '{"flags": {"f": {"state": "ENABLED", ' + BODY + "}}}"),
        (
            '{"flags": {"f": {\n  ' + BODY + "\n}}}",
            '{"flags": {"f": {\n  "state": "ENABLED",\n  ' + BODY + "\n}}}",
        ),
        ('\ufeff{"flags": {}}', '{"flags": {}}'),
        (
            '{"flags": {"f": {"state": "enabled", "targeting": {"fractional": [["on", 10.0], ["off", 9e1]]}, '
            + BODY
            + "}}}",
            '{"flags": {"f": {"state": "ENABLED", "targeting": {"fractional": [["on", 10], ["off", 90]]}, '
            + BODY
            + "}}}",
        ),
        (
            '{"flags": {"f": {"state": "ENABLED", "targeting": {"if": [{"in": [{"var": "e"}, ["é", "b", "é"]]}, "on"]}, '
            + BODY
            + "}}}",
            '{"flags": {"f": {"state": "ENABLED", "targeting": {"if": [{"in": [{"var": "e"}, ["é", "b"]]}, "on"]}, '
            + BODY
            + "}}}",
        ),
        (
            '{"flags": {"f": {"state": "ENABLED", "targeting": null, "metadata": null, '
            + BODY
            + '}}, "metadata": null}',
            '{"flags": {"f": {"state": "ENABLED", "targeting": {}, "metadata": {}, '
            + BODY
            + '}}, "metadata": {}}',
        ),
    ],
)
def test_what_can_be_corrected_is_and_the_rest_of_the_text_stays(before, after):
    assert corrected(before) == after
    assert corrected(after) == after
    assert lint(after.encode(), "f.flagd.json").findings == ()


def test_users_get_what_they_got():
    text = '{"flags": {"f": {"targeting": {"fractional": [["on", 33.0], ["off", 67.0]]}, ' + BODY + "}}}"
    before, after = FlagEvaluator(), FlagEvaluator()
    before.set_flags(text)
    after.set_flags(corrected(text))
    for user in range(500):
        context = {"targetingKey": f"user-{user}"}
        assert before.compiled["f"].evaluate(context).variant == after.compiled["f"].evaluate(context).variant


def test_a_correction_that_would_change_what_is_served_is_not_made():
    typo = {
        "flags": {"f": {"state": "ENABLED", "variants": {"on": 1}, "defaultVariant": "onn", "targetting": {}}}
    }
    text = json.dumps(typo)
    assert corrected(text) == text


def test_a_list_of_numbers_and_booleans_keeps_both():
    rule = {"if": [{"in": [{"var": "e"}, [1, True, 1]]}, "on", "off"]}
    variants = {"on": True, "off": False}
    flag = {"state": "ENABLED", "variants": variants, "defaultVariant": "off", "targeting": rule}
    text = json.dumps({"flags": {"f": flag}})
    assert corrected(text) == text
    assert "listed-twice" in [finding.code for finding in lint(text.encode(), "f.flagd.json").findings]
