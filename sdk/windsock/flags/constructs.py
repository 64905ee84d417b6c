"""The one list of constructs on which flagd (Go), flagd-core (npm) and flagd-core (Python) disagree."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from windsock.flags.model import JsonValue

Dissenter: TypeAlias = Literal["npm", "python"]


@dataclass(frozen=True, slots=True)
class Construct:
    """Something that a rule may contain and that not every flagd evaluates alike.

    Attributes:
        code: The stable code that the linter and the documentation use.
        name: What it is, in a few words.
        explanation: What the flagd server makes of it (and windsock with it), what others make of it, what
            to write.
        dissenters: Who disagrees with the server about the example.
        rule: An example.
        context: Attributes for which the example shows the disagreement.
        in_rule: Whether the rule alone shows it; otherwise it depends on the attributes that come at run
            time.
    """

    code: str
    name: str
    explanation: str
    dissenters: tuple[Dissenter, ...]
    rule: JsonValue
    context: Mapping[str, JsonValue] = field(default_factory=dict)
    in_rule: bool = True


def _when(condition: JsonValue) -> JsonValue:
    return {"if": [condition, "a", "b"]}


def _var(name: str) -> JsonValue:
    return {"var": name}


_BOTH: Final[tuple[Dissenter, ...]] = ("npm", "python")
_NPM: Final[tuple[Dissenter, ...]] = ("npm",)
_PYTHON: Final[tuple[Dissenter, ...]] = ("python",)

CONSTRUCTS: Final[tuple[Construct, ...]] = (
    Construct(
        "in-mixed-list",
        "`in` with a list that is not all text or all numbers",
        "The server reads text as numbers for a number, takes an inner list for a range and fails on "
        "other types; the others compare item by item. Write a list of one type.",
        _BOTH,
        _when({"in": [_var("n"), [[1, 5]]]}),
        {"n": 3},
    ),
    Construct(
        "in-number-among-texts",
        "`in` that looks for a number in a list of texts",
        'The server finds 1 in ["1"], and 0 in any list of text that is no number; the others do not. '
        "Send the attribute as text.",
        _BOTH,
        _when({"in": [_var("n"), ["1", "2"]]}),
        {"n": 1},
        in_rule=False,
    ),
    Construct(
        "in-boolean-among-numbers",
        "`in` that looks for a boolean in a list of numbers",
        "Python finds true in [1]. Compare with `==`.",
        _PYTHON,
        _when({"in": [_var("b"), [1, 2]]}),
        {"b": True},
        in_rule=False,
    ),
    Construct(
        "in-text-needle",
        "`in` with literal text to search in, and no literal to search for",
        "When the attribute is missing or no text the server fails with PARSE_ERROR; the others search "
        "its text. Write a list of texts.",
        _BOTH,
        _when({"in": [_var("missing_one"), "abc"]}),
    ),
    Construct(
        "compare-with-zero",
        "`==`, `!=`, `<=` or `>=` with 0 or blank text",
        'Empty text and missing attributes differ: the server has "" == 0 and not null == 0, Python the '
        "reverse, npm both. Give the `var` a default, or compare with `<` or `>`.",
        _PYTHON,
        _when({"==": [_var("t"), 0]}),
        {"t": ""},
    ),
    Construct(
        "compare-types",
        "comparing text that is no number with a number or boolean",
        "The server compares with NaN, which is false; npm fails. Compare values of one type.",
        _NPM,
        _when({"<": [_var("t"), 10]}),
        {"t": "abc"},
        in_rule=False,
    ),
    Construct(
        "compare-lists",
        "comparing a list",
        "No list equals anything in the server; npm and Python compare contents. Use `in` or `all`.",
        _BOTH,
        _when({"===": [_var("l"), _var("l")]}),
        {"l": ["a"]},
        in_rule=False,
    ),
    Construct(
        "strict-boolean",
        "`===` or `!==` with a boolean, 0 or 1",
        "Python has 1 === true. Use `==` on attributes of one type.",
        _PYTHON,
        _when({"===": [_var("n"), True]}),
        {"n": 1},
    ),
    Construct(
        "comparison-arguments",
        "a comparison with more or fewer values than it takes",
        "The server ignores what is too many, npm fails or compares it. Write two values, or three for "
        "a range.",
        _NPM,
        _when({"==": [1, 1, 2]}),
    ),
    Construct(
        "object-as-condition",
        "an object as a condition",
        "An empty object counts as false in the server and npm, as true in Python. Test a property.",
        _PYTHON,
        _when(_var("o")),
        {"o": {}},
        in_rule=False,
    ),
    Construct(
        "negation-without-list",
        "`!` or `!!` of something not written in a list",
        "Where that is a list, the server negates its first element, the others the list. Write a list "
        "around it.",
        _BOTH,
        _when({"!": _var("l")}),
        {"l": [0]},
    ),
    Construct(
        "arguments-without-list",
        "`if`, `and` or `or` without a list",
        "The server and npm fail, Python takes it for one argument. Write a list.",
        _PYTHON,
        {"if": "a"},
    ),
    Construct(
        "missing",
        "`missing` or `missing_some`",
        "The server and npm count empty text as there, Python as missing; npm counts null as there. "
        "Compare with null.",
        _PYTHON,
        _when({"missing": ["t"]}),
        {"t": ""},
    ),
    Construct(
        "modulo",
        "`%`",
        "A negative number keeps its sign in the server and npm, and takes the divisor's in Python. Use "
        "`fractional`.",
        _PYTHON,
        _when({"==": [{"%": [_var("n"), 3]}, -1]}),
        {"n": -7},
    ),
    Construct(
        "division",
        "`/` by anything but a literal that is not 0",
        "Dividing by zero is infinity in the server and an error elsewhere. Divide by a literal.",
        _BOTH,
        _when({">": [{"/": [_var("n"), 0]}, 1]}),
        {"n": 7},
    ),
    Construct(
        "arithmetic-on-missing",
        "arithmetic on a missing attribute",
        "The server fails with PARSE_ERROR, the others count it as 0. Give the `var` a default.",
        _BOTH,
        _when({"==": [{"+": [_var("missing_one"), 1]}, 1]}),
        in_rule=False,
    ),
    Construct(
        "maximum-of-text",
        "`max` or `min` of text",
        "The server and Python read it as a number, npm fails. Send numbers.",
        _NPM,
        _when({"==": [{"max": [_var("t"), 3]}, 7]}),
        {"t": "7"},
        in_rule=False,
    ),
    Construct(
        "cat-missing",
        "`cat` with a missing attribute, a boolean or a list",
        'Nothing is added for null in the server, "null" elsewhere; booleans and lists fail in the '
        "server. Give the `var` a default.",
        _BOTH,
        {"cat": ["a", _var("missing_one")]},
        in_rule=False,
    ),
    Construct(
        "cat-space",
        "`cat` that begins or ends with white space",
        "The server trims what it joins, the others do not. Leave the space out.",
        _BOTH,
        _when({"==": [{"cat": ["x", " "]}, "x "]}),
    ),
    Construct(
        "substr-beyond",
        "`substr` that starts behind the end of the text",
        "The server gives the whole text, the others nothing. Use `starts_with` or `ends_with`.",
        _BOTH,
        {"substr": [_var("t"), 5]},
        {"t": "ab"},
        in_rule=False,
    ),
    Construct(
        "number-result",
        "a number as the result of a rule",
        '1.0 and 4 / 2 select the variant "1" or "2" in the server and npm, "1.0" or "2.0" in Python. '
        "Name variants by text.",
        _PYTHON,
        {"if": [True, {"/": [4, 2]}]},
    ),
    Construct(
        "list-result",
        "a list as the result of a rule",
        "The server and Python look up its JSON text, npm another. Name variants by text.",
        _NPM,
        {"if": [True, []]},
    ),
    Construct(
        "rule-not-object",
        "a rule that is no object",
        "The server and npm take text for the variant's name, Python fails. Use `defaultVariant`.",
        _PYTHON,
        "a",
    ),
    Construct(
        "several-operators",
        "an object with several operators",
        "The server takes it as a value, true in a condition; npm takes the first operator. Write one "
        "operator.",
        _NPM,
        _when({"==": [1, 2], "x": 1}),
    ),
    Construct(
        "unknown-operator",
        "an operator that not every flagd has",
        "Unknown operators fail in the server where they are reached, in npm at once. The server alone has "
        "`abs`, `set`, `contains_all`, `contains_any` and `contains_none`; npm alone `??`, `eachKey`, "
        "`every`, `exists`, `get`, `keys`, `length`, `not`, `pipe`, `preserve`, `throw`, `try` and `val`; "
        "Python alone `log`. Use an operator of JSONLogic or flagd.",
        _BOTH,
        _when({"abs": [-1]}),
    ),
    Construct(
        "var-number",
        "`var` with a number",
        "The server and npm read the attribute of that name, Python does not. Write text.",
        _PYTHON,
        _when({"==": [{"var": 1}, "x"]}),
        {"1": "x"},
    ),
    Construct(
        "var-leading-dot",
        "`var` with a dot at the start, at the end or doubled",
        "The server ignores empty steps, the others look for an empty name. Write the plain path.",
        _BOTH,
        _when({"==": [_var(".t"), "x"]}),
        {"t": "x"},
    ),
    Construct(
        "var-into-list",
        "`var` with a name as a step into a list",
        "The server takes the first element, the others nothing. Use a position, or `some`.",
        _BOTH,
        _when({"==": [_var("l.x"), "a"]}),
        {"l": ["a"]},
        in_rule=False,
    ),
    Construct(
        "variable-in-list-condition",
        'a variable other than "" inside `filter`, `map`, `all`, `some`, `none` or `reduce`',
        "The server first looks in the whole context, the others only in the element. Test plain "
        'elements with {"var": ""}.',
        _BOTH,
        _when({"some": [_var("l"), {"==": [_var("x"), 1]}]}),
        {"l": [{"x": 1}], "x": 2},
    ),
    Construct(
        "all-of-missing",
        "`all` of a missing list",
        "False in the server and Python, true in npm. Give the `var` a default.",
        _NPM,
        _when({"all": [_var("missing_one"), {"==": [_var(""), "a"]}]}),
        in_rule=False,
    ),
    Construct(
        "version-shape",
        "`sem_ver` with a version that is not MAJOR.MINOR.PATCH",
        "1.2-rc.1 is no version in the server and npm, and one in Python; npm ignores space around one. "
        "Write all three numbers.",
        _PYTHON,
        _when({"sem_ver": [_var("v"), "<", "1.2.0"]}),
        {"v": "1.2-rc.1"},
        in_rule=False,
    ),
    Construct(
        "version-literal",
        "`sem_ver` against a literal that is not MAJOR.MINOR.PATCH",
        "1.2-rc.1 is no version in the server and npm, and one in Python. Write all three numbers.",
        _PYTHON,
        _when({"sem_ver": ["1.1.0", "<", "1.2-rc.1"]}),
    ),
    Construct(
        "fractional-key",
        "`fractional` by a plain `var` or a value that is no text",
        "Where the attribute is missing or no text the server falls back to the targeting key or gives "
        'nothing, npm counts it as a bucket. Write {"cat": [{"var": "$flagd.flagKey"}, {"var": … }]}.',
        _NPM,
        {"fractional": [_var("missing_one"), ["a", 1], ["b", 1]]},
        {"targetingKey": "u1"},
    ),
    Construct(
        "fractional-weight",
        "`fractional` with a weight that is not a whole number",
        "The server takes 50.0, null and a third element in a bucket, Python gives the default variant. "
        "Write whole numbers.",
        _PYTHON,
        {"fractional": [["a", 50.0], ["b", 50]]},
        {"targetingKey": "u1"},
    ),
    Construct(
        "fractional-non-ascii",
        "`fractional` by text outside ASCII",
        "npm hashes other bytes than the server. Bucket by an id.",
        _NPM,
        {"fractional": ["ü-ä-7", ["a", 1], ["b", 1]]},
        {"targetingKey": "u1"},
    ),
    Construct(
        "big-integer",
        "an integer above 2^53",
        "Every number is a double in the server and npm, so neighbours are equal; Python is exact. Use text.",
        _PYTHON,
        _when({"==": [9007199254740993, 9007199254740992]}),
    ),
    Construct(
        "variant-characters",
        "a variant with `&`, `<`, `>`, a quote, a backslash or a control character in its name",
        "The server never finds it. Use plain names, such as an id.",
        _BOTH,
        {"if": [True, "a&"]},
    ),
)
"""Every construct, in the order of the documentation."""

BY_CODE: Final[Mapping[str, Construct]] = {construct.code: construct for construct in CONSTRUCTS}
"""The same by code."""
