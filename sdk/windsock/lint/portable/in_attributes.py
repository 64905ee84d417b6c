"""The constructs that depend on attribute values at evaluation time."""

from typing import Final

from windsock.lint.portable.construct import BOTH, NPM, PYTHON, Construct, var, when

IN_ATTRIBUTES: Final[tuple[Construct, ...]] = (
    Construct(
        "in-number-among-texts",
        "`in` that looks for a number in a list of texts",
        'The server finds 1 in ["1"], and 0 in any list with text that is not a number; the others do '
        "not. Send the attribute as text.",
        BOTH,
        when({"in": [var("n"), ["1", "2"]]}),
        {"n": 1},
        in_rule=False,
    ),
    Construct(
        "in-boolean-among-numbers",
        "`in` that looks for a boolean in a list of numbers",
        "Python finds true in [1]. Compare with `==`.",
        PYTHON,
        when({"in": [var("b"), [1, 2]]}),
        {"b": True},
        in_rule=False,
    ),
    Construct(
        "in-empty-attribute",
        "`in` that looks for an attribute that is empty or missing in text",
        "npm does not find empty text in empty text, the others do. When the attribute is missing the server "
        "fails with PARSE_ERROR; the others search for its text. Look for a literal.",
        BOTH,
        when({"in": [var("missing_one"), var("t")]}),
        {"t": "a"},
        in_rule=False,
    ),
    Construct(
        "compare-types",
        "comparing different types, the order of booleans, or that of text above U+FFFF",
        "The server compares text that is not a number as NaN, which gives false; npm fails. Compare "
        "values of one type.",
        NPM,
        when({"<": [var("t"), 10]}),
        {"t": "abc"},
        in_rule=False,
    ),
    Construct(
        "compare-lists",
        "comparing a list or an object",
        "In the server a list equals nothing; npm and Python compare contents. Use `in` or `all`.",
        BOTH,
        when({"===": [var("l"), var("l")]}),
        {"l": ["a"]},
        in_rule=False,
    ),
    Construct(
        "object-as-condition",
        "an object as a condition",
        "An empty object is false in the server and npm, true in Python. Test a property.",
        PYTHON,
        when(var("o")),
        {"o": {}},
        in_rule=False,
    ),
    Construct(
        "negation-of-list",
        "`!` or `!!` of a list",
        "The server and Python test whether the list is empty; npm may negate its first element. Use `some` "
        "or `none`.",
        NPM,
        {"if": [{"!": [var("l")]}, "a"]},
        {"l": [0]},
        in_rule=False,
    ),
    Construct(
        "arithmetic-on-missing",
        "arithmetic on an attribute that is not a number",
        "For null, booleans and lists, the server fails with PARSE_ERROR; the others treat null as 0, but "
        "npm fails in `max` and `min`. Text that is not a number is 0 in the server and NaN in Python, and "
        "npm fails. Give the `var` a default, and send numbers.",
        BOTH,
        when({"==": [{"+": [var("missing_one"), 1]}, 1]}),
        in_rule=False,
    ),
    Construct(
        "maximum-of-text",
        "`max` or `min` of text",
        "The server and Python read the text as a number; npm fails. Send numbers.",
        NPM,
        when({"==": [{"max": [var("t"), 3]}, 7]}),
        {"t": "7"},
        in_rule=False,
    ),
    Construct(
        "cat-missing",
        "`cat` with a missing attribute, a boolean or a list",
        'For null, the server adds nothing and the others add "null". Booleans and lists fail in the '
        "server. Give the `var` a default.",
        BOTH,
        {"cat": ["a", var("missing_one")]},
        in_rule=False,
    ),
    Construct(
        "cat-space-attribute",
        "`cat` that begins or ends with an attribute that begins or ends with white space",
        "The server trims the joined text, the others do not. Trim the attribute.",
        BOTH,
        when({"==": [{"cat": ["x", var("t")]}, "x "]}),
        {"t": " "},
        in_rule=False,
    ),
    Construct(
        "cat-decimal",
        "`cat` with an attribute that is a decimal number",
        "The server writes every digit; npm and Python write an exponent if it is very small or large, and "
        "Python rounds to 15 digits. Send text or a whole number.",
        BOTH,
        when({"==": [{"cat": [var("n"), ""]}, "0.00000015"]}),
        {"n": 0.00000015},
        in_rule=False,
    ),
    Construct(
        "substr-attribute",
        "`substr` of an attribute that is missing, not text, or has characters above U+FFFF",
        "The server takes a missing attribute for empty text and fails for a boolean or a list; npm fails, "
        'and Python takes the text "null". npm counts a character above U+FFFF as two. Give the `var` a '
        "default.",
        BOTH,
        when({"==": [{"substr": [var("missing_one"), 0, 1]}, ""]}),
        in_rule=False,
    ),
    Construct(
        "attribute-result",
        "an attribute as the result of a rule, if it is a list, an object or a decimal such as 1.0",
        "For a list the server and Python look up its JSON text, npm another text. The server may evaluate "
        'an object as a rule; the others fail. For 1.0 Python looks up "1.0", the others "1". Send text.',
        NPM,
        {"if": [True, var("l")]},
        {"l": []},
        in_rule=False,
    ),
    Construct(
        "var-into-text",
        "`var` with a position as a step into text",
        "The server finds nothing, the others a character. Use `starts_with` or `substr`.",
        BOTH,
        var("t.0"),
        {"t": "a"},
        in_rule=False,
    ),
    Construct(
        "var-into-list",
        "`var` with a name as a step into a list",
        "The server takes the first element, the others nothing. Use a position, or `some`.",
        BOTH,
        when({"==": [var("l.x"), "a"]}),
        {"l": ["a"]},
        in_rule=False,
    ),
    Construct(
        "default-of-null",
        "`var` with a default, of an attribute that is null",
        "npm does not always use the default. Leave null attributes out.",
        NPM,
        {"if": [{"var": ["x", 7]}, "a"]},
        {"x": None},
        in_rule=False,
    ),
    Construct(
        "list-of-no-list",
        "`filter`, `map`, `all`, `some` or `none` of an attribute that is not a list",
        "The server fails unless it is empty, npm for some values; Python finds nothing in it. Send a list.",
        BOTH,
        when({"some": [var("l"), {"==": [var(""), "a"]}]}),
        {"l": "a"},
        in_rule=False,
    ),
    Construct(
        "in-neither",
        "`in` an attribute that is neither text nor list, or a number in text",
        "For neither, the server and Python give false, and npm fails. For a number in text, the server "
        "fails with PARSE_ERROR; the others search for its digits. Send a list.",
        NPM,
        when({"in": ["a", var("l")]}),
        {"l": 5},
        in_rule=False,
    ),
    Construct(
        "all-of-missing",
        "`all` of a missing list",
        "The server and Python give false, npm true. Give the `var` a default.",
        NPM,
        when({"all": [var("missing_one"), {"==": [var(""), "a"]}]}),
        in_rule=False,
    ),
    Construct(
        "version-shape",
        "`sem_ver` with a version that is not MAJOR.MINOR.PATCH",
        "1.2-rc.1 is a version in Python, but not in the server and npm. npm ignores space around a "
        "version. Write all three numbers.",
        PYTHON,
        when({"sem_ver": [var("v"), "<", "1.2.0"]}),
        {"v": "1.2-rc.1"},
        in_rule=False,
    ),
    Construct(
        "targeting-key-non-ascii",
        "`fractional` for a targeting key, or by an attribute, outside ASCII, or for a key that is not text",
        "npm hashes different bytes than the server, and also buckets by a key that is not text. Use ids.",
        NPM,
        {"fractional": [["a", 1], ["b", 1]]},
        {"targetingKey": "ü-2"},
        in_rule=False,
    ),
    Construct(
        "big-integer-attribute",
        "an attribute that is a number above 2^53",
        "The server and npm read every number as a double, so neighbours are equal; Python is exact. Send "
        "text.",
        PYTHON,
        when({"==": [var("n"), 9007199254740992.0]}),
        {"n": 9007199254740993},
        in_rule=False,
    ),
)
"""In documentation order."""
