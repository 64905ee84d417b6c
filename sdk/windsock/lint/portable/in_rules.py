"""The constructs visible in a rule itself on which flagd (Go), npm and Python disagree."""

from typing import Final

from windsock.lint.portable.construct import BOTH, NPM, PYTHON, Construct, var, when

IN_RULES: Final[tuple[Construct, ...]] = (
    Construct(
        "in-mixed-list",
        "`in` with a list that is not all text or all numbers",
        "For a number, the server reads text as numbers; it takes an inner list for a range and fails on "
        "other types. The others compare item by item. Write a list of one type.",
        BOTH,
        when({"in": [var("n"), [[1, 5]]]}),
        {"n": 3},
    ),
    Construct(
        "in-text-needle",
        "`in` with literal text to search, and a needle that is not a literal",
        "If the attribute is missing or not text, the server fails with PARSE_ERROR; the others search "
        "for its text. Write a list of texts.",
        BOTH,
        when({"in": [var("missing_one"), "abc"]}),
    ),
    Construct(
        "in-empty-text",
        "`in` that looks for empty text in text",
        "npm does not find empty text in empty text, the others do. Look for text that is not empty.",
        NPM,
        when({"in": ["", var("t")]}),
        {"t": ""},
    ),
    Construct(
        "compare-with-zero",
        "`==`, `!=`, `<=` or `>=` with 0, false or blank text",
        'Empty text and missing attributes differ. In the server "" == 0, and neither null == 0 nor null '
        "== false; in Python it is the reverse, and in npm all are true. Give the `var` a default, or "
        "negate it with `!`.",
        PYTHON,
        when({"==": [var("t"), 0]}),
        {"t": ""},
    ),
    Construct(
        "compare-with-null",
        "`==` or `!=` with null",
        "Only null equals null in the server; npm and Python also take 0 and false for it, and npm fails for "
        "lists. Use `===` or `!==`.",
        BOTH,
        when({"==": [var("n"), None]}),
        {"n": 0},
    ),
    Construct(
        "argument-count",
        "an operator with too few arguments, or `-` or `/` with more than two",
        "The server takes any number for `-` and `/`, Python two; with too few, one or another fails. "
        "Write two.",
        PYTHON,
        when({"==": [{"-": [5, 1, 1]}, 3]}),
    ),
    Construct(
        "argument-type",
        "an argument of a type that its operator does not support",
        "The server fails with PARSE_ERROR or ignores the argument; the others convert it. Write text "
        "where text is expected, and a number where a number is.",
        BOTH,
        when({"+": [True, 1]}),
    ),
    Construct(
        "compare-conditions",
        "comparing the result of a condition, such as `in`",
        "npm fails if it comes after a literal. Use the condition itself, or negate it with `!`.",
        NPM,
        when({"==": [True, {"in": ["a", var("l")]}]}),
        {"l": ["a"]},
    ),
    Construct(
        "compare-computed",
        "comparing with a choice, or with joined attributes, on the right",
        "npm confuses the left side with what the right side reads, and fails if their types differ. Write "
        "the computed value on the left, or use `===`.",
        NPM,
        when({"==": [var("n"), {"if": [{"==": [var("t"), "x"]}, 1, 2]}]}),
        {"n": 2, "t": "a"},
    ),
    Construct(
        "strict-boolean",
        "`===` or `!==` with a boolean, 0 or 1",
        "In Python, 1 === true. Use `==` on attributes of one type.",
        PYTHON,
        when({"===": [var("n"), True]}),
        {"n": 1},
    ),
    Construct(
        "comparison-arguments",
        "a comparison with more or fewer values than it takes",
        "The server ignores the extra values; npm fails, or compares them. Write two, or three for a range.",
        NPM,
        when({"==": [1, 1, 2]}),
    ),
    Construct(
        "negation-without-list",
        "`!` or `!!` whose argument is not in a list",
        "If the argument is a list, the server negates its first element, the others negate the list. "
        "Write a list.",
        BOTH,
        when({"!": var("l")}),
        {"l": [0]},
    ),
    Construct(
        "arguments-without-list",
        "`if`, `and` or `or` without a list",
        "The server and npm fail; Python takes it as the one argument. Write a list.",
        PYTHON,
        {"if": "a"},
    ),
    Construct(
        "missing",
        "`missing` or `missing_some`",
        "To the server and npm, empty text is present; to Python it is missing. To npm, null is present. "
        "Write `===` null.",
        PYTHON,
        when({"missing": ["t"]}),
        {"t": ""},
    ),
    Construct(
        "modulo",
        "`%`",
        "For a negative number, the server and npm keep its sign; Python takes the divisor's. Use "
        "`fractional`.",
        PYTHON,
        when({"==": [{"%": [var("n"), 3]}, -1]}),
        {"n": -7},
    ),
    Construct(
        "division",
        "`/` by anything but a literal other than 0",
        "Dividing by zero gives infinity in the server and an error elsewhere. Divide by a literal.",
        BOTH,
        when({">": [{"/": [var("n"), 0]}, 1]}),
        {"n": 7},
    ),
    Construct(
        "cat-space",
        "`cat` that begins or ends with white space, or with a `substr`, which may cut at a space",
        "The server trims the joined text, the others do not. Leave the space out.",
        BOTH,
        when({"==": [{"cat": ["x", " "]}, "x "]}),
    ),
    Construct(
        "cat-number",
        "`cat` with a number that is computed, very small or very large",
        "The server writes every digit. npm writes an exponent below 1e-6 and from 1e21, Python below 1e-4 "
        "and from 1e15, rounded to 15 digits. Join text and whole numbers.",
        BOTH,
        when({"==": [{"cat": [0.00000015, ""]}, "0.00000015"]}),
    ),
    Construct(
        "cat-condition",
        "`and` or `or` as a part of `cat`",
        "npm leaves out the other parts, or takes the wrong argument. Use `if`, or give a `var` a default.",
        NPM,
        when({"==": [{"cat": ["x", {"or": [var("t"), "y"]}]}, "xa"]}),
        {"t": "a"},
    ),
    Construct(
        "default-condition",
        "`and`, `or` or `all` as the default of a `var`",
        "npm doesn't read the attribute, or fails. Use `if`.",
        NPM,
        when({"==": [{"var": ["t", {"or": [var("n"), "y"]}]}, "a"]}),
        {"t": "a", "n": "b"},
    ),
    Construct(
        "substr-start",
        "`substr` that may start behind the end of the text, or before its beginning with a length",
        "The server gives the whole text, the others nothing or a part. Start at 0, start from the end "
        "without a length, or use `starts_with` or `ends_with`.",
        BOTH,
        {"substr": [var("t"), 5]},
        {"t": "ab"},
    ),
    Construct(
        "number-result",
        "a number as the result of a rule",
        '1.0 and 4 / 2 select the variant "1" or "2" in the server and npm, "1.0" or "2.0" in Python. Use '
        "text for the names of variants.",
        PYTHON,
        {"if": [True, {"/": [4, 2]}]},
    ),
    Construct(
        "list-result",
        "a list as the result of a rule",
        "The server and Python look up its JSON text, npm another text. Use text for the names of variants.",
        NPM,
        {"if": [True, []]},
    ),
    Construct(
        "rule-not-object",
        "a rule that is not an object",
        "The server and npm take text as the variant's name; Python fails. Use `defaultVariant`.",
        PYTHON,
        "a",
    ),
    Construct(
        "several-operators",
        "an object with several operators",
        "The server treats it as a value, which is true as a condition; npm applies the first operator. "
        "Write one operator.",
        NPM,
        when({"==": [1, 2], "x": 1}),
    ),
    Construct(
        "unknown-operator",
        "an operator that some engines do not have",
        "The server fails where it reaches an unknown operator, npm at once. Only the server has `abs`, "
        "`set`, `contains_all`, `contains_any` and `contains_none`; only npm has `??`, `eachKey`, "
        "`every`, `exists`, `get`, `keys`, `length`, `not`, `pipe`, `preserve`, `throw`, `try` and `val`; "
        "Python alone `log`. Use an operator of JSONLogic or flagd.",
        BOTH,
        when({"abs": [-1]}),
    ),
    Construct(
        "substr-length",
        "`substr` with a length counted from the end",
        "If the end comes before the start, the server fails; the others give empty text. Use `ends_with`.",
        BOTH,
        {"substr": ["abc", 2, -2]},
    ),
    Construct(
        "var-number",
        "`var` with a number",
        "The server and npm read the attribute of that name, Python does not. Write text.",
        PYTHON,
        when({"==": [{"var": 1}, "x"]}),
        {"1": "x"},
    ),
    Construct(
        "var-leading-dot",
        "`var` with a dot at the start, at the end or doubled",
        "The server ignores empty steps; the others look for an empty name. Write the plain path.",
        BOTH,
        when({"==": [var(".t"), "x"]}),
        {"t": "x"},
    ),
    Construct(
        "variable-in-list-condition",
        'a variable other than "" inside `filter`, `map`, `all`, `some`, `none` or `reduce`',
        "The server looks in the whole context first, the others only in the element. Test plain elements "
        'with {"var": ""}.',
        BOTH,
        when({"some": [var("l"), {"==": [var("x"), 1]}]}),
        {"l": [{"x": 1}], "x": 2},
    ),
    Construct(
        "flagd-operator-in-list-condition",
        "`starts_with`, `ends_with` or `sem_ver` inside `filter`, `map`, `all`, `some`, `none` or `reduce`",
        "npm fails. Compare plain elements with `==` or `in`.",
        NPM,
        when({"some": [var("l"), {"starts_with": [var(""), "a"]}]}),
        {"l": ["ab"]},
    ),
    Construct(
        "version-literal",
        "`sem_ver` against a literal that is not MAJOR.MINOR.PATCH",
        "1.2-rc.1 is a version in Python, but not in the server and npm. Write all three numbers.",
        PYTHON,
        when({"sem_ver": ["1.1.0", "<", "1.2-rc.1"]}),
    ),
    Construct(
        "fractional-key",
        "`fractional` by a plain `var`, or by a value that is not text",
        "If the attribute is missing or not text, the server uses the targeting key or selects nothing; "
        'npm counts it as a bucket. Write {"cat": [{"var": "$flagd.flagKey"}, {"var": … }]}.',
        NPM,
        {"fractional": [var("missing_one"), ["a", 1], ["b", 1]]},
        {"targetingKey": "u1"},
    ),
    Construct(
        "fractional-weight",
        "`fractional` with a weight that is not a whole number, or that comes from an attribute",
        "The server accepts 50.0, null and a third element in a bucket; Python returns the default "
        "variant. Write whole numbers.",
        PYTHON,
        {"fractional": [["a", 50.0], ["b", 50]]},
        {"targetingKey": "u1"},
    ),
    Construct(
        "fractional-non-ascii",
        "`fractional` by text outside ASCII",
        "npm hashes different bytes than the server. Bucket by an id.",
        NPM,
        {"fractional": ["ü-ä-7", ["a", 1], ["b", 1]]},
        {"targetingKey": "u1"},
    ),
    Construct(
        "big-integer",
        "a number above 2^53",
        "The server and npm store every number as a double, so neighbours are equal; Python is exact. Use "
        "text.",
        PYTHON,
        when({"==": [9007199254740993, 9007199254740992]}),
    ),
    Construct(
        "variant-characters",
        "a variant with `&`, `<`, `>`, a quote, a backslash or a control character in its name",
        "The server never finds it. Use plain names, such as an id.",
        BOTH,
        {"if": [True, "a&"]},
    ),
)
"""In documentation order."""
